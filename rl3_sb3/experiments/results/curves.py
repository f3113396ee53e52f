"""Summarise a run's metrics: its learning curve, and how long it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rl3_sb3.experiments.runs.metrics import RETURN, SECONDS, STEPS

FloatArray = npt.NDArray[np.float64]

_POINTS = 100  # of a curve
# Neighbours on each side in a point's mean: usually 4, on long curves a hundredth of the points. On
# short curves fewer, or all points would have the same mean.
_HALF, _SHARE_OF_LONG, _SHARE_OF_SHORT = 4, 100, 4


def wall_time(rows: Sequence[Mapping[str, float]]) -> float:
    """Return the training time in seconds, of all processes of the run together.

    Earlier versions' clock began again in every process: it fell there, so these are summed.

    Args:
        rows: The run's metrics.

    Example:
        >>> wall_time([{"time/time_elapsed": t} for t in (10.0, 20.0, 5.0, 15.0)])
        35.0
    """
    elapsed = [row[SECONDS] for row in rows]
    ends = [now for now, then in zip(elapsed, [*elapsed[1:], -1.0], strict=True) if then < now]
    return float(sum(ends))


def learning_curve(rows: Sequence[Mapping[str, float]]) -> FloatArray:
    """Return the last step and the mean return of at most a hundred blocks, shape (n, 2).

    Args:
        rows: The run's metrics.
    """
    points = np.array([[row[STEPS], row[RETURN]] for row in rows])
    blocks = np.array_split(points, min(_POINTS, len(points)))
    return np.array([[block[-1, 0], block[:, 1].mean()] for block in blocks])


def centred_mean(values: FloatArray, half: int) -> FloatArray:
    """Return the mean of each value and its neighbours: a running mean without lag.

    Near the ends, the mean is over the neighbours that exist.

    Args:
        values: Shape (n,).
        half: Number of neighbours on each side.

    Example:
        >>> centred_mean(np.array([0.0, 3.0, 6.0, 9.0]), half=1)
        array([1.5, 3. , 6. , 7.5])
    """
    return np.array([values[max(0, i - half) : i + half + 1].mean() for i in range(len(values))])


def half_window(n: int) -> int:
    """Return the number of neighbours on each side in the running mean of a curve of n points.

    Example:
        >>> [half_window(n) for n in (1, 5, 9, 80, 5000)]
        [0, 1, 2, 4, 50]
    """
    return max(min(_HALF, (n - 1) // _SHARE_OF_SHORT), n // _SHARE_OF_LONG)
