"""Check the arguments of batched learners, and convert them for compiled code.

Arrays have one entry per task. Arrays that already have the right type and layout, like those of
the wrappers, pass after one compiled check; others are converted. Errors name the first task whose
entry is invalid.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import LARGEST_OPTION, as_number, check_count
from vamdp.compiled import njit
from vamdp.estimators.plain_arrays import BOOL, FLOAT, FLOAT32, INT, as_array, is_plain
from vamdp.estimators.state_arguments import as_coordinates

#: Values are sums of rewards and are written as float32, whose largest number is 3.4e38.
LARGEST_REWARD = LARGEST_OPTION


def reward_error(name: str, reward: float) -> str:
    """Return the error message for a reward that is not finite or above LARGEST_REWARD in size."""
    if not np.isfinite(as_number(reward)):
        return f"`{name}` must be finite, got {reward!r}."
    return (
        f"`{name}` must be at most {LARGEST_REWARD:g} in size, got {reward!r}: values are "
        "written as float32. Scale the rewards down."
    )


class Transitions(NamedTuple):
    """One transition of each task, for compiled code; masks of shape (n_tasks, 0) mean no masks."""

    states: npt.NDArray[np.float64]
    actions: npt.NDArray[np.int64]
    rewards: npt.NDArray[np.float64]
    next_states: npt.NDArray[np.float64]
    terminated: npt.NDArray[np.bool_]
    next_action_masks: npt.NDArray[np.bool_]


def as_transitions(
    n_tasks: int,
    n_actions: int,
    n_coordinates: int | None,
    states: npt.ArrayLike,
    actions: npt.ArrayLike,
    rewards: npt.ArrayLike,
    next_states: npt.ArrayLike,
    terminated: npt.ArrayLike,
    next_action_masks: npt.ArrayLike | None,
) -> Transitions:
    """Check one transition of each task; `BatchValueEstimator.update` describes the arguments.

    Raises:
        ValueError: An argument has the wrong shape, type or range.
    """
    a: Any = actions
    r: Any = rewards
    ends: Any = terminated
    if not (
        is_plain(a, INT, (n_tasks,))
        and is_plain(r, FLOAT, (n_tasks,))
        and is_plain(ends, BOOL, (n_tasks,))
        and _are_transitions(a, r, n_actions)
    ):
        a = as_indices("actions", a, n_tasks, n_actions)
        r, ends = as_rewards(r, n_tasks), as_flags("terminated", ends, n_tasks)
    coordinates = as_coordinates("states", states, n_tasks, n_coordinates)
    d = coordinates.shape[1]
    next_coordinates = as_coordinates("next_states", next_states, n_tasks, n_coordinates)
    if next_coordinates.shape[1] != d:
        raise ValueError(
            f"`next_states` must have {d} numbers per state like `states`, got "
            f"{next_coordinates.shape[1]}."
        )
    masks = np.zeros((n_tasks, 0), np.bool_)
    if next_action_masks is not None:
        masks = as_masks("next_action_masks", next_action_masks, (n_tasks, n_actions))
    return Transitions(coordinates, a, r, next_coordinates, ends, masks)


def as_indices(name: str, values: npt.ArrayLike, n_tasks: int, n: int) -> npt.NDArray[np.int64]:
    """Return one integer in [0, n) per task, such as an action, as a new array (n_tasks,).

    Raises:
        ValueError: The values have another shape, type or range.
    """
    array = as_array(name, values)
    if array.shape != (n_tasks,) or array.dtype.kind not in "iu":
        raise ValueError(
            f"`{name}` must be integers of shape ({n_tasks},), got {array.dtype} of "
            f"shape {array.shape}."
        )
    check_each(name, array, (array >= 0) & (array < n), f"in [0, {n})")
    return array.astype(np.int64, order="C")


def as_numbers(name: str, values: npt.ArrayLike, n_tasks: int) -> npt.NDArray[np.float64]:
    """Return one number per task, perhaps NaN, as a new array (n_tasks,).

    Raises:
        ValueError: The values have another shape or type.
    """
    given = as_array(name, values)
    if given.shape != (n_tasks,):
        raise ValueError(f"`{name}` must have shape ({n_tasks},), got {given.shape}.")
    if given.dtype.kind not in "iufb":
        raise ValueError(f"`{name}` must be numbers, got {given.dtype}.")
    return given.astype(np.float64, order="C")


def as_rewards(rewards: npt.ArrayLike, n_tasks: int) -> npt.NDArray[np.float64]:
    """Return one reward per task as a new array (n_tasks,).

    Raises:
        ValueError: The rewards have another shape or type, or one is not finite or too large.
    """
    array = as_numbers("rewards", rewards, n_tasks)
    good = np.abs(array) <= LARGEST_REWARD  # False for NaN
    if not good.all():
        i = int(np.argmin(good))
        raise ValueError(reward_error(f"rewards[{i}]", float(array[i])))
    return array


def as_flags(name: str, flags: npt.ArrayLike | None, n_tasks: int) -> npt.NDArray[np.bool_]:
    """Return one bool per task as a new array (n_tasks,); None is True for all.

    Raises:
        ValueError: The flags have another shape or type.
    """
    if flags is None:
        return np.ones(n_tasks, np.bool_)
    given = as_array(name, flags)
    if given.shape != (n_tasks,):
        raise ValueError(f"`{name}` must have shape ({n_tasks},), got {given.shape}.")
    if given.dtype != np.bool_:
        raise ValueError(f"`{name}` must be bools, got {given.dtype}.")
    # A copy, because numba compiles strided and read-only arrays as other types.
    return given.astype(np.bool_, order="C")


def as_masks(name: str, masks: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Return action masks as bools.

    Args:
        name: The argument's name, for errors.
        masks: True or 1 for allowed actions, else False or 0; a row without True means that the
            mask is unknown.
        shape: The masks' shape, (n_tasks, n_actions), or (n_actions,) for one.

    Raises:
        ValueError: The masks have another shape or hold another value.
    """
    given = as_array(name, masks)
    if given.shape != shape:
        raise ValueError(f"`{name}` must have shape {shape}, got {given.shape}.")
    if given.dtype != np.bool_:
        good = (given == 0) | (given == 1)
        if not np.all(good):
            wrong = given[np.logical_not(good)].flat[0]
            raise ValueError(
                f"`{name}` must hold bools, or 0 and 1, got {wrong!r}. Give True where an action "
                "is allowed."
            )
    return given.astype(np.bool_, order="C")


