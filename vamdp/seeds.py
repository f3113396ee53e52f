"""Seeds of resets: of one environment, and of each environment of a batch."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Seeds = int | Sequence[int | None] | npt.NDArray[np.integer[Any]] | None

#: Seeds that we generate for tasks and environments are below this. Gymnasium accepts seeds of any
#: size, but environments with older generators or a C++ core need seeds of at most 31 bits.
N_SEEDS = 2**31


def plain_seed(seed: Any, name: str = "seed") -> int | None:
    """Return a seed as a Python int or None; Gymnasium rejects NumPy integers.

    Raises:
        TypeError: The seed is not an integer.
        ValueError: The seed is negative.
    """
    if seed is None:
        return None
    try:
        plain = operator.index(seed)
    except TypeError:
        raise TypeError(f"`{name}` must be an int or None, got {seed!r}.") from None
    if plain < 0:
        raise ValueError(f"`{name}` must be at least 0, got {plain}.")
    return plain


def seed_of_each(seed: Seeds, num_envs: int) -> list[int | None]:
    """Return one seed per environment: s + i for an int s, a sequence's own, or all None.

    Raises:
        TypeError: The seed is neither an integer nor a sequence of integers.
        ValueError: A sequence has another length, or a seed is below 0.
    """
    if seed is None:
        return [None] * num_envs
    each: Any = seed
    if isinstance(each, str) or (not isinstance(each, Sequence) and np.ndim(each) == 0):
        first: Any = plain_seed(each)
        return [first + i for i in range(num_envs)]
    if len(each) != num_envs:
        raise ValueError(f"`seed` must give {num_envs} seeds, got {len(each)}.")
    return [plain_seed(one, f"seed[{i}]") for i, one in enumerate(each)]
