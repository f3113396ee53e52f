"""Adapt learners of a single task, which have only four methods, to the protocol `Estimator`."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from vamdp.estimators.estimator import Scales
from vamdp.estimators.q_parts import Q_ACTION_PARTS, q_parts, write_q_parts

#: The methods each learner must have, with the signatures of `ValueEstimator`.
METHODS = ("update", "q_values", "counts", "forget")


class RowByRow:
    """An `Estimator` made of learners of one task each.

    `update` is called with a mask only if the environment provides one. If a learner has a method
    `set_action_mask`, it is called with the masks of the states in which episodes start. States are
    the hashable keys that the environment's `state_key` returns.

    Args:
        estimators: One learner per task, with the methods update, q_values, counts and forget of
            `vamdp.ValueEstimator`.
        n_actions: Number of actions A.
    """

    #: States are hashable keys, one per task, instead of coordinates.
    takes_keys = True

    #: Names of the parts with one entry per action, see `Estimator`.
    action_parts = Q_ACTION_PARTS

    def __init__(self, estimators: Sequence[Any], n_actions: int) -> None:
        self.estimators = list(estimators)
        self.n_tasks, self.n_actions = len(self.estimators), n_actions
        self._allowed: list[dict[Hashable, npt.NDArray[np.bool_]]] = [{} for _ in self.estimators]

    def parts(self) -> dict[str, spaces.Box]:
        """Return the parts added to an observation: advantages, value and counts."""
        return q_parts(self.n_actions)

    def begin_tasks(self, rows: npt.NDArray[np.bool_], seeds: Sequence[int | None]) -> None:
        """Call `forget` of the learners in `rows`."""
        for i in np.flatnonzero(rows):
            self.estimators[i].forget()
            self._allowed[i].clear()

    def begin_episodes(
        self, rows: npt.NDArray[np.bool_], states: Any, action_masks: npt.NDArray[np.bool_] | None
    ) -> None:
        """Store the masks of the first states in `rows`, and pass them to the learners."""
        if action_masks is None:
            return
        for i in np.flatnonzero(rows & action_masks.any(axis=1)):
            self._allowed[i][states[i]] = action_masks[i].copy()
            if hasattr(self.estimators[i], "set_action_mask"):
                self.estimators[i].set_action_mask(states[i], action_masks[i].copy())

    def update(
        self,
        states: Any,
        actions: npt.NDArray[np.int64],
        rewards: npt.NDArray[np.float64],
        next_states: Any,
        terminated: npt.NDArray[np.bool_],
        next_action_masks: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Pass each learner its transition."""
        for i, estimator in enumerate(self.estimators):
            told = {}
            if next_action_masks is not None and next_action_masks[i].any():
                told["next_action_mask"] = next_action_masks[i].copy()
                if not terminated[i]:
                    self._allowed[i][next_states[i]] = next_action_masks[i].copy()
            outcome = (float(rewards[i]), next_states[i], bool(terminated[i]))
            estimator.update(states[i], int(actions[i]), *outcome, **told)

    def write(self, states: Any, scales: Scales, out: npt.NDArray[np.float32]) -> None:
        """Write the parts from each learner's Q and counts of its state.

        Raises:
            ValueError: `q_values` or `counts` does not return A finite numbers.
        """
        nothing_masked = np.zeros(self.n_actions, np.bool_)
        for i in range(self.n_tasks):
            allowed = self._allowed[i].get(states[i])
            masked = nothing_masked if allowed is None else ~allowed
            Q, visits = self._ask(i, "q_values", states[i]), self._ask(i, "counts", states[i])
            write_q_parts(Q, masked, visits, scales.values, scales.counts, out[i])

    def _ask(self, i: int, method: str, state: Any) -> npt.NDArray[np.float64]:
        """Return the result of learner i's method for a state, as float64 of shape (A,)."""
        answer = getattr(self.estimators[i], method)(state)
        try:
            row = np.array(answer, np.float64)
        except (TypeError, ValueError):
            row = np.zeros(0)
        if row.shape != (self.n_actions,) or not np.isfinite(row).all():
            raise ValueError(
                f"`{type(self.estimators[i]).__name__}.{method}` must return {self.n_actions} "
                f"finite numbers, one per action, got {answer!r} for state {state!r}."
            )
        return row
