"""Scaled distances of real-valued states, with given scales or running standard deviations.

The distance of two states is Euclidean after dividing each coordinate by its scale. An infinite
scale removes its coordinate.
"""

import math
from collections.abc import Sequence

import numpy as np

from vamdp.argument_checks import check_squared_scale
from vamdp.compiled import njit

#: A standard deviation of at most this fraction of the mean is rounding noise.
NOISE = 1e-12

#: One positive number per coordinate, or None for running scales.
Scaling = Sequence[float] | None


def check_scales(scales: Scaling) -> None:
    """Raise ValueError unless `scales` is None, or at least one number above 0 of moderate size."""
    if scales is None:
        return
    is_row = isinstance(scales, np.ndarray) and scales.ndim == 1
    good = is_row or (isinstance(scales, Sequence) and not isinstance(scales, str))
    if not good or len(scales) == 0:
        raise ValueError(
            f"`scales` must be a tuple of one number for each coordinate, or None, got {scales!r}. "
            "For one coordinate pass (0.5,), or `0.5,` on the command line."
        )
    for i, scale in enumerate(scales):
        check_squared_scale(f"scales[{i}]", scale)


def check_n_scales(scales: Scaling, n_coordinates: int) -> None:
    """Raise ValueError if scales are given, but not one per coordinate of a state."""
    if scales is not None and len(scales) != n_coordinates:
        raise ValueError(
            f"`scales` must have {n_coordinates} numbers, one for each coordinate of a state, "
            f"got {scales!r}."
        )


@njit(cache=True, inline="always")
def note_spread(state, n_seen, mean, squares):
    """Add a state (d,) to the running mean and sum of squares (Welford, 1962).

    n_seen includes this state. A coordinate that never changed has a sum of exactly 0.
    """
    for x in range(state.size):
        above = state[x] - mean[x]
        mean[x] += above / n_seen
        squares[x] += above * (state[x] - mean[x])


@njit(cache=True, inline="always")
def renew_scales(n_seen, mean, squares, scale):
    """Write the standard deviation of each coordinate, or infinity if it has no spread.

    Rounding noise is not spread: numbers that differ only in their last digits count as equal.
    """
    for x in range(scale.size):
        deviation = math.sqrt(squares[x] / n_seen)
        scale[x] = deviation if deviation > NOISE * abs(mean[x]) else np.inf


@njit(cache=True, inline="always")
def squared_distance(one, other, scale):
    """Return the squared distance of two states (d,)."""
    total = 0.0
    for x in range(scale.size):
        along = (one[x] - other[x]) / scale[x]
        total += along * along
    return total
