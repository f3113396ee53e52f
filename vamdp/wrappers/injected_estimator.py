"""A learner of the user's own, behind the interface that `ValueAugment` calls.

`ValueAugment` lets `SingleStep` learn and write the observation in one compiled call. Any other
learner (optimistic, posterior sampling, model-free) has only update, q_values, counts and forget;
here the same parts are written from those.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from vamdp.estimators.model_based.fast_step import check_action_mask


class InjectedEstimator:
    """What `ValueAugment` does with a learner that is not ours; see `SingleStep`.

    Args:
        estimator: an object with the methods update, q_values, counts and forget of
            `ValueEstimator`; update gets a mask only where the environment gives one. Has it
            set_action_mask too, this is told the masks of the states in which episodes start.
        n_actions: number of actions A.
        value_scale: what Q is divided by.
        count_scale: what counts are divided by.
        start: where the values begin in an observation vector.

    Raises:
        TypeError: a method is missing.
    """

    def __init__(
        self, estimator: Any, n_actions: int, value_scale: float, count_scale: float, start: int
    ) -> None:
        missing = [
            name
            for name in ("update", "q_values", "counts", "forget")
            if not hasattr(estimator, name)
        ]
        if missing:
            raise TypeError(
                f"`estimator` must have the methods update, q_values, counts and forget, got "
                f"{type(estimator).__name__} without {', '.join(missing)}."
            )
        self.n_actions = n_actions
        self._estimator = estimator
        self._value_scale, self._count_scale, self._start = value_scale, count_scale, start
        self._key: Any = None  # the present state
        self._allowed = np.ones(n_actions, np.bool_)  # in it

    def begin(self, key: Any, mask: Any) -> None:
        """Start an episode in the state `key`, which allows the actions of the mask (A,)."""
        self._note(key, mask, required=True)
        if mask is not None and hasattr(self._estimator, "set_action_mask"):
            self._estimator.set_action_mask(key, self._allowed)

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
            ValueError: the reward is not finite, or the mask is none. Nothing is learned then.
        """
        if not np.isfinite(reward):
            raise ValueError(f"`reward` must be finite, got {reward!r}.")
        state = self._key
        self._note(key, mask, required=not terminated)
        masked = {} if mask is None else {"next_action_mask": self._allowed}
        self._estimator.update(state, action, reward, key, terminated, **masked)
        self.show(vector)

    def show(self, vector: npt.NDArray[np.float32]) -> None:
        """Write the present state's values into the vector (size,), from `start` on."""
        n = self.n_actions
        Q = np.asarray(self._estimator.q_values(self._key), np.float64)
        # The end of an episode may allow nothing.
        allowed = self._allowed if self._allowed.any() else np.ones(n, np.bool_)
        best, worst = Q[allowed].max(), Q[allowed].min()
        values = vector[self._start :]
        values[:n] = (np.where(allowed, Q, worst) - best) / self._value_scale
        values[n] = best / self._value_scale
        values[n + 1 :] = np.asarray(self._estimator.counts(self._key)) / self._count_scale

    def _note(self, key: Any, mask: Any, required: bool) -> None:
        """Make `key` the present state."""
        allowed = np.ones(self.n_actions, np.bool_)
        if mask is not None:
            allowed = check_action_mask("action_mask", mask, self.n_actions, required)
        self._key, self._allowed = key, allowed
