"""Physics that are drawn for each task: a range for every quantity."""

from __future__ import annotations

import math

import numpy as np

from vamdp.argument_checks import as_number

#: The least and the greatest value; two equal ones fix it.
Range = tuple[float, float]


def check_positive_range(name: str, values: Range) -> None:
    """Raise ValueError unless the argument called `name` is a range of numbers above 0."""
    good = isinstance(values, (tuple, list)) and len(values) == 2
    if not good or not 0 < as_number(values[0]) <= as_number(values[1]) < math.inf:
        raise ValueError(
            f"`{name}` must be (least, greatest) with 0 < least <= greatest, got {values!r}. "
            "Two equal ones fix it."
        )


def draw(rng: np.random.Generator, values: Range) -> float:
    """Draw a number uniformly from a range."""
    return float(rng.uniform(*values))
