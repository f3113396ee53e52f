"""Check the states that a learner is told, and convert them to coordinates for compiled code.

A state is an int or a tuple of numbers; either becomes a row of float64. The keys of `ValueAugment`
may be anything hashable.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import as_number
from vamdp.compiled import njit
from vamdp.estimators.plain_arrays import FLOAT, as_array, is_plain

#: A state of the environment.
State = int | tuple[float, ...]

#: States are stored as float64, which represents integers exactly up to here; 2**53 + 1 rounds.
LARGEST_INTEGER = 2**53 - 1


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
    array = as_array(name, states)
    d = n_coordinates or (array.shape[1] if array.ndim == 2 else 0)
    if d > 0 and is_plain(array, FLOAT, (n_tasks, d)) and _are_coordinates(array):
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
    error = f"`{name}` must be finite and below 2**53 in size, got {value}."
    for x in value if isinstance(value, tuple) else (value,):
        if isinstance(x, (int, np.integer)) and not abs(int(x)) <= LARGEST_INTEGER:
            return f"{error} Split a larger int, such as a hash: (key >> 32, key & 0xFFFFFFFF)."
        if LARGEST_INTEGER < abs(as_number(x)) < math.inf:
            return f"{error} Choose other units."
    return error


@njit(cache=True, borrows=True)
def _are_coordinates(states):
    """Whether all numbers are at most LARGEST_INTEGER in size and none is -0.0."""
    for x in states.flat:
        if not abs(x) <= LARGEST_INTEGER or (x == 0.0 and np.signbit(x)):
            return False
    return True
