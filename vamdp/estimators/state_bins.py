"""Discretize real-valued states into bins, so that tabular learners can use them.

A number x with known bounds falls into bin

    floor((x - low) / (high - low) * n_bins), clipped to [0, n_bins - 1].

Numbers outside the bounds belong to the outermost bins. Without bounds, the width of the bins grows
with the range observed (`vamdp.estimators.running_bins`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from vamdp.argument_checks import check_positive_integer

Floats = npt.NDArray[np.float64]

#: A bound of a Box of at least this size counts as no bound; some Boxes use float32's largest.
NO_BOUND = 1e30


@dataclass(frozen=True)
class StateBins:
    """Bins for the numbers of a state; pass it as a `state_key`.

    Args:
        n_bins: Number of bins of each number, at least 1, or one integer for all numbers. 1 ignores
            the number.
        low: Lower bound of each number, or one bound for all. -inf or None: unknown; the bins then
            grow with the range observed.
        high: Upper bound of each number, above `low`, or one bound for all. inf or None: unknown.

    Raises:
        ValueError: An argument is out of range, or the arguments have different lengths.

    Example:
        >>> bins = StateBins(4, low=(0.0, -1.0), high=(1.0, 1.0))
        >>> bins([0.3, 7.0])
        (1, 3)
        >>> bins.keys(np.array([[0.3, 7.0], [0.0, -0.2]]))
        array([[1., 3.],
               [0., 1.]])
    """

    n_bins: int | Sequence[int] = 8
    low: float | Sequence[float] | None = None
    high: float | Sequence[float] | None = None

    def __post_init__(self) -> None:
        lengths = {}
        for name in ("n_bins", "low", "high"):
            value = getattr(self, name)
            if isinstance(value, (Sequence, np.ndarray)):
                value = _as_tuple(name, value)
                object.__setattr__(self, name, value)
                lengths[name] = len(value)
        if len(set(lengths.values())) > 1:
            raise ValueError(
                f"`n_bins`, `low` and `high` must have the same length, got {lengths}."
            )
        d = max(lengths.values(), default=1)
        for n in self._each("n_bins", d):
            check_positive_integer("n_bins", n)
        for low, high in zip(*self._bounds(d), strict=True):
            if not low < high or (high - low == math.inf and math.isfinite(low + high)):
                raise ValueError(
                    f"`low` must be below `high` by a finite number, got {low!r} and {high!r}."
                )
        object.__setattr__(self, "_has_bounds", bool(np.isfinite(self._bounds(d)).all()))

    @classmethod
    def of_space(cls, space: spaces.Box, n_bins: int | Sequence[int] = 8) -> "StateBins":
        """Return bins with a Box's bounds; numbers without bounds get bins that grow.

        A number that can have one value only gets one bin.
        """
        low, high = (np.ravel(bound).astype(np.float64) for bound in (space.low, space.high))
        low[low <= -NO_BOUND], high[high >= NO_BOUND] = -np.inf, np.inf
        is_constant = low == high
        if is_constant.any():
            high[is_constant] += 1 + np.abs(high[is_constant])
            counts = cls(n_bins).counts(len(low))
            n_bins = [1 if one else n for one, n in zip(is_constant, counts, strict=True)]
        return cls(n_bins, low.tolist(), high.tolist())

    @property
    def has_bounds(self) -> bool:
        """Whether all bounds are known, so that the bins do not depend on the states observed."""
        has_bounds: bool = self.__dict__["_has_bounds"]
        return has_bounds

    def counts(self, d: int) -> list[int]:
        """Return the number of bins of each of d numbers.

        Raises:
            ValueError: The bins are for states of another length.
        """
        return [int(n) for n in self._each("n_bins", d)]

    def bounds(self, d: int) -> tuple[list[float], list[float]]:
        """Return the bounds of each of d numbers; both are infinite if either is unknown.

        Raises:
            ValueError: The bins are for states of another length.
        """
        low, high = self._bounds(d)
        known = [math.isfinite(a) and math.isfinite(b) for a, b in zip(low, high, strict=True)]
        return (
            [a if is_known else -math.inf for a, is_known in zip(low, known, strict=True)],
            [b if is_known else math.inf for b, is_known in zip(high, known, strict=True)],
        )

    def __call__(self, observation: Any) -> tuple[int, ...]:
        """Return the bins of one observation.

        Raises:
            ValueError: A bound is unknown, the observation has another length than the bins, or a
                number is NaN.
        """
        (key,) = self.keys(np.ravel(observation)[None])
        return tuple(int(k) for k in key)

    def keys(self, observations: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the bins of a batch of observations, shape (n, d).

        Raises:
            ValueError: A bound is unknown, the observations have another length than the bins, or a
                number is NaN.
        """
        numbers = np.asarray(observations, np.float64)
        numbers = numbers.reshape(len(numbers), -1)
        low, high = (np.array(bound) for bound in self.bounds(numbers.shape[1]))
        counts = np.array(self.counts(numbers.shape[1]), np.float64)
        if not np.isfinite(low).all():
            raise ValueError(
                f"`low` and `high` must be finite to use the bins outside ValueAugment, got {self}."
            )
        check_numbers(numbers)
        return bounded_bins(numbers, low, high, counts)

    def _bounds(self, d: int) -> tuple[list[float], list[float]]:
        low = [-math.inf if x is None else _number("low", x) for x in self._each("low", d)]
        high = [math.inf if x is None else _number("high", x) for x in self._each("high", d)]
        return low, high

    def _each(self, name: str, d: int) -> Sequence[Any]:
        """Return the argument of this name for each of d numbers."""
        value = getattr(self, name)
        if not isinstance(value, tuple):
            return [value] * d
        if len(value) != d:
            raise ValueError(
                f"`{name}` must be one number, or one per number of a state ({d}), got {value!r}."
            )
        return value


def bounded_bins(numbers: Floats, low: Floats, high: Floats, n_bins: Floats) -> Floats:
    """Return the bins of numbers (..., d) between known bounds (d,), n_bins (d,) each."""
    bins: Floats = np.clip(np.floor((numbers - low) / (high - low) * n_bins), 0, n_bins - 1)
    return bins


def _number(name: str, value: Any) -> float:
    if not isinstance(value, (int, float, np.integer, np.floating)):
        raise ValueError(f"`{name}` must be numbers, got {value!r}.")
    return float(value)


def _as_tuple(name: str, values: Any) -> tuple[Any, ...]:
    """Return an argument of several entries, which may include None, as a tuple.

    Raises:
        ValueError: It has no entries, or an entry is a sequence.
    """
    array = np.array(values, object)
    if isinstance(values, str) or array.ndim != 1 or array.size == 0:
        raise ValueError(
            f"`{name}` must be one number, or one per number of a state, got {values!r}."
        )
    return tuple(array.tolist())


def check_numbers(numbers: npt.NDArray[np.float64]) -> None:
    """Raise ValueError if one of the numbers (n, d) of observations is NaN."""
    if np.isnan(numbers).any():
        row = int(np.isnan(numbers).any(axis=1).argmax())
        raise ValueError(f"Observations must be numbers, got {numbers[row].tolist()}.")
