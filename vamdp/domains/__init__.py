"""Distributions of tasks, and the environments that step them.

Importing this package registers `vamdp/Bandit-v0`, `vamdp/RandomMDP-v0`, `vamdp/GridWorld-v0` and
`vamdp/FrozenLake-v0` with Gymnasium, each with a vector entry point.
"""

import gymnasium

from vamdp.domains.bandits import Bandits
from vamdp.domains.frozen_lakes import FrozenLakes
from vamdp.domains.gridworlds import GridWorlds
from vamdp.domains.random_mdps import RandomMDPs
from vamdp.domains.sampled_env import EnvDistribution, SampledEnv
from vamdp.domains.task_env import TaskDistribution, TaskEnv
from vamdp.domains.task_vector_env import TaskVectorEnv

__all__ = [
    "Bandits",
    "EnvDistribution",
    "FrozenLakes",
    "GridWorlds",
    "RandomMDPs",
    "SampledEnv",
    "TaskDistribution",
    "TaskEnv",
    "TaskVectorEnv",
]

for _id, _module, _limit in (
    ("Bandit", "bandits", None),
    ("RandomMDP", "random_mdps", 10),
    ("GridWorld", "gridworlds", None),
    ("FrozenLake", "frozen_lakes", 200),
):
    gymnasium.register(
        id=f"vamdp/{_id}-v0",
        entry_point=f"vamdp.domains.{_module}:env",
        vector_entry_point=f"vamdp.domains.{_module}:vector_env",
        max_episode_steps=_limit,
    )
