"""Measure how fast an error falls: the slope of log error over log t, and its 95 % interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_N_RESAMPLES = 2000


class Slope(NamedTuple):
    """A fitted power law.

    Attributes:
        slope: The exponent: errors like c / sqrt(t) have -0.5.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
        c: The c for which c / sqrt(t) is closest to the curve.
    """

    slope: float
    low: float
    high: float
    c: float


def log_slope(
    steps: npt.NDArray[np.int64], errors: Sequence[FloatArray], first: int, last: int
) -> Slope:
    """Fit a line to log(mean error) over log(t), by least squares over a range of steps.

    One task's errors at different steps are not independent, so the interval resamples whole tasks
    (percentile bootstrap, with a fixed seed).

    Args:
        steps: The steps at which errors were measured, (n_steps,).
        errors: Errors at each of these steps, (n_tasks,).
        first: First step of the range.
        last: Last step of the range, which must contain at least two of the steps.

    Example:
        >>> steps = np.array([1, 4, 16])
        >>> log_slope(steps, [np.full(5, 3 / t**0.5) for t in steps], 1, 16).slope
        -0.5
    """
    inside = (steps >= first) & (steps <= last)
    if inside.sum() < 2:
        raise ValueError(f"`steps` must have two in [{first}, {last}], got {steps[inside]}.")
    log_t, measured = np.log(steps[inside]), np.stack(errors)[inside]
    n = measured.shape[1]
    shares = np.full(n, 1 / n)
    drawn = np.random.default_rng(0).multinomial(n, shares, _N_RESAMPLES) / n
    log_error = np.log(np.vstack([shares, drawn]) @ measured.T)  # (1 + resamples, steps inside)
    centred = log_t - log_t.mean()
    slopes = log_error @ centred / (centred**2).sum()
    low, high = np.quantile(slopes[1:], [0.025, 0.975])
    c = np.exp((log_error[0] + log_t / 2).mean())
    return Slope(round(float(slopes[0]), 12), float(low), float(high), float(c))
