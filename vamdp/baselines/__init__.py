"""Agents that need no training, for comparison."""

from vamdp.baselines.agent import Agent
from vamdp.baselines.random_agent import RandomAgent
from vamdp.baselines.table import BASELINES, Baseline, TaskFacts, register_baseline

__all__ = ["BASELINES", "Agent", "Baseline", "RandomAgent", "TaskFacts", "register_baseline"]
