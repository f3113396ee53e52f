"""R-MAX: pairs that were not tried often enough are assumed to pay the largest reward.

Brafman and Tennenholtz, R-MAX - a general polynomial time algorithm for near-optimal reinforcement
learning, JMLR 3, 2002. A pair (s, a) is *known* once it was tried m times. Known pairs use their
empirical model. All other pairs lead to a fictitious state that pays the largest reward at every
remaining step. With n steps to go,

    Q(n, s, a) = mean over the trials of (reward + V(n - 1, next state))   if (s, a) is known,
                 n r_max                                                   if not,

V(n, s) = max_a Q(n, s, a), V(0, s) = 0, and a trial that ended the episode has no next value. The
agent therefore either takes the best known actions or soon tries an unknown one.

The source stops counting after m trials. With the small m that a short meta-episode requires, a few
misleading trials would then fix the model for good. We keep counting, and replan when a pair
becomes known and each time its trials have doubled. One plan covers all steps of an episode.
"""

from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import as_limit, check_finite, check_positive_integer
from vamdp.baselines.played_step import as_played_step, check_start
from vamdp.compiled import njit
from vamdp.estimators.arguments import as_indices

# Stands for the next state of a trial that ended the episode.
_END = -1

# Stands for "no outcome" in a linked list.
_NONE = -1

# Initial capacity for outcomes; it doubles when full.
_FIRST_CAPACITY = 64


class _Outcomes(NamedTuple):
    """The observed outcomes; those of one pair form a linked list."""

    size: npt.NDArray[np.int64]  # (n_tasks,) number of outcomes
    next_state: npt.NDArray[np.int64]  # (n_tasks, capacity), or _END
    n_seen: npt.NDArray[np.int64]  # (n_tasks, capacity)
    following: npt.NDArray[np.int64]  # (n_tasks, capacity) the pair's next outcome, or _NONE

    @classmethod
    def empty(cls, n_tasks: int, capacity: int) -> "_Outcomes":
        shape = (n_tasks, capacity)
        room = (np.zeros(shape, np.int64) for _ in range(3))
        return cls(np.zeros(n_tasks, np.int64), *room)

    def doubled(self) -> "_Outcomes":
        """Return the same outcomes with twice the capacity."""
        return _Outcomes(self.size, *(np.hstack([old, old]) for old in self[1:]))


