"""Classical agents for tabular tasks whose states and actions are known in advance.

Most start from a prior and plan with models from their posterior (`planning_agent`). `ValueBonus`
acts on the estimates that an RL3 policy observes. `RMax` plans with the pairs it has tried often
enough.
"""

from vamdp.baselines.tabular.beb import BEB
from vamdp.baselines.tabular.greedy import Greedy
from vamdp.baselines.tabular.psrl import PSRL
from vamdp.baselines.tabular.rmax import RMax
from vamdp.baselines.tabular.ucrl2 import UCRL2
from vamdp.baselines.tabular.value_bonus import ValueBonus

__all__ = [
    "BEB",
    "PSRL",
    "UCRL2",
    "Greedy",
    "RMax",
    "ValueBonus",
]
