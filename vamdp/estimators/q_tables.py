r"""Tables of Q that learn from transitions, shared by Q-learning and Dyna-Q.

A transition (s, a, r, s'), real or remembered, updates its pair by

    Q(s, a) += rate (r + gamma max_a' Q(s', a') - Q(s, a)),    rate = learning_rate / n^rate_power.

The maximum is over the actions that s' allows; it is 0 after a terminated transition. Each learner
defines what n counts. A state gets its row when it is first met or its mask is first known. Q of a
pair that was never tried is `initial_value`. The mask of a terminal state is ignored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import as_number, check_discount, check_finite, check_share
from vamdp.compiled import njit
from vamdp.estimators.arguments import as_flags, as_masks, as_new_tasks
from vamdp.estimators.q_rows import QRows
from vamdp.estimators.state_arguments import as_coordinates
from vamdp.estimators.state_numbers import number_of, number_or_next, rehash
from vamdp.split_mix import counter_of, first_counters

#: Initial capacity for states; it doubles when full.
FIRST_CAPACITY = 4

#: Stands for the next state of a terminated transition.
END = -1

#: First column of `sizes`; a learner's own columns follow.
N_STATES = 0


@dataclass(frozen=True)
class QOptions:
    """Options of learners with a table of Q.

    Attributes:
        gamma: Discount factor, in [0, 1]. With 1, Q of a task that never ends grows without bound.
        learning_rate: Rate of a pair's first step, in (0, 1].
        rate_power: Exponent by which the rate falls, in [0, 1]. 0: constant rate.
        initial_value: Q of untried pairs; optimistic if it is above all reachable values.

    Raises:
        ValueError: An option is out of range.
    """

    gamma: float = 0.95
    learning_rate: float = 1.0
    rate_power: float = 0.6
    initial_value: float = 0.0

    def __post_init__(self) -> None:
        """Check every option."""
        check_discount(self.gamma)
        if not 0 < as_number(self.learning_rate) <= 1:
            raise ValueError(f"`learning_rate` must be in (0, 1], got {self.learning_rate!r}.")
        check_share("rate_power", self.rate_power)
        check_finite("initial_value", self.initial_value)

    @property
    def rule(self) -> tuple[float, float, float]:
        """The options that `learn` takes: gamma, learning_rate, rate_power."""
        return float(self.gamma), float(self.learning_rate), float(self.rate_power)


class Tables(NamedTuple):
    """What was learned in each task; states are numbered by `state_numbers`."""

    keys: npt.NDArray[np.uint64]  # (n_tasks, capacity, d)
    hash_table: npt.NDArray[np.uint32]  # (n_tasks, 2 capacity)
    Q: npt.NDArray[np.float64]  # (n_tasks, capacity, A)
    visits: npt.NDArray[np.int64]  # (n_tasks, capacity, A)
    masked: npt.NDArray[np.bool_]  # (n_tasks, capacity, A)


def _allocate(n_tasks: int, n_actions: int, n_coordinates: int, capacity: int) -> Tables:
    shape = (n_tasks, capacity, n_actions)
    return Tables(
        np.zeros((n_tasks, capacity, n_coordinates), np.uint64),
        np.zeros((n_tasks, 2 * capacity), np.uint32),
        np.zeros(shape),
        np.zeros(shape, np.int64),
        np.zeros(shape, np.bool_),
    )


class QTables(QRows):
    """Q, visits and masks of n_tasks independent tasks: an `Estimator` without `update`.

    Its parts are those of `q_parts`. Each row draws from its own random stream, so it equals a
    batch of one bit for bit. A seed of `begin_tasks` restarts the stream; before the first seed it
    is arbitrary.

    Args:
        n_tasks: Number of tasks, at least 1.
        n_actions: Number of actions A, at least 1, the same in all tasks.
        initial_value: Q of untried pairs.
        n_sizes: Columns of `_sizes`, at least 1. A row is all 0 when its task begins.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(self, n_tasks: int, n_actions: int, initial_value: float, n_sizes: int) -> None:
        super().__init__(n_tasks, n_actions)
        self._initial_value = float(initial_value)
        self._sizes = np.zeros((n_tasks, n_sizes), np.int64)
        self._random = first_counters(n_tasks)
        self._tables: Tables | None = None  # allocated when the first state arrives

    @property
    def n_states(self) -> npt.NDArray[np.int64]:
        """Number of states met in each task, shape (n_tasks,)."""
        return self._sizes[:, N_STATES].copy()

    def begin_tasks(self, rows: npt.NDArray[np.bool_], seeds: Sequence[int | None]) -> None:
        """Forget the tasks in `rows`; a seed restarts a row's stream."""
        which = as_new_tasks(rows, seeds, self.n_tasks)
        self.forget(which)
        for i, seed in enumerate(seeds):
            if which[i] and seed is not None:
                self._random[i] = counter_of(seed)

    def begin_episodes(
        self,
        rows: npt.NDArray[np.bool_],
        states: npt.NDArray[np.float64],
        action_masks: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Store the masks of the first states in `rows`."""
        which = as_flags("rows", rows, self.n_tasks)
        if action_masks is not None:
            masks = as_masks("action_masks", action_masks, (self.n_tasks, self.n_actions))
            coordinates = self._coordinates(states)
            tables = self._with_room(coordinates.shape[1])
            _note_masks(which, coordinates, masks, self._initial_value, self._sizes, *tables)

    def forget(self, tasks: npt.NDArray[np.bool_] | None = None) -> None:
        """Forget the tasks marked in `tasks` (n_tasks,), or all; the streams continue."""
        which = as_flags("tasks", tasks, self.n_tasks)
        self._sizes[which] = 0
        if self._tables is not None:
            self._tables.hash_table[which] = 0

    @property
    def _n_coordinates(self) -> int | None:
        return None if self._tables is None else self._tables.keys.shape[2]

    def _coordinates(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return as_coordinates("states", states, self.n_tasks, self._n_coordinates)

    def _with_room(self, n_coordinates: int) -> Tables:
        """Return the tables, with room for two more states in each task."""
        sizes = (self.n_tasks, self.n_actions, n_coordinates)
        old = self._tables or _allocate(*sizes, FIRST_CAPACITY)
        capacity = old.Q.shape[1]
        if self._sizes[:, N_STATES].max() + 2 > capacity:
            new = _allocate(*sizes, 2 * capacity)
            for name in ("keys", "Q", "visits", "masked"):
                getattr(new, name)[:, :capacity] = getattr(old, name)
            rehash(self._sizes[:, N_STATES].copy(), new.keys, new.hash_table)
            old = new
        self._tables = old
        return old

    def _look_up(
        self, states: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        coordinates = self._coordinates(states)
        shape = (self.n_tasks, self.n_actions)
        Q, visits = np.full(shape, self._initial_value), np.zeros(shape, np.int64)
        masked = np.zeros(shape, np.bool_)
        if self._tables is not None:
            _read_each(coordinates, *self._tables, Q, visits, masked)
        return Q, visits, masked


@njit(cache=True, inline="always")
def meet(i, key, initial_value, sizes, keys, hash_table, Q, visits, masked):
    """Return the number of the state with this key; a new state gets the next number."""
    c = number_or_next(i, key, sizes[i, N_STATES], keys, hash_table)
    if c == sizes[i, N_STATES]:
        sizes[i, N_STATES] += 1
        for a in range(Q.shape[2]):
            Q[i, c, a], visits[i, c, a], masked[i, c, a] = initial_value, 0, False
    return c


@njit(cache=True, inline="always")
def meet_next(
    i, next_key, terminated, allowed, initial_value, sizes, keys, hash_table, Q, visits, masked
):
    """Return the number of the next state, or END; stores its mask if the mask is known."""
    if terminated:
        return END
    s_next = meet(i, next_key, initial_value, sizes, keys, hash_table, Q, visits, masked)
    if np.any(allowed):
        _note_mask(i, s_next, allowed, masked)
    return s_next


@njit(cache=True, inline="always")
def _note_mask(i, c, allowed, masked):
    for a in range(allowed.size):
        masked[i, c, a] = not allowed[a]


@njit(cache=True, inline="always")
def learn(i, s, a, reward, s_next, n, gamma, learning_rate, rate_power, Q, masked):
    """Move Q(s, a) one step towards its target; it is the n-th step of the pair."""
    target = reward
    if s_next != END:
        best = -np.inf
        for b in range(Q.shape[2]):
            if not masked[i, s_next, b] and Q[i, s_next, b] > best:
                best = Q[i, s_next, b]
        target += gamma * best
    rate = learning_rate / n**rate_power
    Q[i, s, a] += rate * (target - Q[i, s, a])


@njit(cache=True, borrows=True)
def _note_masks(rows, states, allowed, initial_value, sizes, keys, hash_table, Q, visits, masked):
    """Store the known masks of the states in `rows`."""
    state_keys = states.view(np.uint64)
    for i in range(rows.size):
        if rows[i] and np.any(allowed[i]):
            c = meet(i, state_keys[i], initial_value, sizes, keys, hash_table, Q, visits, masked)
            _note_mask(i, c, allowed[i], masked)


@njit(cache=True, borrows=True)
def _read_each(states, keys, hash_table, Q, visits, masked, Q_rows, visit_rows, masked_rows):
    """Read the rows (n_tasks, A) of one state per task; rows of unknown states do not change."""
    state_keys = states.view(np.uint64)
    for i in range(states.shape[0]):
        c = number_of(i, state_keys[i], keys, hash_table)
        if c < 0:
            continue
        for a in range(Q.shape[2]):
            Q_rows[i, a], visit_rows[i, a] = Q[i, c, a], visits[i, c, a]
            masked_rows[i, a] = masked[i, c, a]
