"""Argument checks that many constructors share. Every error names the argument."""

import difflib
import math
import numbers
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeGuard, TypeVar

import numpy as np

Options = TypeVar("Options")

#: Larger numbers could overflow in sums and products, or as float32, whose largest is 3.4e38.
LARGEST_OPTION = 1e30

#: A limit of steps or sweeps that is never reached. It is exact as int64 and as float64.
NO_LIMIT = 2**53

#: Bounds of scales that are squared. Ratios of two such squares, and of the square of a state's
#: coordinate to both, are finite and not 0.
SMALLEST_SQUARED, LARGEST_SQUARED = 1e-30, 1e30


def as_options(kind: type[Options], options: Mapping[str, Any]) -> Options:
    """Build an options dataclass from keyword arguments.

    Raises:
        TypeError: An option is unknown.
        ValueError: An option is out of range.
    """
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type] # a dataclass
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise TypeError(
                f"`{name}` is not an option.{hint} The options of {kind.__name__} are "
                f"{', '.join(known)}."
            )
    return kind(**options)


def is_integer(value: object) -> TypeGuard[int]:
    """Whether the value is an integer; a bool is none, because True is no number of things."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_positive_integer(name: str, value: object) -> None:
    """Raise ValueError unless the argument called `name` is an integer of at least 1."""
    if not is_integer(value) or value < 1:
        raise ValueError(f"`{name}` must be an integer of at least 1, got {value!r}.")


def check_count(name: str, value: object) -> None:
    """Raise ValueError unless the argument called `name` is an integer of at least 0."""
    if not is_integer(value) or value < 0:
        raise ValueError(f"`{name}` must be an integer of at least 0, got {value!r}.")


def as_limit(n: float) -> int:
    """Return a limit of steps or sweeps for compiled code, at most NO_LIMIT."""
    return min(int(n), NO_LIMIT)


def as_number(value: object) -> float:
    """Return a number as a float, or NaN if the value is not a number.

    NaN fails every comparison, so a range check rejects it with an error that names the argument.
    Comparing None with a number would raise Python's own error, which does not.
    """
    if isinstance(value, (str, bytes)):  # float() would accept "1"
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type] # whatever it is
    except (TypeError, ValueError, OverflowError):
        return math.nan


def require_flag(name: str, value: object) -> None:
    """Raise ValueError unless the argument called `name` is a bool; 0.2 would count as True."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"`{name}` must be True or False, got {value!r}.")


def check_scale(name: str, value: float) -> None:
    """Raise ValueError unless the argument called `name` is a finite number above 0."""
    if not 0 < as_number(value) < math.inf:
        raise ValueError(f"`{name}` must be finite and above 0, got {value!r}.")


def check_squared_scale(name: str, value: float) -> None:
    """Raise ValueError unless the argument called `name` is above 0 and can be squared."""
    check_scale(name, value)
    if not SMALLEST_SQUARED <= value <= LARGEST_SQUARED:
        raise ValueError(
            f"`{name}` must be from {SMALLEST_SQUARED:g} to {LARGEST_SQUARED:g}, got {value!r}: "
            "it is squared and used as a divisor. Choose other units."
        )


def check_not_negative(name: str, value: float) -> None:
    """Raise ValueError unless the argument called `name` is from 0 to LARGEST_OPTION."""
    if not 0 <= as_number(value) < math.inf:
        raise ValueError(f"`{name}` must be finite and at least 0, got {value!r}.")
    check_finite(name, value)


def check_discount(gamma: float) -> None:
    """Raise ValueError unless gamma is in [0, 1]."""
    if not 0 <= as_number(gamma) <= 1:
        raise ValueError(f"`gamma` must be in [0, 1], got {gamma!r}.")


def check_share(name: str, value: float) -> None:
    """Raise ValueError unless the argument called `name` is a number in [0, 1]."""
    if not 0 <= as_number(value) <= 1:
        raise ValueError(f"`{name}` must be in [0, 1], got {value!r}.")


def check_finite(name: str, value: float) -> None:
    """Raise ValueError unless the argument called `name` is at most LARGEST_OPTION in size."""
    if not math.isfinite(as_number(value)):
        raise ValueError(f"`{name}` must be finite, got {value!r}.")
    if abs(value) > LARGEST_OPTION:
        raise ValueError(
            f"`{name}` must be at most {LARGEST_OPTION:g} in size, got {value!r}. Choose other "
            "units."
        )
