"""Wrap an environment that was not made for this: FrozenLake with value estimates.

An agent without any network acts on what the observation shows: mostly the action with the best
estimated advantage, sometimes a random one. Within one meta-episode it finds the goal, and then
finds it again and again.

    python examples/frozen_lake.py
"""

import sys
from dataclasses import dataclass

import gymnasium
import numpy as np

import vamdp


@dataclass
class Arguments:
    """What can be changed."""

    horizon: int = 500
    """steps of the meta-episode"""
    exploration: float = 0.1
    """how often the action is random"""
    seed: int = 0
    """of the environment and of the agent"""


args = Arguments(horizon=200) if "--smoke" in sys.argv else Arguments()
rng = np.random.default_rng(args.seed)

env = gymnasium.make("FrozenLake-v1", is_slippery=False)
env = vamdp.ValueAugment(env, task_horizon=100, gamma=0.95)
env = vamdp.MetaEpisode(env, args.horizon)
print("parts of the observation:", env.layout)

observation, info = env.reset(seed=args.seed)
goals = np.zeros(args.horizon)
for t in range(args.horizon):
    advantage = observation[env.layout["advantage"]]
    best = rng.choice(np.flatnonzero(advantage == advantage.max()))
    action = rng.integers(4) if rng.random() < args.exploration else best
    observation, reward, terminated, truncated, info = env.step(action)
    goals[t] = reward
assert terminated  # the meta-episode ends at its horizon

for part in np.array_split(np.arange(args.horizon), 5):
    print(f"steps {part[0] + 1:5d} to {part[-1] + 1:5d}: goal {goals[part].sum():.0f} times")
