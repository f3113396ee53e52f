"""Classical agents of tabular tasks, which meet a task with a prior and explore it."""

from vamdp.baselines.tabular.beb import BEB
from vamdp.baselines.tabular.greedy import Greedy
from vamdp.baselines.tabular.psrl import PSRL
from vamdp.baselines.tabular.ucrl2 import UCRL2

__all__ = [
    "BEB",
    "PSRL",
    "UCRL2",
    "Greedy",
]
