"""Classical agents of tabular tasks, which explore a task whose states and actions they know.

Most meet it with a prior and plan with what they believe (`planning_agent`). `ValueBonus` plans
with nothing but the VAMDP's own values, `RMax` with what it has tried often enough.
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
