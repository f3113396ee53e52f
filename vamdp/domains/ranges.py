"""Ranges from which the physical quantities of a task are drawn."""

from __future__ import annotations

import math

import numpy as np

from vamdp.argument_checks import as_number

#: The smallest and the largest value; equal values make the quantity constant.
Range = tuple[float, float]


def check_positive_range(name: str, values: Range) -> None:
    """Raise ValueError unless the argument called `name` is a range of numbers above 0."""
    good = isinstance(values, (tuple, list)) and len(values) == 2
    if not good or not 0 < as_number(values[0]) <= as_number(values[1]) < math.inf:
        raise ValueError(
            f"`{name}` must be (low, high) with 0 < low <= high, got {values!r}. Pass equal "
            "numbers to make it constant."
        )


def draw(rng: np.random.Generator, values: Range) -> float:
    """Draw a number uniformly from a range."""
    return float(rng.uniform(*values))
