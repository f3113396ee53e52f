"""Agents for tasks of few states, which learn what each action does in each of them."""

from vamdp.baselines.tabular.rmax import RMax
from vamdp.baselines.tabular.value_bonus import ValueBonus

__all__ = ["RMax", "ValueBonus"]
