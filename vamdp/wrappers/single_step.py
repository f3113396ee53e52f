"""The step of one environment, in one compiled call with few arguments.

On a small model the work of a step takes half a microsecond, and handing a compiled function its
arguments takes longer: numba looks at each of the storage's fourteen arrays. So here they travel as
one array, of their addresses and sizes, and the kernel makes arrays of them again. That is safe
while the storage it was made from lives; `SingleStep` looks before every call whether it does.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import carray, njit, types  # type: ignore[attr-defined] # it has carray
from numba.extending import intrinsic

from vamdp.batch_kernels import _write_features
from vamdp.batch_value_estimator import LARGEST_INTEGER
from vamdp.learned_model import _learn
from vamdp.model_storage import N_CONCRETE, N_STATES, N_TRIPLES, Storage
from vamdp.value_estimator import ValueEstimator

DONE, NO_ROOM, REWARD_NOT_FINITE = range(3)

# Entries of the array of addresses: the storage's arrays in their order, then these.
STATES, ALLOWED, OPTIONS, N_ACTIONS, N_COORDINATES, CAPACITY, TRIPLE_CAPACITY, START = range(
    len(Storage._fields), len(Storage._fields) + 8
)
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
    becomes the present one. The values are written into `out` (size,) from entry START on.
    """
    n_actions, d = where[N_ACTIONS], where[N_COORDINATES]
    capacity, triple_capacity = where[CAPACITY], where[TRIPLE_CAPACITY]
    sizes = carray(_pointer(where[0]), (1, 5), np.int64)
    V = carray(_pointer(where[3]), (1, capacity), np.float64)
    triples = carray(_pointer(where[7]), (1, 4, triple_capacity), np.uint32)
    if not np.isfinite(reward):
        return REWARD_NOT_FINITE
    if (
        capacity - max(sizes[0, N_STATES], sizes[0, N_CONCRETE]) < 2
        or sizes[0, N_TRIPLES] == triple_capacity
    ):
        return NO_ROOM
    tables = carray(_pointer(where[1]), (1, 4, n_actions, capacity), np.float64)
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
    states = carray(_pointer(where[STATES]), (2, d), np.float64)
    state_keys = carray(_pointer(where[STATES]), (2, d), np.uint64)
    allowed = carray(_pointer(where[ALLOWED]), n_actions if is_masked else 0, np.bool_)
    options = carray(_pointer(where[OPTIONS]), N_OPTIONS, np.float64)
    _learn(
        0, state_keys[0], action, reward, state_keys[1], terminated, allowed,
        sizes, tables, row_counts, V, members, absorbing, blocked, triples, triple_values,
        keys, ids, visits, masked, hash_table,
        options[0], options[1], options[2], np.int64(options[3]), options[4] != 0, options[5] != 0,
        np.int64(options[6]), options[7], options[8] != 0,
    )  # fmt: skip
    for i in range(d):
        states[0, i] = states[1, i]
    _write_features(
        states[:1], tables, keys, ids, visits, masked, hash_table, options[9], options[10],
        where[START], out.reshape(1, -1),
    )  # fmt: skip
    return DONE


class SingleStep:
    """What `ValueAugment` does with a `ValueEstimator`: learn, and write observations.

    Args:
        estimator: the learner.
        value_scale: what Q is divided by.
        count_scale: what counts are divided by.
        start: where the values begin in an observation vector.
    """

    def __init__(
        self, estimator: ValueEstimator, value_scale: float, count_scale: float, start: int
    ) -> None:
        self.n_actions = estimator.n_actions
        self._estimator, self._batch = estimator, estimator.batch
        self._scales = (value_scale, count_scale)
        self._start = start
        options = self._batch.options.as_kernel_arguments()
        self._options = np.array([float(x) for x in (*options, *self._scales)])
        self._allowed = np.ones(self.n_actions, np.bool_)  # in the next state
        self._states = np.zeros((2, 1))  # the present and the next
        self._storage: Storage | None = None  # that the addresses belong to
        self._where = np.zeros(0, np.int64)

    def __getstate__(self) -> dict[str, Any]:
        # A copy has its arrays elsewhere.
        return {**self.__dict__, "_storage": None, "_where": None}

    def begin(self, key: Any, mask: Any, vector: npt.NDArray[np.float32]) -> None:
        """Start an episode in the state `key`; write its values into the vector (size,)."""
        state = self._estimator.encode("state_key(observation)", key)
        if mask is not None:
            self._batch.set_action_masks(state, np.asarray(mask)[None])
        if self._states.shape[1] != state.shape[1]:
            self._states = np.zeros((2, state.shape[1]))
            self._storage = None
        self._states[0] = state
        self._batch.show(state, *self._scales, self._start, vector[None])

    def step(
        self,
        action: int,
        reward: float,
        key: Any,
        terminated: bool,
        mask: Any,
        vector: npt.NDArray[np.float32],
    ) -> None:
        """Learn the transition to the state `key`; write its values into the vector (size,).

        Raises:
            ValueError: the reward is not finite, or the key or the mask is none. Nothing is learned
                then.
        """
        if type(key) is int and -LARGEST_INTEGER <= key <= LARGEST_INTEGER:
            self._states[1, 0] = key
            if self._states.shape[1] > 1:
                self._estimator.encode("state_key(observation)", key)  # raises
        else:
            self._states[1] = self._estimator.encode("state_key(observation)", key)
        if mask is not None:
            applies = np.array([not terminated])
            masks = self._batch.check_masks("action_mask", np.asarray(mask)[None], applies)
            self._allowed[:] = masks[0]
        if self._storage is None or self._storage is not self._batch.storage:
            self._attach()
        status = _step(self._where, action, reward, terminated, mask is not None, vector)
        if status == REWARD_NOT_FINITE:
            raise ValueError(f"The reward of `env` must be finite, got {reward!r}.")
        if status == NO_ROOM:
            self._batch.grow()
            self.step(action, reward, key, terminated, mask, vector)

    def _attach(self) -> None:
        """Look up where the arrays lie."""
        storage = self._batch.make_storage(self._states.shape[1])
        arrays = (*storage, self._states, self._allowed, self._options)
        _, n_actions, capacity = storage.blocked.shape
        sizes = (n_actions, storage.keys.shape[2], capacity, storage.triples.shape[2], self._start)
        self._where = np.array([*(array.ctypes.data for array in arrays), *sizes], np.int64)
        self._storage = storage
