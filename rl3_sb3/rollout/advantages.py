"""Generalized advantage estimates, and what it takes to normalise them.

    delta_t = r_t + gamma V_{t+1} - V_t,        A_t = delta_t + gamma lambda A_{t+1},

per segment. The V after a segment's last step is 0 if the episode terminated, and otherwise (a time
limit, or the rollout's end) the value of the observation that followed.

Source: Schulman et al. 2016 (arXiv 1506.02438), equations 11 and 16.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch as th

from rl3_sb3.ranks import sum_over_ranks

FloatArray = npt.NDArray[np.float64]

# As SB3: a standard deviation of 0 must not divide.
_STD_EPSILON = 1e-8


def generalized_advantages(
    rewards: FloatArray,
    values: FloatArray,
    bootstrap: FloatArray,
    ends: npt.NDArray[np.bool_],
    gamma: float,
    gae_lambda: float,
) -> FloatArray:
    """Return the generalized advantage estimates of rollouts that are cut at `ends`.

    Args:
        rewards: Shape (n_envs, n_steps).
        values: Value of the observation each step started from, shape (n_envs, n_steps).
        bootstrap: Read at `ends` only: value of the observation after the segment's last step, 0 if
            the episode terminated; shape (n_envs, n_steps).
        ends: True at the last step of a segment; the last column is all True.
        gamma: Discount, in [0, 1].
        gae_lambda: In [0, 1]: 0 gives one-step errors, 1 discounted returns minus values.

    Returns:
        Shape (n_envs, n_steps).
    """
    next_values = np.where(ends, bootstrap, np.roll(values, -1, axis=1))
    deltas = rewards + gamma * next_values - values
    decay = gamma * gae_lambda * ~ends
    advantages = np.zeros_like(values)
    following = np.zeros_like(values[:, 0])
    for t in reversed(range(values.shape[1])):
        following = deltas[:, t] + decay[:, t] * following
        advantages[:, t] = following
    return advantages


class Normalisation(NamedTuple):
    """What turns advantages into (A - mean) * scale, for each of n minibatches.

    Attributes:
        n_steps: Steps of each minibatch, on all ranks; shape (n,).
        mean: Shape (n,).
        scale: One over the (unbiased) standard deviation; shape (n,).
    """

    n_steps: FloatArray
    mean: FloatArray
    scale: FloatArray


def normalisation(minibatches: list[FloatArray], *, normalize: bool) -> Normalisation:
    """Return how to normalise the advantages of minibatches to mean 0 and standard deviation 1.

    Args:
        minibatches: This rank's advantages of each, one-dimensional; may be empty.
        normalize: False leaves the advantages as they are; only steps are counted then.
    """
    n_steps = _sums([np.ones_like(a) for a in minibatches])
    if not normalize:
        return Normalisation(n_steps, np.zeros_like(n_steps), np.ones_like(n_steps))
    mean = _sums(minibatches) / np.maximum(n_steps, 1)
    # The mean first: the difference of two large sums would lose a small variance.
    squares = _sums([(a - m) ** 2 for a, m in zip(minibatches, mean, strict=True)])
    # A single step has no spread: its advantage becomes 0, not NaN.
    std = np.sqrt(squares / np.maximum(n_steps - 1, 1))
    return Normalisation(n_steps, mean, 1 / (std + _STD_EPSILON))


def _sums(minibatches: list[FloatArray]) -> FloatArray:
    sums = th.tensor([a.sum() for a in minibatches], dtype=th.float64)
    total: FloatArray = sum_over_ranks(sums).numpy()
    return total
