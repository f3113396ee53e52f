"""Feed the transitions of one environment to an estimator of one task."""

from typing import Any

import numpy as np
import numpy.typing as npt

from vamdp.estimators.arguments import LARGEST_REWARD, check_action_mask, reward_error
from vamdp.estimators.choice import check_written, writes_finite
from vamdp.estimators.estimator import Estimator, Scales
from vamdp.estimators.state_arguments import state_coordinates


class OneTask:
    """Steps an `Estimator` of one task.

    `ValueAugment` uses a built-in estimator's `fast_step` instead if it has one, such as
    `BatchValueEstimator`. That object has the methods of this class, and a faster one for states
    that are ints.

    Args:
        estimator: The learner.
        scales: Divisors of its numbers.
        part: The slice of an observation vector that holds its parts.
        state_name: Name of a state in error messages.
    """

    def __init__(self, estimator: Estimator, scales: Scales, part: slice, state_name: str) -> None:
        self._state_name = state_name
        self._estimator, self._scales, self._part = estimator, scales, part
        self._is_trusted = writes_finite(estimator, scales)
        self._takes_keys = hasattr(estimator, "takes_keys")
        self._n_coordinates: int | None = None  # of every state, set by the first one
        self._states: Any = None  # the current state, as a batch of one

    def begin(self, state: Any, mask: Any) -> None:
        """Start an episode in a state; the mask (A,) of allowed actions may be None (unknown)."""
        states = self._batch(state)
        self._estimator.begin_episodes(
            np.ones(1, np.bool_), states, self._masks(mask, required=True)
        )
        self._states = states

    def step(
        self,
        action: int,
        reward: float,
        next_state: Any,
        terminated: bool,
        mask: Any,
        vector: npt.NDArray[np.float32],
    ) -> None:
        """Learn from a transition; write the next state's estimates into the vector.

        Raises:
            ValueError: The reward is not finite, or the state or the mask is invalid. Nothing is
                learned then.
            TypeError: The state is neither an int nor a tuple of numbers. Nothing is learned.
        """
        if not abs(reward) <= LARGEST_REWARD:  # also NaN
            raise ValueError(reward_error("reward", reward))
        next_states = self._batch(next_state)
        self._estimator.update(
            self._states,
            np.array([action]),
            np.array([reward]),
            next_states,
            np.array([terminated]),
            self._masks(mask, required=not terminated),
        )
        self._states = next_states
        self.show(vector)

    def show(self, vector: npt.NDArray[np.float32]) -> None:
        """Write the current state's estimates into the vector (size,)."""
        out = vector[None, self._part]
        self._estimator.write(self._states, self._scales, out)
        if not self._is_trusted:
            check_written(self._estimator, out)

    def _batch(self, state: Any) -> Any:
        if self._takes_keys:
            return [state]
        states = state_coordinates(self._state_name, state, self._n_coordinates)
        self._n_coordinates = states.shape[1]
        return states

    def _masks(self, mask: Any, required: bool) -> npt.NDArray[np.bool_] | None:
        if mask is None:
            return None
        n_actions = self._estimator.n_actions
        return check_action_mask("action_mask", mask, n_actions, required)[None]