def check_action_mask(
    name: str, mask: Any, n_actions: int, required: bool
) -> npt.NDArray[np.bool_]:
    """Return an action mask as bools, shape (A,).

    Raises:
        ValueError: It has another shape or holds another value, or it is `required` to allow an
            action and allows none.
    """
    allowed = as_masks(name, mask, (n_actions,))
    if required and not allowed.any():
        raise ValueError(f"`{name}` must be a mask that allows an action, got {mask!r}.")
    return allowed


def as_new_tasks(
    rows: npt.ArrayLike, seeds: Sequence[int | None], n_tasks: int
) -> npt.NDArray[np.bool_]:
    """Check the arguments of `Estimator.begin_tasks`, and return `rows` as bools (n_tasks,).

    Raises:
        ValueError: An argument has another length, or a seed is neither None nor at least 0.
    """
    if len(seeds) != n_tasks:
        raise ValueError(
            f"`seeds` must have {n_tasks} entries, one for each task, got {len(seeds)}. Pass None "
            "for a task whose random numbers go on."
        )
    for i, seed in enumerate(seeds):
        if seed is not None:
            check_count(f"seeds[{i}]", seed)
    return as_flags("rows", rows, n_tasks)


def check_out(out: npt.NDArray[np.float32], n_tasks: int, size: int) -> None:
    """Raise ValueError unless compiled code can write `size` float32 numbers per task into it."""
    good = type(out) is np.ndarray and out.dtype == FLOAT32 and out.shape == (n_tasks, size)
    if not (good and out.flags.writeable):
        raise ValueError(
            f"`out` must be a writable float32 array of shape ({n_tasks}, {size}), got "
            f"{getattr(out, 'dtype', type(out).__name__)} of shape {np.shape(out)}."
        )


def check_each(
    name: str, array: npt.NDArray[Any], good: npt.NDArray[np.bool_], condition: str
) -> None:
    """Raise ValueError naming the first entry of the argument that is not good."""
    if not good.all():
        i = int(np.argmin(good))
        raise ValueError(f"`{name}[{i}]` must be {condition}, got {array[i]}.")


@njit(cache=True, borrows=True)
def _are_transitions(actions, rewards, n_actions):
    """Whether all actions are in range and all rewards are at most LARGEST_REWARD in size."""
    for i in range(actions.size):
        if not (0 <= actions[i] < n_actions and abs(rewards[i]) <= LARGEST_REWARD):
            return False
    return True
