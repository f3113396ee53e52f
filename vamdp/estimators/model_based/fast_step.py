"""Learn and write one step of a single environment in one compiled call with few arguments."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import carray  # type: ignore[attr-defined] # it has carray

from vamdp.compiled import njit
from vamdp.estimators.arguments import LARGEST_REWARD, check_action_mask, reward_error
from vamdp.estimators.estimator import UNSCALED, Scales
from vamdp.estimators.model_based.kernels import has_room, learn, write_state
from vamdp.estimators.model_based.open_storage import (
    N_ACTIONS,
    N_COORDINATES,
    N_ENTRIES,
    open_storage,
    pointer,
)
from vamdp.estimators.model_based.options import N_OPTIONS
from vamdp.estimators.model_based.storage import Storage
from vamdp.estimators.state_arguments import LARGEST_INTEGER, State, state_coordinates

DONE, NO_ROOM, BAD_REWARD = range(3)
# Bits of an int, since numba takes longer to recognise a bool.
TERMINATED, IS_MASKED, IS_NUMBER = 1, 2, 4

# Entries of the array of addresses after those of the storage. START is the first entry of the
# observation to write. States from LOWEST on are shown one-hot in the observation's first N_SHOWN
# entries.
STATES, ALLOWED, OPTIONS, START, LOWEST, N_SHOWN = range(N_ENTRIES, N_ENTRIES + 6)
# Entries of the array of options after those of the estimator.
VALUE_SCALE, COUNT_SCALE = N_OPTIONS, N_OPTIONS + 1
#: Pass this to `step` if no values are to be written.
NO_VECTOR = np.zeros(0, np.float32)


@njit(cache=True, borrows=True)
def _step(where, action, reward, number, flags, out):
    """Learn one transition of one task, and write the next state's values into the observation.

    `where` holds the addresses of the storage, of the current and the next state (2, d), of the
    next state's mask (A,), which is read if the flags have IS_MASKED, and of the options. With
    IS_NUMBER, `number` is the next state, and what `where` has is replaced. The next state becomes
    the current one. Its values are written into `out` (size,) from entry START on. If `out` is
    empty, nothing is written and planning is postponed.
    """
    if not abs(reward) <= LARGEST_REWARD:  # also NaN
        return BAD_REWARD
    known, model, plan = open_storage(where)
    if not has_room(0, known, model):
        return NO_ROOM
    states, state_keys, allowed, options = _open_step(where, flags & IS_MASKED)
    if flags & IS_NUMBER:
        states[1, 0] = number
        place = number - where[LOWEST]
        if 0 <= place < min(where[N_SHOWN], out.size):
            out[place] = 1.0
    c_next = learn(
        0, state_keys[0], action, reward, state_keys[1], flags & TERMINATED != 0, allowed,
        out.size > 0, known, model, plan, options,
    )  # fmt: skip
    for i in range(where[N_COORDINATES]):
        states[0, i] = states[1, i]
    if out.size > 0:
        start = where[START]
        write_state(
            0, c_next, options[VALUE_SCALE], options[COUNT_SCALE], known, plan,
            out[start : start + 2 * where[N_ACTIONS] + 1],
        )  # fmt: skip
    return DONE


@njit(cache=True)
def _open_step(where, masked):
    """Return the current and the next state, their keys, the mask and the options."""
    # Like `open_storage` without `borrows`, which a function that returns arrays cannot have.
    n_actions, d = where[N_ACTIONS], where[N_COORDINATES]
    return (
        carray(pointer(where[STATES]), (2, d), np.float64),
        carray(pointer(where[STATES]), (2, d), np.uint64),
        carray(pointer(where[ALLOWED]), n_actions if masked else 0, np.bool_),
        carray(pointer(where[OPTIONS]), N_OPTIONS + 2, np.float64),
    )


class FastStep:
    """Learns one task step by step, and writes the values of its states.

    Args:
        learner: A `BatchValueEstimator` of one task.
        scales: Divisors of Q and counts.
        start: Index of the first value in an observation vector.
        one_hot: States that `step_number` shows in the vector's first entries, one entry for each.
            Whoever calls `step` or `show` has written these entries.
        state_name: Name of a state in error messages.
        mask_name: Name of a mask in error messages.
    """

    def __init__(
        self,
        learner: Any,
        scales: Scales = UNSCALED,
        start: int = 0,
        one_hot: range = range(0),
        *,
        state_name: str = "state_key(observation)",
        mask_name: str = "action_mask",
    ) -> None:
        self.n_actions = learner.n_actions
        self._learner = learner
        self._state_name, self._mask_name = state_name, mask_name
        self._scales = scales
        self._part = slice(start, start + 2 * learner.n_actions + 1)
        self._one_hot = one_hot
        self._options = np.array([*learner.options.as_array(), *scales])
        self._allowed = np.ones(learner.n_actions, np.bool_)  # in the next state
        self._states = np.zeros((2, 1))  # the current and the next
        self._one_number = True
        # The storage that the addresses belong to. At first (), since a learner's own may be None.
        self._storage: Storage | tuple[()] = ()
        self._where = np.zeros(0, np.int64)

    def __getstate__(self) -> dict[str, Any]:
        # The arrays of a copy have other addresses.
        return {**self.__dict__, "_storage": (), "_where": None}

    def begin(self, state: State, mask: Any = None) -> None:
        """Make `state` the current one, and store its mask (A,).

        Raises:
            ValueError: A number of the state is not finite or too large, the state has another
                length, or the mask has another shape or allows no action.
            TypeError: The state is neither an int nor a tuple of numbers.
        """
        if not self._place(0, state):
            coordinates = self.coordinates(self._state_name.removeprefix("next_"), state)
            if coordinates.shape != self._states[:1].shape:
                self._states = np.zeros((2, coordinates.shape[1]))
                self._one_number = coordinates.shape[1] == 1
                self._storage = ()
            self._states[0] = coordinates
        if mask is not None:
            allowed = check_action_mask(self._mask_name, mask, self.n_actions, required=True)
            self._learner.set_action_masks(self._states[:1], allowed[None])

    def step(
        self,
        action: int,
        reward: float,
        next_state: State,
        terminated: bool,
        mask: Any,
        vector: npt.NDArray[np.float32],
    ) -> None:
        """Learn the transition from the current state to the next, which becomes the current one.

        The values of the next state are written into the vector (size,), from `start` on. With
        NO_VECTOR nothing is written, and only a warm start plans: call `note_unplanned` of the
        learner.

        Raises:
            ValueError: The reward is not finite or too large, or the state or the mask is invalid
                as in `begin`; nothing is learned.
            TypeError: The state is neither an int nor a tuple of numbers; nothing is learned.
        """
        if type(next_state) is int and mask is None and self._one_number:
            if abs(next_state) <= LARGEST_INTEGER:  # faster than what follows, with the same result
                self.step_number(action, reward, next_state, terminated, vector)
                return
        if not self._place(1, next_state):
            coordinates = self.coordinates(self._state_name, next_state)
            if coordinates.shape != self._states[:1].shape:
                raise ValueError(
                    f"`{self._state_name}` must have {self._states.shape[1]} numbers like the "
                    f"previous state, got {next_state!r}."
                )
            self._states[1] = coordinates
        flags = TERMINATED if terminated else 0
        if mask is not None:
            self._allowed[:] = check_action_mask(
                self._mask_name, mask, self.n_actions, required=not terminated
            )
            flags |= IS_MASKED
        if self._storage is not self._learner.storage:
            self._attach(next_state)
        while status := _step(self._where, action, reward, 0, flags, vector):
            self._raise_or_grow(status, reward, next_state)

    def step_number(
        self,
        action: int,
        reward: float,
        next_state: int,
        terminated: bool,
        vector: npt.NDArray[np.float32],
    ) -> None:
        """`step` to a state that is an int, where all states are ints, and without a mask.

        The size of the state is at most LARGEST_INTEGER. If it is in `one_hot`, it is also shown in
        the first entries of the vector.

        Raises:
            ValueError: The reward is not finite or too large; nothing is learned.
        """
        if self._storage is not self._learner.storage:
            self._attach(next_state)
        flags = IS_NUMBER | TERMINATED if terminated else IS_NUMBER
        while status := _step(self._where, action, reward, next_state, flags, vector):
            self._raise_or_grow(status, reward, next_state)

    def show(self, vector: npt.NDArray[np.float32]) -> None:
        """Write the current state's values into the vector (size,), from `start` on."""
        self._learner.write(self._states[:1], self._scales, vector[None, self._part])

    def coordinates(self, name: str, state: State) -> npt.NDArray[np.float64]:
        """Return a state as coordinates (1, d); raises as `state_coordinates` does."""
        storage = self._learner.storage
        return state_coordinates(name, state, None if storage is None else storage.keys.shape[2])

    def _place(self, row: int, state: State) -> bool:
        """Copy a state of ints with the right length into `_states`; returns whether it is one."""
        states = self._states
        if type(state) is int:
            if states.shape[1] == 1 and -LARGEST_INTEGER <= state <= LARGEST_INTEGER:
                states[row, 0] = state
                return True
        elif type(state) is tuple and len(state) == states.shape[1]:
            for i, x in enumerate(state):
                if type(x) is not int or not -LARGEST_INTEGER <= x <= LARGEST_INTEGER:
                    return False
                states[row, i] = x
            return True
        return False

    def _raise_or_grow(self, status: int, reward: float, next_state: State) -> None:
        """Raise ValueError for a bad reward; else there was no room, so make the storage larger."""
        if status == BAD_REWARD:
            raise ValueError(reward_error("reward", reward))
        self._learner.grow()
        self._attach(next_state)

    def _attach(self, state: State) -> None:
        """Collect the addresses of the arrays."""
        storage = self._learner.make_storage(self._states.shape[1])
        n_coordinates = storage.keys.shape[2]
        if n_coordinates != self._states.shape[1]:
            raise ValueError(
                f"`{self._state_name}` must have {n_coordinates} numbers, got {state!r}."
            )
        arrays = (self._states, self._allowed, self._options)
        shown = (self._part.start, self._one_hot.start, len(self._one_hot))
        places = (*(array.ctypes.data for array in arrays), *shown)
        self._where = np.concatenate([self._learner.where, np.array(places, np.int64)])
        self._storage = storage
