"""Distributions of tasks, and the environments that step them.

Importing this package registers these ids with Gymnasium, each with a vector entry point. The tasks
of `vamdp/Bandit-v0`, `vamdp/RandomMDP-v0`, `vamdp/GridWorld-v0` and `vamdp/FrozenLake-v0` are
tables. The tasks of `vamdp/CartPole-v0`, `vamdp/Acrobot-v0`, `vamdp/MountainCar-v0` and
`vamdp/HalfCircle-v0` are environments.
"""

import gymnasium

from vamdp.domains.acrobots import Acrobots
from vamdp.domains.bandits import Bandits
from vamdp.domains.cart_poles import CartPoles
from vamdp.domains.frozen_lakes import FrozenLakes
from vamdp.domains.gridworlds import GridWorlds
from vamdp.domains.half_circles import HalfCircles
from vamdp.domains.mountain_cars import MountainCars
from vamdp.domains.random_mdps import RandomMDPs
from vamdp.domains.sampled_env import EnvDistribution, SampledEnv
from vamdp.domains.sampled_vector_env import SampledVectorEnv
from vamdp.domains.task_env import TaskDistribution, TaskEnv
from vamdp.domains.task_vector_env import TaskVectorEnv

__all__ = [
    "Acrobots",
    "Bandits",
    "CartPoles",
    "EnvDistribution",
    "FrozenLakes",
    "GridWorlds",
    "HalfCircles",
    "MountainCars",
    "RandomMDPs",
    "SampledEnv",
    "SampledVectorEnv",
    "TaskDistribution",
    "TaskEnv",
    "TaskVectorEnv",
]

for _id, _module, _limit in (
    ("Bandit", "bandits", None),
    ("RandomMDP", "random_mdps", 10),
    ("GridWorld", "gridworlds", None),
    ("FrozenLake", "frozen_lakes", 200),
    ("CartPole", "cart_poles", 100),
    ("Acrobot", "acrobots", 200),
    ("MountainCar", "mountain_cars", 200),
    ("HalfCircle", "half_circles", 20),
):
    gymnasium.register(
        id=f"vamdp/{_id}-v0",
        entry_point=f"vamdp.domains.{_module}:env",
        vector_entry_point=f"vamdp.domains.{_module}:vector_env",
        max_episode_steps=_limit,
    )
