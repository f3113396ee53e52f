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

gymnasium.register(
    id="vamdp/Bandit-v0",
    entry_point="vamdp.domains.bandits:bandit_env",
    vector_entry_point="vamdp.domains.bandits:bandit_vector_env",
)
gymnasium.register(
    id="vamdp/RandomMDP-v0",
    entry_point="vamdp.domains.random_mdps:random_mdp_env",
    vector_entry_point="vamdp.domains.random_mdps:random_mdp_vector_env",
    max_episode_steps=10,
)
gymnasium.register(
    id="vamdp/GridWorld-v0",
    entry_point="vamdp.domains.gridworlds:grid_world_env",
    vector_entry_point="vamdp.domains.gridworlds:grid_world_vector_env",
)
gymnasium.register(
    id="vamdp/FrozenLake-v0",
    entry_point="vamdp.domains.frozen_lakes:frozen_lake_env",
    vector_entry_point="vamdp.domains.frozen_lakes:frozen_lake_vector_env",
    max_episode_steps=200,
)
