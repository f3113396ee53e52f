"""A learner of the user's own, behind the interface that `ValueAugment` calls.

`ValueAugment` speaks to a `BatchValueEstimator` of one task, which learns and writes the
observation in one compiled call. Any other learner (optimistic, posterior sampling, model-free) has
only update, q_values, counts and forget; this adapter writes the same parts from those.
"""

from typing import Any

import numpy as np
import numpy.typing as npt


class InjectedEstimator:
    """The learner of one task, as a batch of one.

    Args:
        estimator: an object with the methods update, q_values, counts and forget of
            `ValueEstimator`; a mask is passed to update only where the environment gives one.
        n_actions: number of actions A.

    Raises:
        TypeError: a method is missing.
    """

    def __init__(self, estimator: Any, n_actions: int) -> None:
        missing = [
            m for m in ("update", "q_values", "counts", "forget") if not hasattr(estimator, m)
        ]
        if missing:
            raise TypeError(
                f"`estimator` must have the methods update, q_values, counts and forget, got "
                f"{type(estimator).__name__} without {', '.join(missing)}."
            )
        self.estimator = estimator
        self.n_actions = n_actions
        self.no_masks = np.zeros((1, 0), np.bool_)
        self._allowed = np.ones(n_actions, np.bool_)  # in the state shown

    def check_masks(
        self, name: str, masks: npt.ArrayLike, applies: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.bool_]:
        """A mask as bools (1, A)."""
        allowed = np.asarray(masks).astype(np.bool_)
        if allowed.shape != (1, self.n_actions) or not (allowed.any() or not applies[0]):
            raise ValueError(
                f"`{name}` must be ({self.n_actions},) with an action allowed, got {masks!r}."
            )
        return allowed

    def set_action_masks(self, state: Any, masks: npt.ArrayLike) -> None:
        """Note the mask of the state to be shown."""
        self._allowed = self.check_masks("action_mask", masks, np.ones(1, np.bool_))[0]

    def learn_and_show(
        self,
        state: Any,
        action: npt.NDArray[np.int64],
        reward: npt.NDArray[np.float64],
        next_state: Any,
        terminated: npt.NDArray[np.bool_],
        allowed: npt.NDArray[np.bool_],
        shown: Any,
        value_scale: float,
        count_scale: float,
        start: int,
        out: npt.NDArray[np.float32],
    ) -> None:
        """See `BatchValueEstimator.learn_and_show`."""
        mask = {"next_action_mask": allowed[0]} if allowed.size else {}
        self.estimator.update(
            state, int(action[0]), float(reward[0]), next_state, bool(terminated[0]), **mask
        )
        self._allowed = allowed[0] if allowed.any() else np.ones(self.n_actions, np.bool_)
        self.show(shown, value_scale, count_scale, start, out)

    def show(
        self,
        shown: Any,
        value_scale: float,
        count_scale: float,
        start: int,
        out: npt.NDArray[np.float32],
    ) -> None:
        """See `BatchValueEstimator.show`."""
        n = self.n_actions
        Q = np.asarray(self.estimator.q_values(shown), np.float64)
        best, worst = Q[self._allowed].max(), Q[self._allowed].min()
        values = out[0, start:]
        values[:n] = (np.where(self._allowed, Q, worst) - best) / value_scale
        values[n] = best / value_scale
        values[n + 1 :] = np.asarray(self.estimator.counts(shown)) / count_scale
