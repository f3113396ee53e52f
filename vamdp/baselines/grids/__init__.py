"""Agents that know the rules of gridworlds, and the learner that they act on."""

from vamdp.baselines.grids.beliefs_learner import GRID_BELIEFS, GridBeliefs, GridBeliefsOptions
from vamdp.baselines.grids.informed import InformedAgent

__all__ = ["GRID_BELIEFS", "GridBeliefs", "GridBeliefsOptions", "InformedAgent"]
