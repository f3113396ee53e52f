"""A task distribution of your own, in a dozen lines: which of the doors hides the treasure?

Going through a corridor of doors, an agent without any network opens what its counts call untried,
until the values know the treasure: from then on it walks there in every episode.

    python examples/own_tasks.py
"""

import sys
from dataclasses import dataclass

import numpy as np

import vamdp

LEFT, RIGHT, OPEN = range(3)


def corridor(rng, n_doors=9):
    """One state per door; opening ends the episode, and pays 1 at the treasure's door."""
    P, R = np.zeros((n_doors + 1, 3, n_doors + 1)), np.zeros((n_doors + 1, 3))
    for door in range(n_doors):
        P[door, LEFT, max(door - 1, 0)] = P[door, RIGHT, min(door + 1, n_doors - 1)] = 1
        P[door, OPEN, n_doors] = 1
    P[n_doors, :, n_doors] = 1  # the end
    R[rng.integers(n_doors), OPEN] = 1  # the task
    terminal = np.arange(n_doors + 1) == n_doors
    return vamdp.TabularMDP.from_dense(P, R, terminal=terminal, start=n_doors // 2)


@dataclass
class Arguments:
    """What can be changed."""

    tasks: int = 5
    """meta-episodes, each with its own treasure"""
    horizon: int = 300
    """steps of a meta-episode"""


args = Arguments(tasks=2, horizon=100) if "--smoke" in sys.argv else Arguments()
env = vamdp.ValueAugment(vamdp.TaskEnv(corridor), task_horizon=20, gamma=0.9, smoothing=0.01)
env = vamdp.MetaEpisode(env, args.horizon)
for task in range(args.tasks):
    observation, info = env.reset(seed=task)
    rewards = []
    for _ in range(args.horizon):
        advantage, count = (observation[env.layout[part]] for part in ("advantage", "count"))
        action = np.argmax(advantage) if sum(rewards) else np.argmin(count)
        observation, reward, *_ = env.step(action)
        rewards.append(reward)
    oracle = env.get_task().optimal_return(args.horizon, task_horizon=20)
    found = rewards.index(1) + 1
    print(f"task {task}: found in step {found}, {sum(rewards):.0f} times of {oracle:.0f}")
