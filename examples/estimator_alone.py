"""Use the value estimator in any code base: no Gymnasium, no wrapper, no network.

A corridor of five cells; a step right from the last one pays 1 and ends the episode. The estimator
sees transitions only, and plans after each of them.

    python examples/estimator_alone.py
"""

import sys
from dataclasses import dataclass

import numpy as np

from vamdp import ValueEstimator


@dataclass
class Arguments:
    """What can be changed."""

    n_episodes: int = 30
    """episodes of at most 20 steps"""
    length: int = 5
    """cells of the corridor"""


args = Arguments(n_episodes=2) if "--smoke" in sys.argv else Arguments()
rng = np.random.default_rng(0)
LEFT, RIGHT = 0, 1

estimator = ValueEstimator(n_actions=2, task_horizon=20, gamma=0.9)
for _ in range(args.n_episodes):
    cell = 0
    for _ in range(20):
        # Untried actions first, then the better one; ties at random, and sometimes anything.
        scores = np.where(estimator.counts(cell) == 0, np.inf, estimator.q_values(cell))
        greedy = rng.choice(np.flatnonzero(scores == scores.max()))
        action = rng.integers(2) if rng.random() < 0.2 else greedy
        reached = max(cell - 1, 0) if action == LEFT else cell + 1
        terminated = reached == args.length
        estimator.update(cell, action, float(terminated), reached, terminated)
        if terminated:
            break
        cell = reached

print(f"{estimator.n_states} states, {estimator.n_sweeps} sweeps in the last planning")
print("cell  Q(left)  Q(right)  tried left, right   optimal Q(right)")
for cell in range(args.length):
    q, n = estimator.q_values(cell), estimator.counts(cell)
    optimal = 0.9 ** (args.length - 1 - cell)
    print(f"{cell:4d} {q[LEFT]:8.3f} {q[RIGHT]:9.3f} {n[LEFT]:11d}, {n[RIGHT]:5d} {optimal:18.3f}")
