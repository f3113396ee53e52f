"""Walks through gridworlds that planning is measured on: recorded once, replayed by every way."""

import dataclasses
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

import vamdp
from vamdp.domains import GridWorlds


@dataclasses.dataclass
class WalkArguments:
    """What is walked through, and how values are estimated on the way."""

    size: int = 13
    """Rows and columns of the grids, 11 or 13."""
    horizon: int = 350
    """Environment steps a walk, and the most sweeps of one planning."""
    greediness: float = 0.3
    """Share of steps that take the best action known; the others the move least tried."""
    gamma: float = 1.0
    """Discount factor."""
    tolerance: float = 0.01
    """Planning stops after a sweep in which no Q moved by this much."""
    smoothing: float = 0.1
    """Laplace pseudo-count of every transition."""


class Walk(NamedTuple):
    """One task's transitions, states numbered in order of first visit as the learner does.

    Attributes:
        steps: (H, 3) state, action, next state; terminal copies are states of their own.
        rewards: (H,).
        cells: (H, 2, 2) the same states as the learner is told them, (row, column).
        ends: (H,) whether the step terminated.
        n_states: (H,) states met after each step.
    """

    steps: npt.NDArray[np.int64]
    rewards: npt.NDArray[np.float64]
    cells: npt.NDArray[np.int64]
    ends: npt.NDArray[np.bool_]
    n_states: npt.NDArray[np.int64]


def walk(rng: np.random.Generator, arguments: WalkArguments) -> Walk:
    """One agent's H steps in one grid, restarting where an episode ends."""
    env = vamdp.TaskEnv(GridWorlds(arguments.size), feature_scale=arguments.size)
    cell = start = env.state_key(env.reset(seed=int(rng.integers(2**31)))[0])
    estimator = vamdp.ValueEstimator(5, task_horizon=arguments.horizon, **options(arguments))
    numbers: dict[tuple[tuple[int, ...], bool], int] = {}
    steps, rewards, cells, ends, n_states = [], [], [], [], []
    for _ in range(arguments.horizon):
        counts = estimator.counts(cell)[1:]  # to stay explores nothing
        action = 1 + int(rng.choice(np.flatnonzero(counts == counts.min())))
        if rng.random() < arguments.greediness:
            action = int(estimator.q_values(cell).argmax())
        observation, reward, end, _, _ = env.step(action)
        reached = env.state_key(observation)
        estimator.update(cell, action, reward, reached, end)
        s = numbers.setdefault((cell, False), len(numbers))
        s_next = numbers.setdefault((reached, end), len(numbers))
        steps.append((s, action, s_next))
        rewards.append(reward)
        cells.append((cell, reached))
        ends.append(end)
        n_states.append(len(numbers))
        cell = reached
        if end:
            env.reset()
            cell = start
    return Walk(*map(np.array, (steps, rewards, cells, ends, n_states)))


def options(arguments: WalkArguments) -> dict[str, float]:
    """The estimator's options."""
    names = ("gamma", "tolerance", "smoothing")
    return {name: getattr(arguments, name) for name in names}
