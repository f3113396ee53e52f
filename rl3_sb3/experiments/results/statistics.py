"""What is said about several seeds, and about two agents in the same tasks.

Two kinds of chance are kept apart. Another set of held-out tasks would move an agent's mean by its
standard error, s / sqrt(n). Another seed of the training would make another agent: how far that
moves the score is told by an interval over the seeds' means, by the percentile bootstrap (Efron,
1979). Of three seeds the interval at 95 % is just their range.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rl3_sb3.experiments.results.evaluation import mean_and_error

FloatArray = npt.NDArray[np.float64]

LEVEL = 0.95
_N_RESAMPLES = 9999


def seeds_interval(means: Sequence[float], level: float = LEVEL) -> tuple[float, float]:
    """Return a bootstrap interval for the mean over the seeds, the same at every call.

    Args:
        means: Each seed's mean over the held-out tasks; a single one has no interval (nan, nan).
        level: Of confidence.

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
    """Return which seed has the median of the means; of an even number, the lower of the two.

    Example:
        >>> median_index([77.1, 75.0, 76.2])
        2
    """
    order = sorted(range(len(means)), key=lambda i: means[i])
    return order[(len(order) - 1) // 2]


def paired_difference(one: FloatArray, other: FloatArray) -> tuple[float, float]:
    """Return mean and standard error of the differences task by task.

    What makes a task easy or hard for both falls out, so that the error is smaller than that of the
    difference of two means.

    Args:
        one: Total rewards in each task, shape (n_tasks,).
        other: Those of another agent in the same tasks, shape (n_tasks,).

    Raises:
        ValueError: They are not of equally many tasks.
    """
    if one.shape != other.shape:
        raise ValueError(
            f"`other` must be of the same tasks as `one`, got {len(other)} and {len(one)} of them."
        )
    return mean_and_error(one - other)
