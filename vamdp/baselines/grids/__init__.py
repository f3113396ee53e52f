"""Agents for gridworlds, who know their rules."""

from vamdp.baselines.grids.informed import InformedAgent

__all__ = ["InformedAgent"]
