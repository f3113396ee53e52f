"""MountainCarContinuous: real numbers in and out, and a reward only at the top.

DiscretizeObservation and DiscretizeAction make it a table. Within one bin the car hardly moves in a
step, so that a model of single steps would see it stand still: MaxAndSkipObservation repeats each
action 16 times. Two actions, half strength to the left and to the right, cost the same: there is no
third one that saves by standing still. The first climb is found by trying what was never tried.

    python examples/mountain_car_continuous.py
"""

import sys
from dataclasses import dataclass

import gymnasium
import numpy as np
from gymnasium.wrappers import DiscretizeAction, DiscretizeObservation, MaxAndSkipObservation

import vamdp


@dataclass
class Arguments:
    """What can be changed."""

    horizon: int = 2000
    """steps of the meta-episode, each of 16 of the car's"""
    bins: int = 16
    """of position and of speed"""
    seed: int = 0
    """of the environment"""


args = Arguments(horizon=300) if "--smoke" in sys.argv else Arguments()

env = gymnasium.make("MountainCarContinuous-v0")
env = MaxAndSkipObservation(env, skip=16)
env = DiscretizeAction(DiscretizeObservation(env, args.bins), 2)
env = vamdp.ValueAugment(env, task_horizon=63, gamma=0.99, smoothing=0.01, value_scale=100.0)
env = vamdp.MetaEpisode(env, args.horizon, reward_scale=100.0)

observation, info = env.reset(seed=args.seed)
ends = [0]
for t in range(args.horizon):
    advantage, count = (observation[env.layout[part]] for part in ("advantage", "count"))
    action = int(np.argmin(count) if count.min() == 0 else np.argmax(advantage))
    observation, reward, terminated, truncated, info = env.step(action)
    if info["episode_end"]:
        ends.append(t + 1)

for part in np.array_split(np.diff(ends), 5):
    print(f"{len(part)} climbs of {part.mean():.0f} steps on average")
