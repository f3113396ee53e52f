"""Arguments of the batched learner, one entry a task: checked, and as the compiled code takes them.

Errors name the first task whose entry is at fault.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

#: States are kept as float64, which tells integers apart up to here (2**53 + 1 rounds to 2**53).
LARGEST_INTEGER = 2**53 - 1


def as_coordinates(
    name: str, states: npt.ArrayLike, n_tasks: int, n_coordinates: int | None
) -> npt.NDArray[np.float64]:
    """Return states as their float64 coordinates, (n_tasks, d).

    Args:
        name: The argument's, for errors.
        states: One int, or d numbers, a task.
        n_tasks: How many.
        n_coordinates: What d must be; None: any.

    Raises:
        ValueError: the states are something else.
    """
    array = np.asarray(states)
    if array.ndim not in (1, 2) or array.shape[0] != n_tasks or array.size == 0:
        raise ValueError(
            f"`{name}` must have shape ({n_tasks},) or ({n_tasks}, d), got {array.shape}."
        )
    if array.dtype.kind not in "iufb":
        raise ValueError(f"`{name}` must be numbers, got {array.dtype}.")
    coordinates = array.astype(np.float64, order="C").reshape(n_tasks, -1)
    within = np.abs(coordinates) <= LARGEST_INTEGER  # False for NaN
    if not within.all():
        i, j = np.argwhere(~within)[0]
        raise ValueError(
            f"`{name}[{i}]` must be finite and below 2**53 in size, got {coordinates[i, j]}."
        )
    if array.ndim == 1 and (coordinates != np.rint(coordinates)).any():
        i = int(np.argmax(coordinates[:, 0] != np.rint(coordinates[:, 0])))
        raise ValueError(
            f"`{name}[{i}]` must be an int or a row of numbers, got {array[i]}. A real number "
            "hardly ever comes back: cut it into bins, or pass rows if this one does."
        )
    if n_coordinates not in (None, coordinates.shape[1]):
        raise ValueError(
            f"`{name}` must have {n_coordinates} numbers a state as before, got "
            f"{coordinates.shape[1]}."
        )
    coordinates += 0.0  # -0.0 and 0.0 are one state, but two bit patterns
    return coordinates


def as_actions(actions: npt.ArrayLike, n_tasks: int, n_actions: int) -> npt.NDArray[np.int64]:
    """Return actions as (n_tasks,) integers in [0, n_actions).

    Raises:
        ValueError: they are something else.
    """
    array = np.asarray(actions)
    if array.shape != (n_tasks,) or array.dtype.kind not in "iu":
        raise ValueError(
            f"`actions` must be integers of shape ({n_tasks},), got {array.dtype} of "
            f"shape {array.shape}."
        )
    check_each("actions", array, (array >= 0) & (array < n_actions), f"in [0, {n_actions})")
    return array.astype(np.int64)


def as_outcomes(
    rewards: npt.ArrayLike, terminated: npt.ArrayLike, n_tasks: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return finite rewards and ends, (n_tasks,) each.

    Raises:
        ValueError: they are something else.
    """
    # Copies: an array that is strided or read-only would be another type to the compiled code.
    reward_array = np.array(rewards, dtype=np.float64, order="C")
    end_array = np.array(terminated, order="C")
    for name, array in (("rewards", reward_array), ("terminated", end_array)):
        if array.shape != (n_tasks,):
            raise ValueError(f"`{name}` must have shape ({n_tasks},), got {array.shape}.")
    check_each("rewards", reward_array, np.isfinite(reward_array), "finite")
    if end_array.dtype != np.bool_:
        raise ValueError(f"`terminated` must be bools, got {end_array.dtype}.")
    return reward_array, end_array


def as_masks(
    name: str, masks: npt.ArrayLike, shape: tuple[int, int], applies: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return action masks as bools.

    Args:
        name: The argument's, for errors.
        masks: True at the actions that are allowed.
        shape: (n_tasks, n_actions).
        applies: (n_tasks,), True where at least one action must be allowed.

    Raises:
        ValueError: they are something else.
    """
    allowed = np.asarray(masks)
    if allowed.shape != shape:
        raise ValueError(f"`{name}` must have shape {shape}, got {allowed.shape}.")
    allowed = allowed.astype(np.bool_, order="C")
    check_each(name, allowed, allowed.any(axis=1) | ~applies, "a mask that allows an action")
    return allowed


def check_each(
    name: str, array: npt.NDArray[Any], good: npt.NDArray[np.bool_], condition: str
) -> None:
    """Raise ValueError that names the first entry of the argument that is not good."""
    if not good.all():
        i = int(np.argmin(good))
        raise ValueError(f"`{name}[{i}]` must be {condition}, got {array[i]}.")