class RMax:
    """Plans as if unknown pairs paid the largest reward; ties are broken at random, once per task.

    Args:
        n_states: Number of states S, at least 1.
        n_actions: Number of actions A, from 1 to 127.
        task_horizon: Steps after which an episode is cut, at least 1; the meta-episode's length if
            there is no time limit.
        m: Number of trials after which a pair is known, at least 1.
        r_max: Reward of unknown pairs at every remaining step. The source uses the task's largest
            reward; a smaller value explores less.
        lookahead: Largest number of steps planned ahead, at least 1. None: all remaining steps.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        >>> agent = RMax(n_states=1, n_actions=2, task_horizon=1)
        >>> agent.start(1, seed=0)
        >>> state, ends, runs_on = np.array([0]), np.array([True]), np.array([False])
        >>> agent.learn(state, np.array([0]), np.array([0.9]), state, ends, runs_on)
        >>> agent.act(state)  # the other one, which might pay 1
        array([1])
    """

    title = "R-MAX"
    sees: ClassVar[Literal["states"]] = "states"

    def __init__(
        self,
        n_states: int,
        n_actions: int,
        *,
        task_horizon: int,
        m: int = 1,
        r_max: float = 1.0,
        lookahead: int | None = None,
    ) -> None:
        for name, value in (
            ("n_states", n_states),
            ("n_actions", n_actions),
            ("task_horizon", task_horizon),
            ("m", m),
            ("lookahead", task_horizon if lookahead is None else lookahead),
        ):
            check_positive_integer(name, value)
        if n_actions > np.iinfo(np.int8).max:
            raise ValueError(f"`n_actions` must be at most 127, got {n_actions!r}.")
        check_finite("r_max", r_max)
        self.n_states, self.n_actions = int(n_states), int(n_actions)
        self.task_horizon, self.m, self.r_max = as_limit(task_horizon), as_limit(m), float(r_max)
        self._n_planned = min(self.task_horizon, lookahead or self.task_horizon)
        self.start(1, seed=0)

    def start(self, n_tasks: int, seed: int) -> None:
        """Begin meta-episodes in this many new tasks, and forget the tasks before."""
        check_start(n_tasks, seed)
        S, A, T = self.n_states, self.n_actions, self._n_planned
        # Ties are broken by the larger lot.
        lots = np.random.default_rng(seed).random((n_tasks, S, A))
        self._counts = np.zeros((n_tasks, S, A), np.int64)
        self._reward_sums = np.zeros((n_tasks, S, A))
        self._first = np.full((n_tasks, S, A), _NONE)
        self._outcomes = _Outcomes.empty(n_tasks, _FIRST_CAPACITY)
        self._elapsed = np.zeros(n_tasks, np.int64)  # steps since the episode began
        self._is_met = np.zeros((n_tasks, S), np.bool_)
        # plans[i, n - 1, s]: the action with n steps to go. All tie until a pair is known.
        self._plans = np.empty((n_tasks, T, S), np.int8)
        self._plans[:] = lots.argmax(axis=2)[:, None]
        self._lots = lots

    def act(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return actions, shape (n_tasks,), for the current states.

        Raises:
            ValueError: The states have another shape, type or range.
        """
        states = as_indices("states", seen, self._elapsed.size, self.n_states)
        to_go = np.clip(self.task_horizon - self._elapsed, 1, self._n_planned)
        chosen = self._plans[np.arange(states.size), to_go - 1, states]
        return chosen.astype(np.int64)

    def learn(
        self,
        states: npt.NDArray[np.int64],
        actions: npt.NDArray[np.int64],
        rewards: npt.NDArray[np.float64],
        next_states: npt.NDArray[np.int64],
        terminated: npt.NDArray[np.bool_],
        truncated: npt.NDArray[np.bool_],
    ) -> None:
        """Learn from one transition of each task, and replan if a pair's counts require it.

        Raises:
            ValueError: An argument has another shape, type or range; nothing is learned.
        """
        step = as_played_step(
            self._elapsed.size, self.n_states, self.n_actions,
            states, actions, rewards, next_states, terminated, truncated,
        )  # fmt: skip
        if self._outcomes.size.max() == self._outcomes.next_state.shape[1]:
            self._outcomes = self._outcomes.doubled()
        reached = np.where(step.terminated, _END, step.next_states)
        ended = step.terminated | step.truncated
        _learn(
            step.states, step.actions, step.rewards, reached, ended, self.m, self.r_max,
            self._lots, self._counts, self._reward_sums, self._first, *self._outcomes,
            self._elapsed, self._is_met, self._plans,
        )  # fmt: skip


@njit(cache=True)
def _learn(
    states, actions, rewards, reached, ended, m, r_max, lots, counts, reward_sums,
    first, size, next_state, n_seen, following, elapsed, is_met, plans,
):  # fmt: skip
    """Count one transition of each task, and replan at m, 2 m, 4 m, ... trials of a pair."""
    for i in range(states.size):
        s, a = states[i], actions[i]
        elapsed[i] = 0 if ended[i] else elapsed[i] + 1
        is_met[i, s] = True
        counts[i, s, a] += 1
        reward_sums[i, s, a] += rewards[i]
        k = first[i, s, a]
        while k != _NONE and next_state[i, k] != reached[i]:
            k = following[i, k]
        if k == _NONE:
            k = size[i]
            size[i] += 1
            next_state[i, k], n_seen[i, k], following[i, k] = reached[i], 0, first[i, s, a]
            first[i, s, a] = k
        n_seen[i, k] += 1
        n_doublings = counts[i, s, a] // m
        # True at m, 2 m, 4 m, ...: a power of two shares no bit with the number before it.
        if counts[i, s, a] == n_doublings * m and n_doublings & (n_doublings - 1) == 0:
            _plan(
                m, r_max, lots[i], counts[i], reward_sums[i], first[i], next_state[i], n_seen[i],
                following[i], is_met[i], plans[i],
            )  # fmt: skip


@njit(cache=True)
def _plan(m, r_max, lots, counts, reward_sums, first, next_state, n_seen, following, is_met, plan):
    """Write the plan (T, S) by backward induction; the entries of unvisited states do not change.

    Every action of an unvisited state is unknown, so it is worth n r_max with n steps to go.
    """
    T, S = plan.shape
    met = np.flatnonzero(is_met)
    V, V_before = np.zeros(S), np.zeros(S)
    for n in range(1, T + 1):
        V_before[:] = V
        V[:] = n * r_max
        for s in met:
            best, best_action = -np.inf, 0
            for a in range(counts.shape[1]):
                Q = n * r_max
                if counts[s, a] >= m:
                    Q = reward_sums[s, a]
                    k = first[s, a]
                    while k != _NONE:
                        if next_state[k] != _END:
                            Q += n_seen[k] * V_before[next_state[k]]
                        k = following[k]
                    Q /= counts[s, a]
                if Q > best or (Q == best and lots[s, a] > lots[s, best_action]):
                    best, best_action = Q, a
            V[s] = best
            plan[n - 1, s] = best_action
