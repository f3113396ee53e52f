r"""Posterior sampling: Q of a model drawn from the posterior, and the spread over several models.

At the start of an episode, `n_samples` models are drawn from the posterior (`conjugate_prior`;
Strens 2000; Osband et al. 2013). They have the S states that the model has at this moment: those of
`model_based`, numbered in order of first visit, with a separate absorbing state for each end. Pairs
that were never tried are drawn from the prior. In each model m

    V = value iteration from 0, at most task_horizon - 1 sweeps,    Q_m = R_m + gamma P_m V,

which is Q with task_horizon steps to go, unless the tolerance stopped the sweeps earlier. For the
whole episode the estimates are Q of the first model, and the *spread*, the standard deviation of Q
over all models. Between draws, transitions are only counted.

A state that entered after the draw, or was never met, has no rows in the models. Its estimates are
those of an untried row with successors among the S states, computed from the mean and variance of
the prior instead of a sample. With V* and V*2 the means of V and of its square over the S states,
they are, for all actions,

    Q      = prior_mean + gamma V*                                              in the first model,
    spread = sqrt(Var_m[gamma V*] + Mean_m[prior_sd^2 + gamma^2 (V*2 - (V*)^2) / (c S + 1)]).

Before the first transition, when S = 0, they are prior_mean and prior_sd.

Counts are stored sparsely, but drawn models are dense: a draw needs n_samples S^2 A numbers of
temporary memory, and a sweep as many operations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from vamdp.argument_checks import (
    as_limit,
    as_options,
    check_discount,
    check_not_negative,
    check_positive_integer,
    is_integer,
)
from vamdp.compiled import njit
from vamdp.estimators.arguments import as_flags, as_new_tasks, check_out
from vamdp.estimators.conjugate_prior import Prior, draw_models
from vamdp.estimators.estimator import Scales
from vamdp.estimators.grouping import LIVING
from vamdp.estimators.model_based.batch_value_estimator import BatchValueEstimator
from vamdp.estimators.model_based.open_storage import open_storage
from vamdp.estimators.model_based.storage import ANY_BLOCKED, N_STATES, Storage
from vamdp.estimators.q_parts import Q_ACTION_PARTS, q_parts, write_q_parts
from vamdp.estimators.sampled_models import Q_SHOWN, SPREAD_SHOWN, beliefs, solve
from vamdp.estimators.state_arguments import as_coordinates
from vamdp.estimators.state_numbers import number_of
from vamdp.mdp.bellman import ROUNDING
from vamdp.mdp.sweep_history import NO_HISTORY

# Separates the learner's random streams from the environment's, which have the same seeds: the
# models must not be drawn with the numbers that drew the task.
_STREAM = 0x5053524C


@dataclass(frozen=True, kw_only=True)
class PosteriorSamplingOptions(Prior):
    """Options of posterior sampling: the prior, and how the drawn models are solved.

    Attributes:
        concentration: Parameter c of the symmetric Dirichlet prior over successors, above 0. If it
            is small, each action has few likely successors.
        prior_mean: Mean of the mean rewards.
        prior_sd: Standard deviation of the mean rewards, above 0.
        noise_sd: Standard deviation of a reward around its mean, above 0.
        task_horizon: Steps of one episode, at least 1.
        gamma: Discount factor, in [0, 1].
        tolerance: Planning stops after a sweep in which no Q moved by this much; at least 0.
        n_samples: Models drawn per episode, at least 2, because one has no spread.

    Raises:
        ValueError: An option is out of range.
    """

    task_horizon: int
    gamma: float = 1.0
    tolerance: float = 0.01
    n_samples: int = 5

    def __post_init__(self) -> None:
        """Check every option."""
        super().__post_init__()
        check_positive_integer("task_horizon", self.task_horizon)
        check_discount(self.gamma)
        check_not_negative("tolerance", self.tolerance)
        if not is_integer(self.n_samples) or self.n_samples < 2:
            raise ValueError(
                f"`n_samples` must be an integer of at least 2, got {self.n_samples!r}: "
                "one model has no spread."
            )


class PosteriorSampling:
    """Posterior sampling in n_tasks independent tasks, an `Estimator`.

    Its parts are those of `q_parts`, and "spread" (A,), divided by `Scales.values`. Each row draws
    from its own generator, so it equals a batch of one bit for bit. A seed of `begin_tasks`
    restarts the generator; before the first seed it is arbitrary.

    Args:
        n_tasks: Number of tasks, at least 1.
        n_actions: Number of actions A, at least 1, the same in all tasks.
        **options: The fields of `PosteriorSamplingOptions`; `task_horizon` is required.

    Raises:
        ValueError: An option is out of range.
        TypeError: An option is unknown, or `task_horizon` is missing.

    Example:
        One arm paid 3. The prior is N(1, 1), and the noise has a standard deviation of 1.

        >>> learner = PosteriorSampling(1, 2, task_horizon=1, n_samples=10_000)
        >>> learner.begin_tasks(np.ones(1, bool), [0])
        >>> learner.update([0], [0], [3.0], [0], [True])
        >>> learner.begin_episodes(np.ones(1, bool), np.zeros((1, 1)), None)
        >>> learner.spreads([0]).round(1).tolist()  # sqrt(1/2) and 1
        [[0.7, 1.0]]
    """

    #: Names of the parts with one entry per action, see `Estimator`.
    action_parts = (*Q_ACTION_PARTS, "spread")

    def __init__(self, n_tasks: int, n_actions: int, **options: Any) -> None:
        self.options = o = as_options(PosteriorSamplingOptions, options)
        # It numbers states, counts transitions and stores masks; its own values are not used.
        self._counted = BatchValueEstimator(n_tasks, n_actions, task_horizon=1)
        self.n_tasks, self.n_actions = self._counted.n_tasks, self._counted.n_actions
        self._generators = [np.random.default_rng() for _ in range(n_tasks)]
        self._unmet_before = np.array([o.prior_mean, o.prior_sd])
        # The last draw of each task: its number of states, Q and spread of their pairs, and Q and
        # spread of the pairs of any other state.
        self._n_drawn = np.zeros(n_tasks, np.int64)
        self._shown = np.zeros((n_tasks, 2, 0, n_actions))
        self._unmet = np.tile(self._unmet_before, (n_tasks, 1))

    @property
    def n_states(self) -> npt.NDArray[np.int64]:
        """Number of states in the model of each task, ends included, shape (n_tasks,)."""
        return self._counted.n_states

    def parts(self) -> dict[str, spaces.Box]:
        """Return the parts added to an observation: advantages, value, counts and spread."""
        spread = spaces.Box(0, np.inf, (self.n_actions,), np.float32)
        return {**q_parts(self.n_actions), "spread": spread}

    def begin_tasks(self, rows: npt.NDArray[np.bool_], seeds: Sequence[int | None]) -> None:
        """Forget the tasks in `rows`; a seed restarts a row's generator."""
        which = as_new_tasks(rows, seeds, self.n_tasks)
        self.forget(which)
        for i, seed in enumerate(seeds):
            if which[i] and seed is not None:
                own = np.random.SeedSequence(seed, spawn_key=(_STREAM,))
                self._generators[i] = np.random.default_rng(own)

    def begin_episodes(
        self,
        rows: npt.NDArray[np.bool_],
        states: npt.NDArray[np.float64],
        action_masks: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Store the masks of the first states, and draw and solve new models in `rows`."""
        self._counted.begin_episodes(rows, states, action_masks)
        storage = self._counted.storage
        if storage is None:
            return
        capacity, held = storage.keys.shape[1], self._shown.shape[2]
        if capacity > held:
            shown = np.zeros((self.n_tasks, 2, capacity, self.n_actions))
            shown[:, :, :held] = self._shown
            self._shown = shown
        for i in np.flatnonzero(rows):
            if storage.sizes[i, N_STATES] > 0:
                self._draw(int(i), storage)

    def update(
        self,
        states: npt.ArrayLike,
        actions: npt.ArrayLike,
        rewards: npt.ArrayLike,
        next_states: npt.ArrayLike,
        terminated: npt.ArrayLike,
        next_action_masks: npt.ArrayLike | None = None,
    ) -> None:
        """Count one transition of each task; the arguments are `BatchValueEstimator.update`'s.

        Raises:
            ValueError: An argument has the wrong shape, type or range; nothing is learned.
        """
        self._counted.update(states, actions, rewards, next_states, terminated, next_action_masks)

    def write(self, states: npt.ArrayLike, scales: Scales, out: npt.NDArray[np.float32]) -> None:
        """Write advantages, value, counts and spread of one state per task into `out`.

        `out` has shape (n_tasks, 3 A + 1).
        """
        check_out(out, self.n_tasks, 3 * self.n_actions + 1)
        _write_each(*self._look_up(states), scales.values, scales.counts, out)

    def q_values(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return Q of one state per task in the first model, shape (n_tasks, A)."""
        return self._look_up(states)[0][:, Q_SHOWN].copy()

    def spreads(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the standard deviation of Q over the models, for one state per task.

        The shape is (n_tasks, A).
        """
        return self._look_up(states)[0][:, SPREAD_SHOWN].copy()

    def value(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the maximum of Q over the allowed actions of one state per task, (n_tasks,)."""
        shown, _, masked = self._look_up(states)
        best: npt.NDArray[np.float64] = np.where(masked, -np.inf, shown[:, Q_SHOWN]).max(axis=1)
        return best

    def counts(self, states: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return how often each action was taken in one state per task, shape (n_tasks, A)."""
        return self._counted.counts(states)

    def forget(self, tasks: npt.NDArray[np.bool_] | None = None) -> None:
        """Forget the tasks marked in `tasks` (n_tasks,), or all; the generators continue."""
        which = as_flags("tasks", tasks, self.n_tasks)
        self._counted.forget(which)
        self._n_drawn[which] = 0
        self._unmet[which] = self._unmet_before

    def _draw(self, i: int, storage: Storage) -> None:
        """Draw and solve the models of task i."""
        o, n_states = self.options, int(storage.sizes[i, N_STATES])
        alpha, reward_sums, visits = beliefs(i, storage, float(o.concentration))
        means = (o.n_rewards * o.prior_mean + reward_sums) / (o.n_rewards + visits)
        P, R = draw_models(self._generators[i], o, alpha, means, visits, int(o.n_samples))
        solve(
            P, R, storage.absorbing[i], storage.blocked[i], storage.sizes[i, ANY_BLOCKED] != 0,
            float(o.gamma), as_limit(o.task_horizon), o.tolerance - ROUNDING,
            float(o.concentration), float(o.prior_mean), float(o.prior_sd),
            NO_HISTORY, self._shown[i], self._unmet[i],
        )  # fmt: skip
        self._n_drawn[i] = n_states

    def _look_up(
        self, states: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return Q and spread (n_tasks, 2, A), visits and masked actions of one state per task."""
        storage = self._counted.storage
        d = None if storage is None else storage.keys.shape[2]
        coordinates = as_coordinates("states", states, self.n_tasks, d)
        shape = (self.n_tasks, self.n_actions)
        shown = np.repeat(self._unmet[:, :, None], self.n_actions, axis=2)
        visits, masked = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
        if storage is not None:
            _read_each(
                self._counted.where, coordinates, self._n_drawn, self._shown, shown, visits, masked
            )
        return shown, visits, masked


@njit(cache=True, borrows=True)
def _read_each(where, states, n_drawn, shown, shown_rows, visits, masked):
    """Read the estimates of one state per task; rows of states outside the models do not change."""
    known, _, _ = open_storage(where)
    state_keys = states.view(np.uint64)
    for i in range(states.shape[0]):
        c = number_of(i, state_keys[i], known.keys, known.hash_table)
        if c < 0:
            continue
        for a in range(visits.shape[1]):
            visits[i, a], masked[i, a] = known.visits[i, c, a], known.masked[i, c, a]
        s = known.ids[i, c, LIVING]
        if 0 <= s < n_drawn[i]:
            for part in range(shown.shape[1]):
                for a in range(visits.shape[1]):
                    shown_rows[i, part, a] = shown[i, part, s, a]


@njit(cache=True, borrows=True)
def _write_each(shown, visits, masked, value_scale, count_scale, out):
    """Write the parts of one state per task."""
    n_actions = visits.shape[1]
    for i in range(shown.shape[0]):
        write_q_parts(shown[i, Q_SHOWN], masked[i], visits[i], value_scale, count_scale, out[i])
        for a in range(n_actions):
            out[i, 2 * n_actions + 1 + a] = shown[i, SPREAD_SHOWN, a] / value_scale
