"""The RL3 paper's object-level learner: Q-estimates of one task, updated with every transition.

An agent acts in an unknown task. The estimator answers: which action values are optimal if the
transitions observed so far are all there is to know? It estimates the task's model from counts
(`learned_model`) and solves it by value iteration from Q = V = 0, with at most ``task_horizon``
sweeps, stopping after a sweep in which no entry of Q moved by ``tolerance`` (RL3, arXiv 2306.15909,
Algorithm 1). Planning is lazy: `update` stores the transition, and the next look-up plans.

It needs no environment; use it from any code base:

    >>> import vamdp
    >>> estimator = vamdp.ValueEstimator(2, task_horizon=10)
    >>> estimator.update(state=0, action=1, reward=3.0, next_state=1, terminated=False)
    >>> estimator.q_values(0).round(3).tolist()
    [9.021, 10.962]
    >>> estimator.counts(0).tolist()
    [0, 1]

Call `forget` when a new task begins. A new episode of the same task needs no call.
`BatchValueEstimator` does the same for many tasks at once; this class is its batch of one.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import is_integer
from vamdp.estimators.arguments import LARGEST_REWARD, check_action_mask, reward_error
from vamdp.estimators.model_based.batch_value_estimator import BatchValueEstimator
from vamdp.estimators.model_based.dense_view import LearnedModel
from vamdp.estimators.model_based.fast_step import NO_VECTOR, FastStep
from vamdp.estimators.model_based.options import EstimatorOptions
from vamdp.estimators.state_arguments import State
from vamdp.inner_env import as_end, as_reward


class ValueEstimator:
    """Q-estimates of one task.

    A state is an int, or a tuple of numbers (integers for clustering). All states of one estimator
    have the same length.

    Args:
        n_actions: Number of actions A, at least 1.
        task_horizon: Steps of one episode and the limit of planning sweeps, at least 1.
        **options: The other fields of `EstimatorOptions`: gamma, tolerance, smoothing, warm_start,
            reward_model, cluster_size, cluster_radius, cluster_terminals, bonus, prior_mean,
            prior_weight.

    Raises:
        ValueError: An option is out of range.
        TypeError: An option is unknown.
    """

    def __init__(self, n_actions: int, *, task_horizon: int, **options: Any) -> None:
        self.batch = BatchValueEstimator(1, n_actions, task_horizon=task_horizon, **options)
        self._single = FastStep(self.batch, state_name="next_state", mask_name="next_action_mask")

    @property
    def n_actions(self) -> int:
        """Number of actions A."""
        return self.batch.n_actions

    @property
    def options(self) -> EstimatorOptions:
        """The estimator's options."""
        return self.batch.options

    @property
    def n_states(self) -> int:
        """Number of abstract states in the model, terminal copies included."""
        return int(self.batch.n_states[0])

    @property
    def n_sweeps(self) -> int:
        """Number of sweeps of the last planning, skipped ones included; 0 before the first."""
        return int(self.batch.n_sweeps[0])

    @property
    def nbytes(self) -> int:
        """Memory of the model, in bytes."""
        return self.batch.nbytes

    def update(
        self,
        state: State,
        action: int,
        reward: float,
        next_state: State,
        terminated: bool,
        next_action_mask: npt.ArrayLike | None = None,
    ) -> None:
        """Learn one transition.

        Planning is postponed to the next look-up; with `warm_start` it happens at once.

        Args:
            state: The state acted in.
            action: The action taken, in [0, A).
            reward: The reward, finite.
            next_state: The state reached.
            terminated: Whether the task ended the episode. A truncation is an ordinary transition:
                pass False.
            next_action_mask: The actions that `next_state` allows, bools of shape (A,). None: its
                last known mask still holds.

        Raises:
            ValueError: An argument is out of range; nothing is learned.
            TypeError: A state is neither an int nor a tuple of numbers; nothing is learned.
        """
        if not is_integer(action) or not 0 <= action < self.batch.n_actions:
            raise ValueError(
                f"`action` must be an integer in [0, {self.batch.n_actions}), got {action!r}."
            )
        if type(reward) is not float:
            reward = as_reward(reward)
        if not abs(reward) <= LARGEST_REWARD:  # also NaN
            raise ValueError(reward_error("reward", reward))
        if type(terminated) is not bool:
            terminated = as_end("terminated", terminated)
        self._single.begin(state)
        self._single.step(int(action), reward, next_state, terminated, next_action_mask, NO_VECTOR)
        self.batch.note_unplanned()

    def q_values(self, state: State) -> npt.NDArray[np.float64]:
        """Return the current Q of a state, shape (A,); zeros for a state not in the model."""
        row: npt.NDArray[np.float64] = self.batch.q_values(self._one(state))[0]
        return row

    def value(self, state: State) -> float:
        """Return the maximum of Q over the actions that the state allows."""
        return float(self.batch.value(self._one(state))[0])

    def counts(self, state: State) -> npt.NDArray[np.int64]:
        """Return how often each action was taken in the state, shape (A,)."""
        row: npt.NDArray[np.int64] = self.batch.counts(self._one(state))[0]
        return row

    def abstract_state(self, state: State) -> int | None:
        """Return the number of a state's living abstract state (its cluster); None if none yet."""
        s = int(self.batch.abstract_states(self._one(state))[0])
        return None if s < 0 else s

    def set_action_mask(self, state: State, action_mask: npt.ArrayLike) -> None:
        """Set the mask (A,) of a state that no transition led to, such as a start state.

        `value` of this state follows at once. Q, its own and that of states before it, follows with
        the next `update`.
        """
        mask = check_action_mask("action_mask", action_mask, self.n_actions, required=True)
        self.batch.set_action_masks(self._one(state), mask[None])

    def forget(self) -> None:
        """Begin a new task: clear the model, counts and values."""
        self.batch.forget()

    def model(self) -> LearnedModel:
        """Return the model as dense arrays, whose size is quadratic in its states."""
        return self.batch.model(0)

    def get_state(self) -> dict[str, Any]:
        """Return everything learned as a dict of plain values and copied arrays."""
        return self.batch.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore a `get_state` of an estimator with the same actions and options.

        Raises:
            ValueError: `state` is damaged or from another kind of estimator; nothing is changed.
            TypeError: `state` is not a dict.
        """
        self.batch.set_state(state)

    def _one(self, state: State) -> npt.NDArray[np.float64]:
        return self._single.coordinates("state", state)
