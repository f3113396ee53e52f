"""Check the arguments of batched learners, and convert them for compiled code.

Arrays have one entry per task. Arrays that already have the right type and layout, like those of
the wrappers, pass after one compiled check; others are converted. Errors name the first task whose
entry is invalid.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import as_number
from vamdp.compiled import njit

#: A state of the environment.
State = int | tuple[float, ...]

#: States are stored as float64, which represents integers exactly up to here; 2**53 + 1 rounds.
LARGEST_INTEGER = 2**53 - 1

#: Values are sums of rewards and are written as float32, whose largest number is 3.4e38.
LARGEST_REWARD = 1e30


def as_coordinates(
    name: str, states: npt.ArrayLike, n_tasks: int, n_coordinates: int | None
) -> npt.NDArray[np.float64]:
    """Return states as their float64 coordinates, (n_tasks, d).

    Args:
        name: The argument's name, for errors.
        states: One int per task, shape (n_tasks,), or d numbers per task, shape (n_tasks, d).
        n_tasks: Number of tasks.
        n_coordinates: The required d. None: any.

    Raises:
        ValueError: The states have another shape, type or range.
    """
    array = np.asarray(states)
    d = n_coordinates or (array.shape[1] if array.ndim == 2 else 0)
    if d > 0 and _is_plain(array, _FLOAT, (n_tasks, d)) and _are_coordinates(array):
        return array
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
        raise ValueError(_size_error(f"{name}[{i}]", array.reshape(n_tasks, -1)[i, j]))
    if array.ndim == 1 and (coordinates != np.rint(coordinates)).any():
        i = int(np.argmax(coordinates[:, 0] != np.rint(coordinates[:, 0])))
        raise ValueError(
            f"`{name}[{i}]` must be an int or a row of numbers, got {array[i]}. A real number "
            "rarely occurs twice: discretize it, or pass rows of numbers if it does."
        )
    if n_coordinates not in (None, coordinates.shape[1]):
        raise ValueError(
            f"`{name}` must have {n_coordinates} numbers per state as before, got "
            f"{coordinates.shape[1]}."
        )
    coordinates += 0.0  # -0.0 becomes 0.0: the same state must have the same bits
    return coordinates


def state_coordinates(
    name: str, state: State, n_coordinates: int | None
) -> npt.NDArray[np.float64]:
    """Return one state as its float64 coordinates, (1, d).

    Raises:
        ValueError: A number is not finite or is too large, or the state does not have
            n_coordinates numbers.
        TypeError: The state is neither an int nor a tuple of numbers.
    """
    parts = state if isinstance(state, tuple) else (state,)
    for x in parts:
        if not isinstance(x, (int, float, np.integer, np.floating, np.bool_)):
            raise TypeError(
                f"`{name}` must be an int or a tuple of numbers, got {state!r}. "
                "Map other states to an int or a tuple first."
            )
        if not abs(x) <= LARGEST_INTEGER:
            raise ValueError(_size_error(name, state))
        if parts[0] is state and x != int(x):
            raise ValueError(
                f"`{name}` must be an int or a tuple of numbers, got {state!r}. A real number "
                "rarely occurs twice: discretize it, or pass a tuple of numbers if it does."
            )
    if not parts or n_coordinates not in (None, len(parts)):
        length = n_coordinates or "at least 1"
        raise ValueError(f"`{name}` must have {length} numbers, got {state!r}.")
    # Adding 0.0 turns -0.0 into 0.0: the same state must have the same bits.
    return np.array([[float(x) + 0.0 for x in parts]], np.float64)


def as_key(name: str, key: Any) -> Any:
    """Return a state key; a list or an array becomes a tuple.

    Raises:
        TypeError: The key is not hashable.
    """
    if isinstance(key, np.ndarray):
        key = key.tolist()
    if isinstance(key, list):
        key = tuple(key)
    try:
        hash(key)
    except TypeError as error:
        raise TypeError(f"`{name}` must be hashable, got {key!r}: {error}.") from error
    return key


def _size_error(name: str, value: Any) -> str:
    return (
        f"`{name}` must be finite and below 2**53 in size, got {value}. Split a larger int, such "
        "as a hash, into two halves: (key >> 32, key & 0xFFFFFFFF)."
    )


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
        _is_plain(a, _INT, (n_tasks,))
        and _is_plain(r, _FLOAT, (n_tasks,))
        and _is_plain(ends, _BOOL, (n_tasks,))
        and _are_transitions(a, r, n_actions)
    ):
        a = _as_actions(a, n_tasks, n_actions)
        r, ends = _as_outcomes(r, ends, n_tasks)
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


def _as_actions(actions: npt.ArrayLike, n_tasks: int, n_actions: int) -> npt.NDArray[np.int64]:
    """Return actions as (n_tasks,) integers in [0, n_actions)."""
    array = np.asarray(actions)
    if array.shape != (n_tasks,) or array.dtype.kind not in "iu":
        raise ValueError(
            f"`actions` must be integers of shape ({n_tasks},), got {array.dtype} of "
            f"shape {array.shape}."
        )
    check_each("actions", array, (array >= 0) & (array < n_actions), f"in [0, {n_actions})")
    return array.astype(np.int64)


def _as_outcomes(
    rewards: npt.ArrayLike, terminated: npt.ArrayLike, n_tasks: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return finite rewards and `terminated` flags, each of shape (n_tasks,)."""
    # Copies, because numba compiles strided and read-only arrays as other types.
    reward_array = np.array(rewards, dtype=np.float64, order="C")
    end_array = np.array(terminated, order="C")
    for name, array in (("rewards", reward_array), ("terminated", end_array)):
        if array.shape != (n_tasks,):
            raise ValueError(f"`{name}` must have shape ({n_tasks},), got {array.shape}.")
    good = np.abs(reward_array) <= LARGEST_REWARD  # False for NaN
    if not good.all():
        i = int(np.argmin(good))
        raise ValueError(reward_error(f"rewards[{i}]", float(reward_array[i])))
    if end_array.dtype != np.bool_:
        raise ValueError(f"`terminated` must be bools, got {end_array.dtype}.")
    return reward_array, end_array


