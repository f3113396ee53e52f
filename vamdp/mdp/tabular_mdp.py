"""A known task as arrays: states, actions, probabilities, rewards and ends.

A finite Markov decision process with states `s`, actions `a`, transition probabilities
`P[s, a, s']`, rewards `R[s, a, s']` and a distribution of start states. Only successors with
positive probability are stored: *outcome* `k` of row `s*A + a` is the move to `successor[k]` with
`probability[k]` and mean reward `reward[k]`, for `rows[s*A + a] <= k < rows[s*A + a + 1]`. One more
row, number `S*A`, holds the start distribution, so that a restart is sampled like a move.

Termination belongs to the transition, as in Gymnasium: `ends[k]` says that outcome `k` terminates
the episode, and `successor[k]` is only the last state observed. The continuation of an ending
outcome is worth 0. A *terminal state* is the special case of a state in which no action is ever
taken: it has no outcomes, and every outcome that leads to it ends the episode. A bandit has one
state, in which every pull ends the episode. Taxi has 500 states, and the states that end an episode
could also occur within one. (A learner meets states one transition at a time and does distinguish
the two: `vamdp.ValueEstimator` keeps a terminal copy of such a state.)
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, SupportsIndex

import gymnasium
import numpy as np
import numpy.typing as npt

from vamdp.mdp import grid_tasks, oracle
from vamdp.mdp.gymnasium_table import read_outcomes
from vamdp.mdp.value_iteration import PROBABILITY_TOLERANCE, check_dense

RewardNoise = float | Literal["bernoulli"] | None


@dataclass(frozen=True, eq=False, init=False, repr=False)
class TabularMDP:
    """A task whose states, actions, probabilities and rewards are all known.

    Build it with `from_dense`, `from_grid` or `from_gymnasium`, which check their arguments.
    Samplers that need no check use `trusted`.

    Attributes:
        n_states: Number of states S.
        n_actions: Number of actions A.
        rows: Index of each row's first outcome, shape (S*A + 2,), from 0 up to K.
        probability: Probability of each outcome, shape (K,); each row sums to 1.
        successor: State that each outcome leads to, shape (K,).
        reward: Mean reward of each outcome, shape (K,).
        ends: Whether each outcome terminates the episode, shape (K,).
        reward_noise: Distribution of sampled rewards. None: the mean itself. "bernoulli": 1 with
            the mean as probability, else 0; a mean above 1 always pays, a mean below 0 never. A
            number: the mean plus Gaussian noise of this standard deviation.
        features: Coordinates of the states, shape (S, d), used by observations and by clustering;
            or None.
        grid: The tiles of a grid, one string of letters per row, used for rendering; or None.

    Example:
        Action 1 pays more, and ends the episode in state 1.

        >>> P = np.zeros((2, 2, 2))
        >>> P[0, 0, 0] = P[0, 1, 1] = 1.0
        >>> task = TabularMDP.from_dense(P, [[1.0, 5.0], [0.0, 0.0]], terminal=[False, True])
        >>> task.optimal_values(horizon=3)
        array([7., 0.])
    """

    n_states: int
    n_actions: int
    rows: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]
    successor: npt.NDArray[np.int64]
    reward: npt.NDArray[np.float64]
    ends: npt.NDArray[np.bool_]
    reward_noise: RewardNoise
    features: npt.NDArray[np.float64] | None
    grid: tuple[str, ...] | None

    def __init__(self, *_: object, **__: object) -> None:
        raise TypeError("Build a TabularMDP with from_dense, from_grid, from_gymnasium or trusted.")

    def __repr__(self) -> str:
        return f"TabularMDP(n_states={self.n_states}, n_actions={self.n_actions})"

    @classmethod
    def trusted(
        cls,
        n_states: int,
        n_actions: int,
        rows: npt.NDArray[np.int64],
        probability: npt.NDArray[np.float64],
        successor: npt.NDArray[np.int64],
        reward: npt.NDArray[np.float64],
        ends: npt.NDArray[np.bool_],
        reward_noise: RewardNoise = None,
        features: npt.NDArray[np.float64] | None = None,
        grid: tuple[str, ...] | None = None,
    ) -> TabularMDP:
        """Build a task from its attributes without checks.

        This is for samplers that are correct by construction and draw hundreds of tasks at once.
        The arrays are stored without a copy and may be shared between tasks. A mistake is not
        detected: the compiled step would read outside its arrays.
        """
        task = object.__new__(cls)
        task.__dict__.update(
            n_states=n_states,
            n_actions=n_actions,
            rows=rows,
            probability=probability,
            successor=successor,
            reward=reward,
            ends=ends,
            reward_noise=reward_noise,
            features=features,
            grid=grid,
        )
        return task

    @classmethod
    def from_dense(
        cls,
        P: npt.ArrayLike,
        R: npt.ArrayLike,
        *,
        terminal: npt.ArrayLike | None = None,
        start: npt.ArrayLike | None = None,
        reward_noise: RewardNoise = None,
        features: npt.ArrayLike | None = None,
    ) -> TabularMDP:
        """Build a task from dense arrays.

        Args:
            P: Transition probabilities, shape (S, A, S').
            R: Mean rewards of actions, shape (S, A), or of transitions, shape (S, A, S'). Entries
                where P is 0 are ignored.
            terminal: Terminal states, bool of shape (S,): every move into one ends the episode,
                and its own rows of P and R are ignored. Or the transitions that end an episode,
                bool of shape (S, A, S'), as in a bandit, whose only state is not terminal. None:
                nothing ends.
            start: A state's index, or a distribution of shape (S,). None: state 0.
            reward_noise: None, "bernoulli" or a standard deviation; see `TabularMDP`.
            features: Coordinates of the states, shape (S, d).

        Raises:
            ValueError: A shape is wrong, a row of P or `start` is not a distribution, a number is
                not finite, an episode would start in a terminal state, or `reward_noise` is
                invalid. The message names the first bad entry.
        """
        flags = None if terminal is None else np.asarray(terminal)
        by_transition = flags is not None and flags.ndim == 3
        P, _, terminal_states = check_dense(P, R, None if by_transition else flags)
        R = np.asarray(R, dtype=np.float64)
        ending = terminal_states if flags is None else flags
        if by_transition and (ending.shape != P.shape or ending.dtype != np.bool_):
            raise ValueError(
                f"`terminal` must be bool of shape {P.shape[:1]} or {P.shape}, "
                f"got {ending.dtype} of shape {ending.shape}."
            )
        _check_reward_noise(reward_noise)
        S, A, _ = P.shape
        starts, start_probability = _as_start(start, terminal_states)

        s, a, s_next = np.nonzero(np.where(terminal_states[:, None, None], 0.0, P))
        counts = np.append(np.bincount(s * A + a, minlength=S * A), len(starts))
        no_reward = np.zeros(len(starts))
        return cls.trusted(
            n_states=S,
            n_actions=A,
            rows=np.concatenate([[0], np.cumsum(counts)]),
            probability=np.concatenate([P[s, a, s_next], start_probability]),
            successor=np.concatenate([s_next, starts]),
            reward=np.concatenate([R[s, a] if R.ndim == 2 else R[s, a, s_next], no_reward]),
            ends=np.concatenate([np.broadcast_to(ending, P.shape)[s, a, s_next], no_reward > 0.0]),
            reward_noise=reward_noise,
            features=_as_features(features, S),
        )

    @classmethod
    def from_grid(cls, rows: Sequence[str], slip: float = 0.2) -> TabularMDP:
        """Build a gridworld from rows of letters.

        State `row * n_columns + column` is a cell. Actions: stay, north, east, south, west. With
        probability 1 - slip a move goes in its direction, otherwise to the left or to the right of
        it with equal probability. A move into an obstacle or over the border leaves the agent where
        it is. The reward is that of the tile reached (RL3, arXiv 2306.15909, section 5.3).

        Args:
            rows: One string per row, of equal lengths, with the letters " " normal (-1), "S" start
                (-1; if there are several, one is drawn at random), "W" wet (-2, every move from it
                slips), "!" warning (-10), "X" danger (-100, ends the episode), "G" goal (+100, ends
                the episode), "O" obstacle.
            slip: Probability that a move slips, in [0, 1].

        Returns:
            A task whose `features` are (row, column) counted from 1.

        Raises:
            TypeError: `rows` is not a sequence of strings.
            ValueError: `rows` is not a valid grid, or `slip` is not a probability.

        Example:
            >>> task = TabularMDP.from_grid(["S G"], slip=0.0)
            >>> task.optimal_values(horizon=2)
            array([ 99., 100.,   0.])
        """
        is_number = isinstance(slip, int | float | np.number) and not isinstance(slip, bool)
        if not is_number or not 0.0 <= slip <= 1.0:
            raise ValueError(f"`slip` must be in [0, 1], got {slip!r}.")
        tiles = grid_tasks.read_tiles(rows, grid_tasks.GRID_WORLD)
        return cls.trusted(**grid_tasks.task_arrays(tiles, grid_tasks.GRID_WORLD, float(slip)))

    @classmethod
    def from_gymnasium(cls, env: gymnasium.Env[Any, Any]) -> TabularMDP:
        """Build a task from a toy-text environment's transition table.

        FrozenLake, CliffWalking and Taxi have a table `env.unwrapped.P[state][action]`, a list of
        (probability, next state, reward, terminated), and an `initial_state_distrib`. States keep
        their numbers. The states entered by terminated transitions become terminal states, unless
        one of them is also a start state or entered by a transition that does not terminate. Then,
        as in Taxi, there are no terminal states, and only the terminated transitions end an
        episode. The table contains no time limits and no action masks.

        Raises:
            TypeError: The environment has no such table (for example Blackjack).
            ValueError: The table is invalid, or the environment does not follow it: a Taxi with
                `fickle_passenger=True`, or wrappers that change observations, actions or rewards.
        """
        found = read_outcomes(env)
        S, n_rows = len(found.terminal_states), len(found.n_outcomes)
        starts, start_probability = _as_start(found.start, found.terminal_states)
        no_reward = np.zeros(len(starts))
        return cls.trusted(
            n_states=S,
            n_actions=n_rows // S,
            rows=np.concatenate([[0], np.cumsum([*found.n_outcomes, len(starts)])]),
            probability=np.concatenate([found.probability, start_probability]),
            successor=np.concatenate([found.successor, starts]),
            reward=np.concatenate([found.reward, no_reward]),
            ends=np.concatenate([found.ends, no_reward > 0.0]),
        )

    @property
    def start_distribution(self) -> npt.NDArray[np.float64]:
        """The probability that an episode starts in each state, shape (S,)."""
        distribution = np.zeros(self.n_states)
        first = self.rows[-2]
        distribution[self.successor[first:]] = self.probability[first:]
        return distribution

    def optimal_values(self, horizon: int, gamma: float = 1.0) -> npt.NDArray[np.float64]:
        """Return the largest expected discounted reward of the next `horizon` steps of an episode.

        Args:
            horizon: Steps to go, at least 1.
            gamma: Discount factor in [0, 1].

        Returns:
            V, shape (S,); 0 in terminal states.

        Raises:
            ValueError: An argument is out of range.
        """
        return oracle.optimal_values(self._model(), horizon, gamma)

    def optimal_return(self, budget: int, task_horizon: int) -> float:
        """Return the largest expected total reward of `budget` steps with restarts.

        This is the exact optimum of an agent that knows the task and the number of steps left.
        After a terminated transition, or after `task_horizon` steps, the next step begins from the
        start distribution; a restart costs no step. Equations and cost: `vamdp.mdp.oracle`.

        Args:
            budget: Steps to spend, at least 1.
            task_horizon: Steps after which an episode is cut, at least 1.

        Raises:
            ValueError: An argument is out of range.
        """
        return oracle.optimal_return(self._model(), budget, task_horizon)

    def _model(self) -> oracle.KnownModel:
        """Return the task with action-major tables and a separate start distribution."""
        S, A, K = self.n_states, self.n_actions, int(self.rows[-2])
        s, a = np.divmod(np.repeat(np.arange(S * A), np.diff(self.rows[:-1])), A)
        row = a * S + s
        reward = self.reward[:K]
        if self.reward_noise == "bernoulli":
            reward = np.clip(reward, 0.0, 1.0)
        base = np.zeros(A * S)
        np.add.at(base, row, self.probability[:K] * reward)
        return oracle.KnownModel(
            base.reshape(A, S), row.astype(np.uint32), self.successor[:K].astype(np.uint32),
            self.probability[:K], self.ends[:K], self.start_distribution,
        )  # fmt: skip


def _as_start(
    start: npt.ArrayLike | None, terminal_states: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the states in which an episode can start, and their probabilities."""
    S = len(terminal_states)
    if start is None:
        start = 0
    if isinstance(start, SupportsIndex) and np.ndim(start) == 0:
        index = operator.index(start)
        if not 0 <= index < S:
            raise ValueError(f"`start` must be a state in [0, {S - 1}], got {index}.")
        states, probability = np.array([index]), np.ones(1)
    else:
        distribution = np.asarray(start, dtype=np.float64)
        if distribution.shape != (S,):
            raise ValueError(
                f"`start` must be a state's index or have shape {(S,)}, got {distribution.shape}."
            )
        _require("start", distribution, distribution >= 0.0, "must be a probability in [0, 1]")
        if not abs(distribution.sum() - 1.0) <= PROBABILITY_TOLERANCE:
            raise ValueError(f"`start` sums to {distribution.sum():.10g}; it must sum to 1.")
        states = np.flatnonzero(distribution)
        probability = distribution[states]
    if terminal_states[states].any():
        culprit = states[np.argmax(terminal_states[states])]
        raise ValueError(
            f"`start` must not be terminal, got state {culprit}: no action can be taken there."
        )
    return states, probability


def _as_features(features: npt.ArrayLike | None, S: int) -> npt.NDArray[np.float64] | None:
    if features is None:
        return None
    array = np.array(features, dtype=np.float64)
    if array.ndim != 2 or len(array) != S:
        raise ValueError(f"`features` must have shape ({S}, d), got {array.shape}.")
    _require("features", array, np.isfinite(array), "must be finite")
    return array


def _check_reward_noise(noise: object) -> None:
    if noise is None or (isinstance(noise, str) and noise == "bernoulli"):
        return
    if isinstance(noise, (bool, str)) or not isinstance(noise, (int, float, np.number)):
        raise ValueError(
            f'`reward_noise` must be None, "bernoulli" or a standard deviation, got {noise!r}.'
        )
    if not 0.0 <= float(noise) < np.inf:
        raise ValueError(f"`reward_noise` must be in [0, inf), got {noise}.")


def _require(
    name: str, array: npt.NDArray[np.float64], allowed: npt.NDArray[np.bool_], rule: str
) -> None:
    """Raise ValueError with the first entry that is not allowed."""
    if not allowed.all():
        index = tuple(int(i) for i in np.argwhere(~allowed)[0])
        raise ValueError(f"`{name}{list(index)}` {rule}, got {array[index]}.")
