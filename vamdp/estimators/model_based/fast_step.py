"""The step of one environment, in one compiled call with few arguments.

On a small model the work of a step takes half a microsecond, and handing a compiled function its
arguments takes longer: numba looks at each of the storage's fifteen arrays. So here they travel as
one array, of their addresses and sizes, and the kernel makes arrays of them again. That is safe
while the storage it was made from lives; `SingleStep` looks before every call whether it does.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import carray, njit, types  # type: ignore[attr-defined] # it has carray
from numba.extending import intrinsic

from vamdp.estimators.arguments import LARGEST_INTEGER
from vamdp.estimators.model_based.batch_kernels import _write_row
from vamdp.estimators.model_based.batch_value_estimator import BatchValueEstimator
from vamdp.estimators.model_based.dense_view import State
from vamdp.estimators.model_based.learned_model import _learn
from vamdp.estimators.model_based.storage import N_CONCRETE, N_STATES, N_TRIPLES, Storage
from vamdp.mdp.sweep_history import N_LINES

DONE, NO_ROOM, REWARD_NOT_FINITE = range(3)

# Entries of the array of addresses: the storage's arrays in their order, then these.
STATES, ALLOWED, OPTIONS, N_ACTIONS, N_COORDINATES, CAPACITY, TRIPLE_CAPACITY, DEPTH, START = range(
    len(Storage._fields), len(Storage._fields) + 9
)
#: Where no values are asked for.
NO_VECTOR = np.zeros(0, np.float32)
# The estimator's options in the order of its kernels, value_scale and count_scale.
N_OPTIONS = 11


@intrinsic  # the caller does not pass the typing context
def _pointer(typing_context, address=None):
    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


@njit(cache=True)
def _step(where, action, reward, terminated, is_masked, out):
    """Learn one transition of one task, and write its values into the observation.

    `where` holds the addresses of the storage, of the present and the next state (2, d), of the
    actions that the next one allows (A,), read if is_masked, and of the options. The next state
    becomes the present one. The values are written into `out` (size,) from entry START on; where
    `out` is empty nobody sees them, and planning waits.
    """
    n_actions, d = where[N_ACTIONS], where[N_COORDINATES]
    capacity, triple_capacity = where[CAPACITY], where[TRIPLE_CAPACITY]
    sizes = carray(_pointer(where[0]), (1, 7), np.int64)
    V = carray(_pointer(where[3]), (1, capacity), np.float64)
    triples = carray(_pointer(where[7]), (1, 4, triple_capacity), np.uint32)
    if not np.isfinite(reward):
        return REWARD_NOT_FINITE
    if (
        capacity - max(sizes[0, N_STATES], sizes[0, N_CONCRETE]) < 2
        or sizes[0, N_TRIPLES] == triple_capacity
    ):
        return NO_ROOM
    tables = carray(_pointer(where[1]), (1, 3, n_actions, capacity), np.float64)
    row_counts = carray(_pointer(where[2]), (1, 2, n_actions, capacity), np.uint32)
    members = carray(_pointer(where[4]), (1, capacity), np.int32)
    absorbing = carray(_pointer(where[5]), (1, capacity), np.bool_)
    blocked = carray(_pointer(where[6]), (1, n_actions, capacity), np.bool_)
    triple_values = carray(_pointer(where[8]), (1, 2, triple_capacity), np.float64)
    keys = carray(_pointer(where[9]), (1, capacity, d), np.uint64)
    ids = carray(_pointer(where[10]), (1, capacity, 2), np.int32)
    visits = carray(_pointer(where[11]), (1, capacity, n_actions), np.int32)
    masked = carray(_pointer(where[12]), (1, capacity, n_actions), np.bool_)
    hash_table = carray(_pointer(where[13]), (1, 2 * capacity), np.uint32)
    history = carray(_pointer(where[14]), (1, capacity + N_LINES, where[DEPTH]), np.float64)
    states = carray(_pointer(where[STATES]), (2, d), np.float64)
    state_keys = carray(_pointer(where[STATES]), (2, d), np.uint64)
    allowed = carray(_pointer(where[ALLOWED]), n_actions if is_masked else 0, np.bool_)
    options = carray(_pointer(where[OPTIONS]), N_OPTIONS, np.float64)
    c_next = _learn(
        0, state_keys[0], action, reward, state_keys[1], terminated, allowed, out.size > 0,
        sizes, tables, row_counts, V, members, absorbing, blocked, triples, triple_values,
        keys, ids, visits, masked, hash_table, history, options,
    )  # fmt: skip
    for i in range(d):
        states[0, i] = states[1, i]
    if out.size > 0:
        _write_row(
            0, c_next, tables, ids, visits, masked, options[9], options[10], where[START],
            out.reshape(1, -1),
        )  # fmt: skip
    return DONE


class SingleStep:
    """Learns one task step by step, and writes the values of its states.

    Args:
        batch: the learner, of one task.
        value_scale: what Q is divided by.
        count_scale: what counts are divided by.
        start: where the values begin in an observation vector.
        state_name: what errors call a state.
        mask_name: what errors call a mask.
    """

    def __init__(
        self,
        batch: BatchValueEstimator,
        value_scale: float = 1.0,
        count_scale: float = 1.0,
        start: int = 0,
        *,
        state_name: str = "state_key(observation)",
        mask_name: str = "action_mask",
    ) -> None:
        self.n_actions = batch.n_actions
        self._batch = batch
        self._state_name, self._mask_name = state_name, mask_name
        self._scales = (value_scale, count_scale)
        self._start = start
        self._options = np.array([*batch.options.as_array(), *self._scales])
        self._allowed = np.ones(batch.n_actions, np.bool_)  # in the next state
        self._states = np.zeros((2, 1))  # the present and the next
        self._one_number = True
        self._storage: Storage | None = None  # that the addresses belong to
        self._where = np.zeros(0, np.int64)

    def __getstate__(self) -> dict[str, Any]:
        # A copy has its arrays elsewhere.
        return {**self.__dict__, "_storage": None, "_where": None}

    def begin(self, state: State, mask: Any = None) -> None:
        """Make `state` the present one, and note the actions (A,) that it allows.

        Raises:
            ValueError: the state or the mask is none, or the state has another length.
            TypeError: the state is neither an int nor a tuple of numbers.
        """
        if not self._place(0, state):
            coordinates = self.coordinates(self._state_name.removeprefix("next_"), state)
            if coordinates.shape != self._states[:1].shape:
                self._states = np.zeros((2, coordinates.shape[1]))
                self._one_number = coordinates.shape[1] == 1
                self._storage = None
            self._states[0] = coordinates
        if mask is not None:
            allowed = check_action_mask(self._mask_name, mask, self.n_actions, required=True)
            self._batch.set_action_masks(self._states[:1], allowed[None])

    def step(
        self,
        action: int,
        reward: float,
        next_state: State,
        terminated: bool,
        mask: Any,
        vector: npt.NDArray[np.float32],
    ) -> None:
        """Learn the transition from the present state; the next one becomes the present one.

        Its values are written into the vector (size,), from `start` on. With NO_VECTOR nothing is
        planned until somebody looks.

        Raises:
            ValueError: the reward, the state or the mask is none, or the state has another length.
                Nothing is learned then.
            TypeError: the state is neither an int nor a tuple of numbers; likewise.
        """
        if type(next_state) is int and self._one_number and abs(next_state) <= LARGEST_INTEGER:
            self._states[1, 0] = next_state  # `_place`, without the call
        elif not self._place(1, next_state):
            coordinates = self.coordinates(self._state_name, next_state)
            if coordinates.shape != self._states[:1].shape:
                raise ValueError(
                    f"`{self._state_name}` must have {self._states.shape[1]} numbers as the state "
                    f"before, got {next_state!r}."
                )
            self._states[1] = coordinates
        if mask is not None:
            self._allowed[:] = check_action_mask(
                self._mask_name, mask, self.n_actions, required=not terminated
            )
        if self._storage is None or self._storage is not self._batch.storage:
            self._attach(next_state)
        status = _step(self._where, action, reward, terminated, mask is not None, vector)
        if status == NO_ROOM:
            self._batch.grow()
            self.step(action, reward, next_state, terminated, mask, vector)
        elif status == REWARD_NOT_FINITE:
            raise ValueError(f"`reward` must be finite, got {reward!r}.")
        elif vector is NO_VECTOR:
            self._batch.is_stale = True

    def show(self, vector: npt.NDArray[np.float32]) -> None:
        """Write the present state's values into the vector (size,), from `start` on."""
        self._batch.show(self._states[:1], *self._scales, self._start, vector[None])

    def coordinates(self, name: str, state: State) -> npt.NDArray[np.float64]:
        """A state as the batch takes it, (1, d).

        Raises:
            ValueError: a number is not finite or too large, or there are not as many as before.
            TypeError: it is neither an int nor a tuple of numbers.
        """
        parts = state if isinstance(state, tuple) else (state,)
        for x in parts:
            if not isinstance(x, (int, float, np.integer, np.floating)):
                raise TypeError(
                    f"`{name}` must be an int or a tuple of numbers, got {state!r}. "
                    "Map other states to such keys first."
                )
            if not abs(x) <= LARGEST_INTEGER:
                raise ValueError(f"`{name}` must be finite and below 2**53 in size, got {state!r}.")
            if parts[0] is state and x != int(x):
                raise ValueError(
                    f"`{name}` must be an int or a tuple of numbers, got {state!r}. A real number "
                    "hardly ever comes back: cut it into bins, or pass a tuple if this one does."
                )
        storage = self._batch.storage
        if not parts or (storage is not None and len(parts) != storage.keys.shape[2]):
            length = "at least 1" if storage is None else storage.keys.shape[2]
            raise ValueError(f"`{name}` must have {length} numbers, got {state!r}.")
        # Adding 0.0 makes -0.0 and 0.0, two bit patterns, one state.
        return np.array([[x + 0.0 for x in parts]], np.float64)

    def _place(self, row: int, state: State) -> bool:
        """Put a state of ints that fits where the kernel looks; returns whether it is one."""
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

    def _attach(self, state: State) -> None:
        """Look up where the arrays lie."""
        storage = self._batch.make_storage(self._states.shape[1])
        _, n_actions, capacity = storage.blocked.shape
        n_coordinates, triple_capacity = storage.keys.shape[2], storage.triples.shape[2]
        if n_coordinates != self._states.shape[1]:
            raise ValueError(
                f"`{self._state_name}` must have {n_coordinates} numbers, got {state!r}."
            )
        arrays = (*storage, self._states, self._allowed, self._options)
        depth = storage.history.shape[2]
        sizes = (n_actions, n_coordinates, capacity, triple_capacity, depth, self._start)
        self._where = np.array([*(array.ctypes.data for array in arrays), *sizes], np.int64)
        self._storage = storage


def check_action_mask(
    name: str, mask: Any, n_actions: int, required: bool
) -> npt.NDArray[np.bool_]:
    """An action mask as bools (A,).

    Raises:
        ValueError: it has another shape, or allows no action although that is `required`.
    """
    allowed = np.asarray(mask)
    if allowed.shape != (n_actions,):
        raise ValueError(f"`{name}` must have shape ({n_actions},), got {allowed.shape}.")
    allowed = allowed.astype(np.bool_)
    if required and not allowed.any():
        raise ValueError(f"`{name}` must be a mask that allows an action, got {mask!r}.")
    return allowed
