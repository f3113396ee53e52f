"""Compute generalized advantage estimates, and the numbers that normalise them.

    delta_t = r_t + gamma V_{t+1} - V_t,        A_t = delta_t + gamma lambda A_{t+1},

per segment. The V after a segment's last step is 0 if the episode terminated. Otherwise (after a
time limit, or at the rollout's end) it is the value of the next observation.

Source: Schulman et al. 2016 (arXiv 1506.02438), equations 11 and 16.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch as th

from rl3_sb3.ranks import sum_over_ranks

FloatArray = npt.NDArray[np.float64]

# As in SB3, it prevents a division by a standard deviation of 0.
_STD_EPSILON = 1e-8


def generalized_advantages(
    rewards: FloatArray,
    values: FloatArray,
    bootstrap: FloatArray,
    ends: npt.NDArray[np.bool_],
    gamma: float,
    gae_lambda: float,
) -> FloatArray:
    """Return the generalized advantage estimates of a rollout, whose segments end at `ends`.

    Args:
        rewards: Shape (n_envs, n_steps).
        values: Value of the observation before each step, shape (n_envs, n_steps).
        bootstrap: Value of the observation after a segment's last step, 0 if the episode
            terminated; shape (n_envs, n_steps). It is used only at `ends`.
        ends: True at the last step of a segment; all True in the last column.
        gamma: Discount factor, in [0, 1].
        gae_lambda: In [0, 1]. 0 gives one-step errors, 1 discounted returns minus values.

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
    """Numbers that normalise the advantages of n minibatches as (A - mean) * scale.

    Attributes:
        n_steps: Number of steps in each minibatch, over all ranks; shape (n,).
        mean: Shape (n,).
        scale: One over the (unbiased) standard deviation, shape (n,).
    """

    n_steps: FloatArray
    mean: FloatArray
    scale: FloatArray


def normalisation(minibatches: list[FloatArray], *, normalize: bool) -> Normalisation:
    """Return the numbers that normalise each minibatch to mean 0 and standard deviation 1.

    Args:
        minibatches: This rank's advantages in each minibatch, one-dimensional; may be empty.
        normalize: False returns mean 0 and scale 1; only steps are counted then.
    """
    n_steps = _sums([np.ones_like(a) for a in minibatches])
    if not normalize:
        return Normalisation(n_steps, np.zeros_like(n_steps), np.ones_like(n_steps))
    mean = _sums(minibatches) / np.maximum(n_steps, 1)
    # Subtract the mean first: the difference of two large sums would lose a small variance.
    squares = _sums([(a - m) ** 2 for a, m in zip(minibatches, mean, strict=True)])
    # A single step has standard deviation 0, so its advantage becomes 0, not NaN.
    std = np.sqrt(squares / np.maximum(n_steps - 1, 1))
    return Normalisation(n_steps, mean, 1 / (std + _STD_EPSILON))


def _sums(minibatches: list[FloatArray]) -> FloatArray:
    sums = th.tensor([a.sum() for a in minibatches], dtype=th.float64)
    total: FloatArray = sum_over_ranks(sums).numpy()
    return total
