"""Statistics of several seeds, and of two agents in the same tasks.

There are two kinds of chance. Another set of held-out tasks would change an agent's mean by about
its standard error, s / sqrt(n). Another training seed would give another agent: an interval over
the seeds' means, from the percentile bootstrap (Efron, 1979), shows how much that changes the
score. With three seeds, the 95 % interval is simply their range.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rl3_sb3.experiments.evaluation.scores import mean_and_error

FloatArray = npt.NDArray[np.float64]

LEVEL = 0.95
_N_RESAMPLES = 9999


def seeds_interval(means: Sequence[float], level: float = LEVEL) -> tuple[float, float]:
    """Return a bootstrap interval for the mean over the seeds, the same at every call.

    Args:
        means: Each seed's mean over the held-out tasks. A single seed has no interval (nan, nan).
        level: Confidence level.

    Example:
        >>> seeds_interval([77.0, 77.0, 77.0])
        (77.0, 77.0)
    """
    if len(means) < 2:
        return float("nan"), float("nan")
    if len(set(means)) == 1:
        return means[0], means[0]
    from scipy.stats import bootstrap

    found = bootstrap(
        (np.asarray(means, np.float64),),
        np.mean,
        confidence_level=level,
        n_resamples=_N_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def median_index(means: Sequence[float]) -> int:
    """Return the index of the median; for an even number, of the lower of the two middle ones.

    Example:
        >>> median_index([77.1, 75.0, 76.2])
        2
    """
    order = sorted(range(len(means)), key=lambda i: means[i])
    return order[(len(order) - 1) // 2]


def paired_difference(one: FloatArray, other: FloatArray) -> tuple[float, float]:
    """Return mean and standard error of the differences task by task.

    What makes a task easy or hard for both agents cancels, so the error is smaller than that of the
    difference of two means.

    Args:
        one: Total reward in each task, shape (n_tasks,).
        other: The same for another agent in the same tasks, shape (n_tasks,).

    Raises:
        ValueError: The numbers of tasks differ.
    """
    if one.shape != other.shape:
        raise ValueError(
            f"`other` must be of the same tasks as `one`, got {len(other)} and {len(one)} of them."
        )
    return mean_and_error(one - other)
