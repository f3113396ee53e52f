"""Agents that know the rules of gridworlds."""

from vamdp.baselines.grids.informed import InformedAgent

__all__ = ["InformedAgent"]
