"""Scales of real-valued states: checked where they are given, and running where they are not.

The distance of two states is Euclidean after each coordinate was divided by its scale. A scale of
infinity takes its coordinate out.
"""

import math
from collections.abc import Sequence

import numpy as np

from vamdp.compiled import njit

#: A standard deviation of at most this share of the mean is rounding noise.
NOISE = 1e-12

#: One positive number a coordinate, or None.
Scaling = Sequence[float] | None


def check_scales(scales: Scaling) -> None:
    """Raise ValueError unless these are finite numbers above 0, at least one, or None."""
    if scales is None:
        return
    good = not isinstance(scales, str) and isinstance(scales, (Sequence, np.ndarray))
    if not good or len(scales) == 0:
        raise ValueError(
            f"`scales` must be a tuple of one number for each coordinate, or None, got {scales!r}."
        )
    for i, scale in enumerate(scales):
        is_number = isinstance(scale, (int, float, np.integer, np.floating))
        if not is_number or not 0 < scale < math.inf:
            raise ValueError(f"`scales[{i}]` must be finite and above 0, got {scale!r}.")


def check_n_scales(scales: Scaling, n_coordinates: int) -> None:
    """Raise ValueError where scales are given, but not one for each coordinate of a state."""
    if scales is not None and len(scales) != n_coordinates:
        raise ValueError(
            f"`scales` must have {n_coordinates} numbers, one for each coordinate of a state, "
            f"got {scales!r}."
        )


@njit(cache=True, inline="always")
def note_spread(state, n_seen, mean, squares):
    """Take a state (d,) into the running mean and sum of squares (Welford, 1962); n_seen with it.

    A coordinate that always was the same has a sum of exactly 0.
    """
    for x in range(state.size):
        above = state[x] - mean[x]
        mean[x] += above / n_seen
        squares[x] += above * (state[x] - mean[x])


@njit(cache=True, inline="always")
def renew_scales(n_seen, mean, squares, scale):
    """Write the standard deviation of each coordinate; infinity where it has no spread.

    Rounding noise is none: numbers that differ in their last digits are one.
    """
    for x in range(scale.size):
        deviation = math.sqrt(squares[x] / n_seen)
        scale[x] = deviation if deviation > NOISE * abs(mean[x]) else np.inf


@njit(cache=True, inline="always")
def squared_distance(one, other, scale):
    """The squared distance of two states (d,)."""
    total = 0.0
    for x in range(scale.size):
        along = (one[x] - other[x]) / scale[x]
        total += along * along
    return total
