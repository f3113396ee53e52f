r"""Posterior sampling: what a task that could be the true one says, and how far such tasks differ.

When an episode begins, `n_samples` models are drawn from what is believed of the task by then
(`conjugate_prior`; Strens 2000; Osband et al. 2013), over the S states that its model has at this
moment: those of `model_based`, numbered in order of first visit, with an end as an absorbing state
of its own. Pairs that were never tried are drawn from the prior. In each model m

    V = value iteration from 0, at most task_horizon - 1 sweeps,    Q_m = R_m + gamma P_m V,

which is Q with task_horizon steps to go where the sweeps did not stop for the tolerance. Until the
episode's end the learner shows Q of the first model, and of each pair the standard deviation of Q
over all of them, the *spread*. Steps only count.

A state that is not in the models, because it entered after they were drawn or was not met yet, has
been given no rows. It shows what an untried row with successors among the S states is worth in
them, without drawing one. By the mean and variance of the prior, with V* and V*2 the means of V and
of its square over the S states, the same for all actions,

    Q      = prior_mean + gamma V*                                              in the first model,
    spread = sqrt(Var_m[gamma V*] + Mean_m[prior_sd^2 + gamma^2 (V*2 - (V*)^2) / (c S + 1)]).

Before the first transition, S = 0, these are prior_mean and prior_sd.

In memory the counts are sparse, but a drawn model is not: drawing needs n_samples S^2 A numbers for
a moment, and planning as many operations a sweep.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from vamdp.argument_checks import (
    as_options,
    check_discount,
    check_not_negative,
    check_positive_integer,
)
from vamdp.compiled import njit
from vamdp.estimators.arguments import as_coordinates
from vamdp.estimators.conjugate_prior import Prior, draw_models
from vamdp.estimators.estimator import Scales
from vamdp.estimators.grouping import LIVING
from vamdp.estimators.model_based.batch_value_estimator import BatchValueEstimator
from vamdp.estimators.model_based.open_storage import open_storage
from vamdp.estimators.model_based.storage import ANY_BLOCKED, N_STATES, Storage
from vamdp.estimators.q_parts import Q_ACTION_PARTS, q_parts, write_q_parts
from vamdp.estimators.sampled_models import Q_SHOWN, SPREAD_SHOWN, beliefs, solve
from vamdp.estimators.state_numbers import number_of
from vamdp.mdp.bellman import ROUNDING
from vamdp.mdp.sweep_history import NO_HISTORY

# Sets the learner's streams apart from those of the environment, which has the same seeds: the
# models must not be drawn with the numbers that drew the task.
_STREAM = 0x5053524C


@dataclass(frozen=True, kw_only=True)
class PosteriorSamplingOptions(Prior):
    """What is believed of a task, and how the models drawn from it are solved.

    Attributes:
        concentration: c of the symmetric Dirichlet prior over successors, above 0. Small: each
            action has few likely successors.
        prior_mean: mean of the mean rewards.
        prior_sd: standard deviation of the mean rewards, above 0.
        noise_sd: standard deviation of a reward around its mean, above 0.
        task_horizon: steps of one episode; at least 1.
        gamma: discount factor, in [0, 1].
        tolerance: planning stops after a sweep in which no Q moved by this much; at least 0.
        n_samples: models drawn for an episode, at least 2: one has no spread.

    Raises:
        ValueError: an option is out of its range.
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
        if not isinstance(self.n_samples, (int, np.integer)) or self.n_samples < 2:
            raise ValueError(
                f"`n_samples` must be an integer of at least 2, got {self.n_samples!r}: "
                "one model has no spread."
            )


