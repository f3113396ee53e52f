"""Agents that need no training, for comparison."""

from vamdp.baselines.agent import Agent
from vamdp.baselines.random_agent import RandomAgent

__all__ = ["Agent", "RandomAgent"]
