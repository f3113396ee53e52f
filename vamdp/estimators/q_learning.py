r"""Tabular Q-learning: no model, one step of learning a transition, and as many from memory.

After the transition (s, a, r, s'), with N(s, a) the visits of the pair, this one included,

    Q(s, a) += rate(s, a) (r + gamma max_a' Q(s', a') - Q(s, a)),
    rate(s, a) = learning_rate / N(s, a)^rate_power,

the maximum over the actions that s' allows, and 0 after a terminated transition. Then `n_replayed`
of the last `memory_size` transitions are drawn, with replacement, and learned from in the same way
(Lin, 1992), at the present rates; N counts what really happened. Q of a state that was never acted
in is `initial_value`.

With rate_power in (1/2, 1] and every pair tried for ever, Q converges to the optimum of the task
(Watkins and Dayan, 1992); with rate_power = 0 the newest transitions weigh most.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from numba import njit

from vamdp.argument_checks import as_options, check_discount, check_positive_integer
from vamdp.estimators.arguments import as_coordinates, as_masks, as_transitions
from vamdp.estimators.estimator import Scales
from vamdp.estimators.q_parts import Q_ACTION_PARTS, q_parts, write_each
from vamdp.estimators.state_numbers import number_of, number_or_next, rehash

#: States that there is room for at first; it doubles when full.
FIRST_CAPACITY = 4

# What a transition is remembered by; END for the next state: it terminated.
_STATE, _ACTION, _NEXT = range(3)
_END = -1

# SplitMix64 (Steele, Lea and Flood, 2014; public domain): each draw steps a counter and mixes it.
_STEP, _MIX_1, _MIX_2 = (
    np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


@dataclass(frozen=True)
class QLearningOptions:
    """How Q is learned.

    Attributes:
        gamma: discount factor, in [0, 1]. With 1, Q of a task that never ends grows without bound.
        learning_rate: rate of the first visit, in (0, 1].
        rate_power: how fast the rate falls with the visits of the pair, in [0, 1]; 0: it stays.
        initial_value: Q of what was never tried; above what can be reached it is optimistic.
        n_replayed: transitions learned from again after each step; 0: none.
        memory_size: the last transitions that these are drawn from, at least 1.

    Raises:
        ValueError: an option is out of its range.
    """

    gamma: float = 0.95
    learning_rate: float = 1.0
    rate_power: float = 0.6
    initial_value: float = 0.0
    n_replayed: int = 0
    memory_size: int = 256

    def __post_init__(self) -> None:
        """Check every option."""
        check_discount(self.gamma)
        if not 0 < self.learning_rate <= 1:
            raise ValueError(f"`learning_rate` must be in (0, 1], got {self.learning_rate!r}.")
        if not 0 <= self.rate_power <= 1:
            raise ValueError(f"`rate_power` must be in [0, 1], got {self.rate_power!r}.")
        if not np.isfinite(self.initial_value):
            raise ValueError(f"`initial_value` must be finite, got {self.initial_value!r}.")
        if not isinstance(self.n_replayed, (int, np.integer)) or self.n_replayed < 0:
            raise ValueError(
                f"`n_replayed` must be an integer of at least 0, got {self.n_replayed!r}."
            )
        check_positive_integer("memory_size", self.memory_size)


class _Tables(NamedTuple):
    """What was learned of each task; a state has the number of `state_numbers`."""

    keys: npt.NDArray[np.uint64]  # (n_tasks, capacity, d)
    hash_table: npt.NDArray[np.uint32]  # (n_tasks, 2 capacity)
    Q: npt.NDArray[np.float64]  # (n_tasks, capacity, A)
    visits: npt.NDArray[np.int64]  # (n_tasks, capacity, A)
    masked: npt.NDArray[np.bool_]  # (n_tasks, capacity, A)


class _Memory(NamedTuple):
    """The last transitions of each task, in a ring, and the stream that draws from them."""

    n_steps: npt.NDArray[np.int64]  # (n_tasks,) transitions since the task began
    moves: npt.NDArray[np.int32]  # (n_tasks, memory_size, 3) state, action, next state or END
    rewards: npt.NDArray[np.float64]  # (n_tasks, memory_size)
    random: npt.NDArray[np.uint64]  # (n_tasks,) counters of SplitMix64


def _allocate(n_tasks: int, n_actions: int, n_coordinates: int, capacity: int) -> _Tables:
    shape = (n_tasks, capacity, n_actions)
    return _Tables(
        np.zeros((n_tasks, capacity, n_coordinates), np.uint64),
        np.zeros((n_tasks, 2 * capacity), np.uint32),
        np.zeros(shape),
        np.zeros(shape, np.int64),
        np.zeros(shape, np.bool_),
    )


class QLearning:
    """Q-learning in n_tasks independent tasks, an `Estimator`; its parts are those of `q_parts`.

    Row i draws from a stream of its own, so that it is bit for bit what a batch of one gives. The
    stream begins anew with a seed of `begin_tasks`; before the first it is arbitrary.

    Args:
        n_tasks: number of tasks, at least 1.
        n_actions: number of actions A, at least 1, the same in all tasks.
        **options: the fields of `QLearningOptions`.

    Raises:
        ValueError: an option is out of its range.
        TypeError: an option is unknown.

    Example:
        >>> learner = QLearning(1, 2, gamma=0.5, rate_power=0.0)
        >>> learner.update([0], [1], [3.0], [1], [False])
        >>> learner.update([1], [0], [4.0], [0], [False])  # 4 + 0.5 max Q(0, .)
        >>> learner.q_values([0]).tolist(), learner.q_values([1]).tolist()
        ([[0.0, 3.0]], [[5.5, 0.0]])
    """

    #: See `Estimator`.
    action_parts = Q_ACTION_PARTS

    def __init__(self, n_tasks: int, n_actions: int, **options: Any) -> None:
        check_positive_integer("n_tasks", n_tasks)
        check_positive_integer("n_actions", n_actions)
        self.n_tasks, self.n_actions = int(n_tasks), int(n_actions)
        self.options = o = as_options(QLearningOptions, options)
        self._rule = (float(o.gamma), float(o.learning_rate), float(o.rate_power))
        self._initial_value, self._n_replayed = float(o.initial_value), int(o.n_replayed)
        size = int(o.memory_size) if o.n_replayed else 0
        self._memory = _Memory(
            np.zeros(n_tasks, np.int64),
            np.zeros((n_tasks, size, 3), np.int32),
            np.zeros((n_tasks, size)),
            np.random.SeedSequence().generate_state(n_tasks, np.uint64).astype(np.uint64),
        )
        self._n_states = np.zeros(n_tasks, np.int64)
        self._tables: _Tables | None = None  # allocated when the first state shows its length

    @property
    def n_states(self) -> npt.NDArray[np.int64]:
        """States met in each task, (n_tasks,)."""
        return self._n_states.copy()

    def parts(self) -> dict[str, spaces.Box]:
        """The parts that it adds to an observation: advantages, value and counts."""
        return q_parts(self.n_actions)

    def begin_tasks(self, rows: npt.NDArray[np.bool_], seeds: Sequence[int | None]) -> None:
        """Forget the tasks in `rows`; those with a seed begin their stream anew."""
        self.forget(rows)
        for i, seed in enumerate(seeds):
            if rows[i] and seed is not None:
                state = np.random.SeedSequence(seed).generate_state(1, np.uint64)
                self._memory.random[i] = state[0]

    def begin_episodes(
        self,
        rows: npt.NDArray[np.bool_],
        states: npt.NDArray[np.float64],
        action_masks: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Note what the states allow in which episodes begin."""
        if action_masks is not None:
            masks = as_masks("action_masks", action_masks, (self.n_tasks, self.n_actions))
            coordinates = self._coordinates(states)
            tables = self._with_room(coordinates.shape[1])
            _note_masks(rows, coordinates, masks, self._initial_value, self._n_states, *tables)

    def update(
        self,
        states: npt.ArrayLike,
        actions: npt.ArrayLike,
        rewards: npt.ArrayLike,
        next_states: npt.ArrayLike,
        terminated: npt.ArrayLike,
        next_action_masks: npt.ArrayLike | None = None,
    ) -> None:
        """Learn one transition of each task; the arguments are `BatchValueEstimator.update`'s.

        Raises:
            ValueError: an argument has the wrong shape, type or range. Nothing is learned then.
        """
        transitions = as_transitions(
            self.n_tasks, self.n_actions, self._n_coordinates,
            states, actions, rewards, next_states, terminated, next_action_masks,
        )  # fmt: skip
        tables = self._with_room(transitions.states.shape[1])
        _learn_each(
            *transitions, *self._rule, self._initial_value, self._n_replayed,
            self._n_states, *self._memory, *tables,
        )  # fmt: skip

    def write(self, states: npt.ArrayLike, scales: Scales, out: npt.NDArray[np.float32]) -> None:
        """Advantages, value and counts of one state per task into `out` (n_tasks, 2 A + 1)."""
        Q, visits, masked = self._look_up(states)
        write_each(Q, masked, visits, scales.values, scales.counts, out)

    def q_values(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Q of one state per task, shape (n_tasks, A)."""
        return self._look_up(states)[0]

    def value(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The maximum of Q over the allowed actions of one state per task, shape (n_tasks,)."""
        Q, _, masked = self._look_up(states)
        best: npt.NDArray[np.float64] = np.where(masked, -np.inf, Q).max(axis=1)
        return best

    def counts(self, states: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """How often each action was taken in one state per task, shape (n_tasks, A)."""
        return self._look_up(states)[1]

    def forget(self, tasks: npt.NDArray[np.bool_] | None = None) -> None:
        """Forget the tasks of the mask (n_tasks,), or all; the streams go on."""
        which = np.ones(self.n_tasks, np.bool_) if tasks is None else np.asarray(tasks, np.bool_)
        if which.shape != (self.n_tasks,):
            raise ValueError(f"`tasks` must have shape ({self.n_tasks},), got {which.shape}.")
        self._n_states[which] = 0
        self._memory.n_steps[which] = 0
        if self._tables is not None:
            self._tables.hash_table[which] = 0

    @property
    def _n_coordinates(self) -> int | None:
        return None if self._tables is None else self._tables.keys.shape[2]

    def _coordinates(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return as_coordinates("states", states, self.n_tasks, self._n_coordinates)

    def _with_room(self, n_coordinates: int) -> _Tables:
        """The tables, with room for two more states in each task."""
        sizes = (self.n_tasks, self.n_actions, n_coordinates)
        old = self._tables or _allocate(*sizes, FIRST_CAPACITY)
        capacity = old.Q.shape[1]
        if self._n_states.max() + 2 > capacity:
            new = _allocate(*sizes, 2 * capacity)
            for name in ("keys", "Q", "visits", "masked"):
                getattr(new, name)[:, :capacity] = getattr(old, name)
            rehash(self._n_states, new.keys, new.hash_table)
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
def _meet(i, key, initial_value, n_states, keys, hash_table, Q, visits, masked):
    """The number of the state with this key, a new one if it was never seen."""
    c = number_or_next(i, key, n_states[i], keys, hash_table)
    if c == n_states[i]:
        n_states[i] += 1
        for a in range(Q.shape[2]):
            Q[i, c, a], visits[i, c, a], masked[i, c, a] = initial_value, 0, False
    return c


@njit(cache=True, inline="always")
def _learn(i, s, a, reward, s_next, gamma, learning_rate, rate_power, Q, visits, masked):
    """One step of Q(s, a) towards its target."""
    target = reward
    if s_next != _END:
        best = -np.inf
        for b in range(Q.shape[2]):
            if not masked[i, s_next, b] and Q[i, s_next, b] > best:
                best = Q[i, s_next, b]
        target += gamma * best
    rate = learning_rate / visits[i, s, a] ** rate_power
    Q[i, s, a] += rate * (target - Q[i, s, a])


@njit(cache=True, inline="always")
def _draw(i, n, random):
    """A number in [0, n) from the stream of row i."""
    random[i] += _STEP
    z = random[i]
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    z ^= z >> np.uint64(31)
    return np.int64(np.float64(z >> np.uint64(11)) * 2.0**-53 * n)


@njit(cache=True)
def _learn_each(
    states, actions, rewards, next_states, terminated, allowed,
    gamma, learning_rate, rate_power, initial_value, n_replayed,
    n_states, n_steps, moves, kept_rewards, random, keys, hash_table, Q, visits, masked,
):  # fmt: skip
    """One transition of each task, and then as many from its memory as are to be replayed."""
    state_keys, next_keys = states.view(np.uint64), next_states.view(np.uint64)
    size = moves.shape[1]
    for i in range(actions.size):
        a, s_next = actions[i], _END
        s = _meet(i, state_keys[i], initial_value, n_states, keys, hash_table, Q, visits, masked)
        if not terminated[i]:
            s_next = _meet(
                i, next_keys[i], initial_value, n_states, keys, hash_table, Q, visits, masked
            )
            if np.any(allowed[i]):
                masked[i, s_next] = ~allowed[i]
        visits[i, s, a] += 1
        _learn(i, s, a, rewards[i], s_next, gamma, learning_rate, rate_power, Q, visits, masked)
        if n_replayed == 0:
            continue
        k = n_steps[i] % size
        n_steps[i] += 1
        moves[i, k, _STATE], moves[i, k, _ACTION], moves[i, k, _NEXT] = s, a, s_next
        kept_rewards[i, k] = rewards[i]
        for _ in range(n_replayed):
            k = _draw(i, min(n_steps[i], size), random)
            _learn(
                i, moves[i, k, _STATE], moves[i, k, _ACTION], kept_rewards[i, k],
                moves[i, k, _NEXT], gamma, learning_rate, rate_power, Q, visits, masked,
            )  # fmt: skip


@njit(cache=True)
def _note_masks(
    rows, states, allowed, initial_value, n_states, keys, hash_table, Q, visits, masked
):
    """Note what the states of `rows` allow, where a mask tells anything."""
    state_keys = states.view(np.uint64)
    for i in range(rows.size):
        if rows[i] and np.any(allowed[i]):
            c = _meet(
                i, state_keys[i], initial_value, n_states, keys, hash_table, Q, visits, masked
            )
            masked[i, c] = ~allowed[i]


@njit(cache=True)
def _read_each(states, keys, hash_table, Q, visits, masked, Q_rows, visit_rows, masked_rows):
    """The rows (n_tasks, A) of one state per task; left as they are where it is unknown."""
    state_keys = states.view(np.uint64)
    for i in range(states.shape[0]):
        c = number_of(i, state_keys[i], keys, hash_table)
        if c >= 0:
            Q_rows[i], visit_rows[i], masked_rows[i] = Q[i, c], visits[i, c], masked[i, c]
