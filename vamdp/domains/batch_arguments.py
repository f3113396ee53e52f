"""Check the arguments that create and reset a batch of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import check_positive_integer


def check_sizes(num_envs: int, max_episode_steps: int | None) -> None:
    """Raise ValueError unless both are integers of at least 1, or the limit is None."""
    check_positive_integer("num_envs", num_envs)
    if max_episode_steps is not None:
        check_positive_integer("max_episode_steps", max_episode_steps)


def check_one_each(tasks: Sequence[Any], num_envs: int) -> None:
    """Raise TypeError or ValueError unless `tasks` is a sequence of num_envs tasks."""
    if not isinstance(tasks, Sequence):
        raise TypeError(
            f"`task` must be a sequence of {num_envs} tasks, got {type(tasks).__name__}."
        )
    if len(tasks) != num_envs:
        raise ValueError(f"`task` must hold {num_envs} tasks, got {len(tasks)}.")


def marked_rows(mask: object, num_envs: int) -> npt.NDArray[np.int64]:
    """Return the indices marked by options["reset_mask"]; all indices if there is no mask.

    Raises:
        TypeError: The mask is not a bool array.
        ValueError: The mask has another shape, or marks no environment.
    """
    if mask is None:
        return np.arange(num_envs)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(f"`options['reset_mask']` must be a bool array, got {mask!r}.")
    if mask.shape != (num_envs,):
        raise ValueError(
            f"`options['reset_mask']` must have shape {(num_envs,)}, got {mask.shape}."
        )
    if not mask.any():
        raise ValueError("`options['reset_mask']` must mark at least one environment.")
    return np.flatnonzero(mask)