class PosteriorSampling:
    """Posterior sampling in n_tasks independent tasks, an `Estimator`.

    Its parts are those of `q_parts`, and "spread" (A,), in units of `Scales.values`. Row i draws
    from a generator of its own, so that it is bit for bit what a batch of one gives. The generator
    begins anew with a seed of `begin_tasks`; before the first it is arbitrary.

    Args:
        n_tasks: number of tasks, at least 1.
        n_actions: number of actions A, at least 1, the same in all tasks.
        **options: the fields of `PosteriorSamplingOptions`; `task_horizon` is needed.

    Raises:
        ValueError: an option is out of its range.
        TypeError: an option is unknown, or `task_horizon` is missing.

    Example:
        One arm was pulled and paid 3; the prior says 1, give or take 1, as does the noise.

        >>> learner = PosteriorSampling(1, 2, task_horizon=1, n_samples=10_000)
        >>> learner.begin_tasks(np.ones(1, bool), [0])
        >>> learner.update([0], [0], [3.0], [0], [True])
        >>> learner.begin_episodes(np.ones(1, bool), np.zeros((1, 1)), None)
        >>> learner.spreads([0]).round(1).tolist()  # sqrt(1/2) and 1
        [[0.7, 1.0]]
    """

    #: See `Estimator`.
    action_parts = (*Q_ACTION_PARTS, "spread")

    def __init__(self, n_tasks: int, n_actions: int, **options: Any) -> None:
        self.options = o = as_options(PosteriorSamplingOptions, options)
        # It numbers states, counts transitions and keeps masks; its own values nobody asks for.
        self._counted = BatchValueEstimator(n_tasks, n_actions, task_horizon=1)
        self.n_tasks, self.n_actions = self._counted.n_tasks, self._counted.n_actions
        self._generators = [np.random.default_rng() for _ in range(n_tasks)]
        self._unmet_before = np.array([o.prior_mean, o.prior_sd])
        # Of the last draw of each task: how many states it had, Q and spread of their pairs, and
        # of a pair of any other state.
        self._n_drawn = np.zeros(n_tasks, np.int64)
        self._shown = np.zeros((n_tasks, 2, 0, n_actions))
        self._unmet = np.tile(self._unmet_before, (n_tasks, 1))

    @property
    def n_states(self) -> npt.NDArray[np.int64]:
        """States in the model of each task, ends included, (n_tasks,)."""
        return self._counted.n_states

    def parts(self) -> dict[str, spaces.Box]:
        """The parts that it adds to an observation: advantages, value, counts and spread."""
        spread = spaces.Box(0, np.inf, (self.n_actions,), np.float32)
        return {**q_parts(self.n_actions), "spread": spread}

    def begin_tasks(self, rows: npt.NDArray[np.bool_], seeds: Sequence[int | None]) -> None:
        """Forget the tasks in `rows`; those with a seed begin their generator anew."""
        self.forget(rows)
        for i, seed in enumerate(seeds):
            if rows[i] and seed is not None:
                own = np.random.SeedSequence(seed, spawn_key=(_STREAM,))
                self._generators[i] = np.random.default_rng(own)

    def begin_episodes(
        self,
        rows: npt.NDArray[np.bool_],
        states: npt.NDArray[np.float64],
        action_masks: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Note what the states allow in which episodes begin; draw and solve new models there."""
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
            ValueError: an argument has the wrong shape, type or range. Nothing is learned then.
        """
        self._counted.update(states, actions, rewards, next_states, terminated, next_action_masks)

    def write(self, states: npt.ArrayLike, scales: Scales, out: npt.NDArray[np.float32]) -> None:
        """Advantages, value, counts and spread of one state per task into `out`, 3 A + 1 each."""
        _write_each(*self._look_up(states), scales.values, scales.counts, out)

    def q_values(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Q of one state per task in the first model, shape (n_tasks, A)."""
        return self._look_up(states)[0][:, Q_SHOWN].copy()

    def spreads(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The standard deviation of Q over the models, of one state per task, (n_tasks, A)."""
        return self._look_up(states)[0][:, SPREAD_SHOWN].copy()

    def value(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The maximum of Q over the allowed actions of one state per task, shape (n_tasks,)."""
        shown, _, masked = self._look_up(states)
        best: npt.NDArray[np.float64] = np.where(masked, -np.inf, shown[:, Q_SHOWN]).max(axis=1)
        return best

    def counts(self, states: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """How often each action was taken in one state per task, shape (n_tasks, A)."""
        return self._counted.counts(states)

    def forget(self, tasks: npt.NDArray[np.bool_] | None = None) -> None:
        """Forget the tasks of the mask (n_tasks,), or all; the generators go on."""
        which = slice(None) if tasks is None else np.asarray(tasks, np.bool_)
        self._counted.forget(tasks)
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
            float(o.gamma), int(o.task_horizon), o.tolerance - ROUNDING,
            float(o.concentration), float(o.prior_mean), float(o.prior_sd),
            NO_HISTORY, self._shown[i], self._unmet[i],
        )  # fmt: skip
        self._n_drawn[i] = n_states

    def _look_up(
        self, states: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """What is shown (n_tasks, 2, A), visits and masked actions of one state per task."""
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


@njit(cache=True)
def _read_each(where, states, n_drawn, shown, shown_rows, visits, masked):
    """What is known of one state per task; rows stay as they are where it is not in the models."""
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
            shown_rows[i] = shown[i, :, s]


@njit(cache=True)
def _write_each(shown, visits, masked, value_scale, count_scale, out):
    """The parts of one state per task, from its rows."""
    n_actions = visits.shape[1]
    for i in range(shown.shape[0]):
        write_q_parts(shown[i, Q_SHOWN], masked[i], visits[i], value_scale, count_scale, out[i])
        for a in range(n_actions):
            out[i, 2 * n_actions + 1 + a] = shown[i, SPREAD_SHOWN, a] / value_scale