def as_masks(name: str, masks: npt.ArrayLike, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return action masks as bools.

    Args:
        name: The argument's name, for errors.
        masks: True for allowed actions; a row without True means that the mask is unknown.
        shape: (n_tasks, n_actions).

    Raises:
        ValueError: The masks have another shape.
    """
    allowed = np.asarray(masks)
    if allowed.shape != shape:
        raise ValueError(f"`{name}` must have shape {shape}, got {allowed.shape}.")
    return allowed.astype(np.bool_, order="C")


def check_action_mask(
    name: str, mask: Any, n_actions: int, required: bool
) -> npt.NDArray[np.bool_]:
    """Return an action mask as bools, shape (A,).

    Raises:
        ValueError: It has another shape, or it is `required` to allow an action and allows none.
    """
    allowed = np.asarray(mask)
    if allowed.shape != (n_actions,):
        raise ValueError(f"`{name}` must have shape ({n_actions},), got {allowed.shape}.")
    allowed = allowed.astype(np.bool_)
    if required and not allowed.any():
        raise ValueError(f"`{name}` must be a mask that allows an action, got {mask!r}.")
    return allowed


def check_each(
    name: str, array: npt.NDArray[Any], good: npt.NDArray[np.bool_], condition: str
) -> None:
    """Raise ValueError naming the first entry of the argument that is not good."""
    if not good.all():
        i = int(np.argmin(good))
        raise ValueError(f"`{name}[{i}]` must be {condition}, got {array[i]}.")


_FLOAT, _INT, _BOOL = np.dtype(np.float64), np.dtype(np.int64), np.dtype(np.bool_)


def _is_plain(array: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bool:
    """Whether this is a contiguous, writable array of this dtype and shape."""
    return (
        type(array) is np.ndarray
        and array.dtype == dtype
        and array.shape == shape
        and array.flags.carray
    )


@njit(cache=True, borrows=True)
def _are_coordinates(states):
    """Whether all numbers are at most LARGEST_INTEGER in size and none is -0.0."""
    for x in states.flat:
        if not abs(x) <= LARGEST_INTEGER or (x == 0.0 and np.signbit(x)):
            return False
    return True


@njit(cache=True, borrows=True)
def _are_transitions(actions, rewards, n_actions):
    """Whether all actions are in range and all rewards are at most LARGEST_REWARD in size."""
    for i in range(actions.size):
        if not (0 <= actions[i] < n_actions and abs(rewards[i]) <= LARGEST_REWARD):
            return False
    return True
