"""`Transformation`: a symmetry of tasks, such as a turned grid, or a pole and its mirror image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Transformation:
    """Other names of the actions, and what becomes of a state under them.

    Entry k of a transformed state is ``scale[k] * state[origin[k]] + shift[k]``. A state is what a
    policy observes of it, flattened: a one-hot of a `Discrete` state, scaled coordinates of a grid.

    Args:
        new_labels: The new number of each action, a permutation, length n_actions.
        origin: A permutation of a state's entries, length d.
        scale: A factor for each entry, length d; None: 1.
        shift: What is added to each entry, length d; None: 0.

    Raises:
        ValueError: An argument is no permutation, or has another length, or numbers that are not
            finite or, in `scale`, 0.

    Example:
        A pole on a cart and its mirror image: left is right, and all numbers change their signs.

        >>> mirrored = Transformation([1, 0], origin=range(4), scale=[-1, -1, -1, -1])
        >>> mirrored.new_labels, mirrored.shift
        ((1, 0), (0.0, 0.0, 0.0, 0.0))
    """

    new_labels: Sequence[int]
    origin: Sequence[int] = ()
    scale: Sequence[float] | None = None
    shift: Sequence[float] | None = None

    def __post_init__(self) -> None:
        for name in ("new_labels", "origin"):
            given = getattr(self, name)
            numbers = _numbers(given)
            if sorted(numbers) != list(range(len(numbers))):
                raise ValueError(f"`{name}` must be a permutation of 0 to n - 1, got {given!r}.")
            object.__setattr__(self, name, tuple(int(n) for n in numbers))
        n = len(self.origin)
        for name, usual in (("scale", 1.0), ("shift", 0.0)):
            given = getattr(self, name)
            numbers = [usual] * n if given is None else _numbers(given)
            if len(numbers) != n or not np.isfinite(numbers).all():
                raise ValueError(
                    f"`{name}` must be a finite number for each of the {n} entries in `origin`, "
                    f"got {given!r}."
                )
            object.__setattr__(self, name, tuple(numbers))
        if self.scale is not None and 0.0 in self.scale:
            raise ValueError(f"`scale` must not be 0, got {self.scale!r}: an entry would be lost.")


def _numbers(given: Any) -> list[float]:
    """Return a sequence of numbers as floats, or NaN alone for anything else."""
    try:
        return [float(x) for x in given]
    except (TypeError, ValueError):
        return [float("nan")]
