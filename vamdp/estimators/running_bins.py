"""Discretize states of unknown range for tabular learners: bins grow with the range observed.

A number without known bounds has bins of width w, the smallest power of two with

    (highest - lowest value seen in this task) <= n_bins * w    and    largest size seen <= 2**40 w.

Bins begin at multiples of w, so at most n_bins + 1 of them are met. (The second condition keeps
rounding noise, such as between 0.3 and 0.1 + 0.2, from counting as a range.) When a width doubles,
each new bin joins two old ones. The learner then restarts and learns the task's transitions again,
in order, with the new bins. Its state is therefore always that of a learner that used the current
widths from the first step. (Its random numbers restart too, if the task has a seed.)

A width doubles about ten times in a task, mostly in the first steps. The transitions of the current
task must be stored for this. Pass `StateBins` with `low` and `high` if the range is known; this
saves the memory and the time.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box

from vamdp.estimators.arguments import as_flags, as_masks, as_new_tasks, as_transitions
from vamdp.estimators.estimator import Estimator, Scales
from vamdp.estimators.state_arguments import as_coordinates
from vamdp.estimators.state_bins import StateBins, bounded_bins

# Bin numbers stay far below 2**53, up to which float64 represents integers exactly.
_MOST_BINS_FROM_0 = 2.0**40

FloatArray = npt.NDArray[np.float64]


class _Start(NamedTuple):
    """The start of an episode."""

    state: FloatArray
    mask: npt.NDArray[np.bool_] | None


class _Move(NamedTuple):
    """A transition."""

    state: FloatArray
    action: int
    reward: float
    next_state: FloatArray
    terminated: bool
    mask: npt.NDArray[np.bool_] | None


class _Widths:
    """The bins of one task.

    Args:
        bins: The numbers of bins, and the known bounds.
        d: Number of coordinates of a state.
    """

    def __init__(self, bins: StateBins, d: int) -> None:
        low, high = (np.array(bound) for bound in bins.bounds(d))
        self._n = np.array(bins.counts(d), np.float64)
        self._is_running = ~np.isfinite(low)
        self._known = np.flatnonzero(~self._is_running)
        self._bounds = low[self._known], high[self._known], self._n[self._known]
        self._width = np.zeros(d)  # of the running ones
        self._seen_low, self._seen_high = np.full(d, np.inf), np.full(d, -np.inf)

    def see(self, state: FloatArray) -> bool:
        """Extend the range by a state (d,); returns whether a width grew."""
        np.minimum(self._seen_low, state, out=self._seen_low)
        np.maximum(self._seen_high, state, out=self._seen_high)
        spread = self._seen_high - self._seen_low
        size = np.maximum(np.abs(self._seen_low), np.abs(self._seen_high))
        needed = np.where(spread > 0, np.maximum(spread / self._n, size / _MOST_BINS_FROM_0), 0.0)
        grows = self._is_running & (needed > self._width) & (self._n > 1)
        # The smallest power of two that is at least `needed` = part * 2**exponent, exactly: a
        # logarithm rounds, and a width that stays too small would grow again at every step.
        part, exponent = np.frexp(needed[grows])
        self._width[grows] = np.ldexp(1.0, exponent - (part == 0.5))
        return bool(grows.any())

    def key(self, state: FloatArray) -> FloatArray:
        """Return the bins of a state, shape (1, d)."""
        bins = np.zeros(state.shape)
        np.divide(state, self._width, out=bins, where=self._width > 0)
        np.floor(bins, out=bins)
        bins[self._known] = bounded_bins(state[self._known], *self._bounds)
        return bins[None]


class RunningBins:
    """An `Estimator` of real-valued states that discretizes them for tabular learners.

    A new task clears the bins and the stored transitions; a new episode does not.

    Args:
        learners: One `Estimator` of a single task per task.
        bins: The numbers of bins, and the known bounds.
    """

    #: States are real-valued observations, see `Estimator`.
    takes_reals = True

    def __init__(self, learners: Sequence[Estimator], bins: StateBins) -> None:
        self.learners, self.bins = list(learners), bins
        self.n_tasks, self.n_actions = len(self.learners), self.learners[0].n_actions
        self._takes_keys = hasattr(self.learners[0], "takes_keys")
        self._d: int | None = None  # number of coordinates, known from the first state on
        self._widths: list[_Widths | None] = [None] * self.n_tasks
        self._seeds: list[int | None] = [None] * self.n_tasks
        self._past: list[list[_Start | _Move]] = [[] for _ in self.learners]

    @property
    def action_parts(self) -> tuple[str, ...] | None:
        """Names of the learners' parts with one entry per action, see `Estimator`."""
        names: tuple[str, ...] | None = getattr(self.learners[0], "action_parts", None)
        return names

    def parts(self) -> dict[str, Box]:
        """Return the learners' parts."""
        return dict(self.learners[0].parts())

    def begin_tasks(self, rows: npt.NDArray[np.bool_], seeds: Sequence[int | None]) -> None:
        """Forget the tasks in `rows`, including their bins."""
        for i in np.flatnonzero(as_new_tasks(rows, seeds, self.n_tasks)).tolist():
            self._seeds[i], self._widths[i] = seeds[i], None
            self._past[i].clear()
            self.learners[i].begin_tasks(np.ones(1, np.bool_), [seeds[i]])

    def begin_episodes(
        self,
        rows: npt.NDArray[np.bool_],
        states: npt.ArrayLike,
        action_masks: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Extend the ranges by the first states, and start the learners' episodes."""
        which = as_flags("rows", rows, self.n_tasks)
        coordinates, masks = self._coordinates(states), None
        if action_masks is not None:
            masks = as_masks("action_masks", action_masks, (self.n_tasks, self.n_actions))
        for i in np.flatnonzero(which).tolist():
            mask = None if masks is None else masks[i].copy()
            self._note(i, _Start(coordinates[i].copy(), mask))

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
            ValueError: An argument has the wrong shape, type or range; nothing is learned.
        """
        moves = as_transitions(
            self.n_tasks, self.n_actions, self._d,
            states, actions, rewards, next_states, terminated, next_action_masks,
        )  # fmt: skip
        self._d = moves.states.shape[1]
        masks = moves.next_action_masks.copy() if next_action_masks is not None else None
        for i in range(self.n_tasks):
            self._note(
                i,
                _Move(
                    moves.states[i].copy(),
                    int(moves.actions[i]),
                    float(moves.rewards[i]),
                    moves.next_states[i].copy(),
                    bool(moves.terminated[i]),
                    None if masks is None else masks[i],
                ),
            )

    def write(self, states: npt.ArrayLike, scales: Scales, out: npt.NDArray[np.float32]) -> None:
        """Write the learners' parts for the states' bins into `out`."""
        coordinates = self._coordinates(states)
        for i, learner in enumerate(self.learners):
            learner.write(self._key(i, coordinates[i]), scales, out[i : i + 1])

    def bins_of(self, states: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the current bins of one state per task, shape (n_tasks, d)."""
        coordinates = self._coordinates(states)
        keys = [self._with_widths(i).key(state) for i, state in enumerate(coordinates)]
        return np.concatenate(keys).astype(np.int64)

    def _coordinates(self, states: npt.ArrayLike) -> FloatArray:
        coordinates = as_coordinates("states", states, self.n_tasks, self._d)
        self._d = coordinates.shape[1]
        return coordinates

    def _with_widths(self, i: int) -> _Widths:
        widths = self._widths[i]
        if widths is None:
            assert self._d is not None, "states come before bins"
            widths = self._widths[i] = _Widths(self.bins, self._d)
        return widths

    def _note(self, i: int, event: _Start | _Move) -> None:
        """Pass an event to learner i; if a width grew, replay all earlier events first."""
        widths, past = self._with_widths(i), self._past[i]
        grew = widths.see(event.state)
        if isinstance(event, _Move):
            grew = widths.see(event.next_state) or grew
        if grew:
            self.learners[i].begin_tasks(np.ones(1, np.bool_), [self._seeds[i]])
            for each in past:
                self._tell(i, each)
        self._tell(i, event)
        past.append(event)  # only after the learner has accepted it

    def _tell(self, i: int, event: _Start | _Move) -> None:
        learner, key = self.learners[i], self._key(i, event.state)
        masks = None if event.mask is None else event.mask[None].copy()
        if isinstance(event, _Start):
            learner.begin_episodes(np.ones(1, np.bool_), key, masks)
            return
        learner.update(
            key,
            np.array([event.action]),
            np.array([event.reward]),
            self._key(i, event.next_state),
            np.array([event.terminated]),
            masks,
        )

    def _key(self, i: int, state: FloatArray) -> Any:
        """Return the state's bins in the form that learner i takes."""
        key = self._with_widths(i).key(state) + 0.0  # -0.0 would be another state
        return [tuple(int(k) for k in key[0])] if self._takes_keys else key
