"""The object-level learner: Q-estimates of the task at hand, renewed after every transition.

The problem: an agent lives in an unknown task for a while. What would it do if the transitions seen
so far were all there is to know? Estimate the task's model from counts (`learned_model`), solve it
by value iteration from Q = V = 0 (at most ``task_horizon`` sweeps, stopping after one in which no
entry of Q moved by ``tolerance``), and show Q. (RL3, arXiv 2306.15909, Algorithm 1.) For a model
that nobody looks at nothing is planned: `update` notes the transition, and the first look plans.

No environment is needed; feed it from any code base:

    >>> import vamdp
    >>> estimator = vamdp.ValueEstimator(2, task_horizon=10)
    >>> estimator.update(state=0, action=1, reward=3.0, next_state=1, terminated=False)
    >>> estimator.q_values(0).round(3).tolist()
    [9.021, 10.962]
    >>> estimator.counts(0).tolist()
    [0, 1]

What was learned stays until `forget`: a new episode of the same task changes nothing here, a new
task must call it. `BatchValueEstimator` does the same for many tasks at once; this class is its
batch of one.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import as_number
from vamdp.estimators.arguments import LARGEST_REWARD, State, reward_error
from vamdp.estimators.model_based.batch_value_estimator import BatchValueEstimator
from vamdp.estimators.model_based.dense_view import LearnedModel
from vamdp.estimators.model_based.fast_step import NO_VECTOR, FastStep
from vamdp.estimators.model_based.options import EstimatorOptions


class ValueEstimator:
    """Q-estimates of one task.

    A state is an int, or a tuple of numbers (integers if they are to be clustered); all states of
    one estimator have the same length.

    Args:
        n_actions: number of actions A, at least 1.
        task_horizon: see `EstimatorOptions`.
        **options: the other fields of `EstimatorOptions`: gamma, tolerance, smoothing, warm_start,
            reward_model, cluster_size, cluster_radius, cluster_terminals, bonus.

    Raises:
        ValueError: an option is out of its range.
        TypeError: an option is unknown.
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
        """How values are estimated."""
        return self.batch.options

    @property
    def n_states(self) -> int:
        """Abstract states in the model, terminal copies included."""
        return int(self.batch.n_states[0])

    @property
    def n_sweeps(self) -> int:
        """Sweeps of the last planning, as if each update planned and skipped none; 0 before any."""
        return int(self.batch.n_sweeps[0])

    @property
    def nbytes(self) -> int:
        """Bytes that the model takes."""
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
        """Take in one transition; planned for when somebody looks, at once with `warm_start`.

        Args:
            state: the state acted in.
            action: in [0, A).
            reward: finite.
            next_state: the state reached.
            terminated: whether the task's own end was reached. A truncation is an ordinary
                transition: pass False.
            next_action_mask: (A,) bools, the actions that `next_state` allows; None: as before.

        Raises:
            ValueError: an argument is out of its range. Nothing is learned then.
            TypeError: a state is neither an int nor a tuple of numbers.
        """
        if not isinstance(action, (int, np.integer)) or not 0 <= action < self.batch.n_actions:
            raise ValueError(
                f"`action` must be an integer in [0, {self.batch.n_actions}), got {action!r}."
            )
        if not abs(as_number(reward)) <= LARGEST_REWARD:  # also NaN
            raise ValueError(reward_error("reward", reward))
        self._single.begin(state)
        self._single.step(
            int(action), float(reward), next_state, bool(terminated), next_action_mask, NO_VECTOR
        )

    def q_values(self, state: State) -> npt.NDArray[np.float64]:
        """The newest Q of a state, shape (A,); zeros for a state not in the model."""
        row: npt.NDArray[np.float64] = self.batch.q_values(self._one(state))[0]
        return row

    def value(self, state: State) -> float:
        """The maximum of Q over the actions that the state allows."""
        return float(self.batch.value(self._one(state))[0])

    def counts(self, state: State) -> npt.NDArray[np.int64]:
        """How often each action was taken in the state, shape (A,)."""
        row: npt.NDArray[np.int64] = self.batch.counts(self._one(state))[0]
        return row

    def abstract_state(self, state: State) -> int | None:
        """The number of the abstract state, a cluster, that a state lives in; None: none yet."""
        s = int(self.batch.abstract_states(self._one(state))[0])
        return None if s < 0 else s

    def set_action_mask(self, state: State, action_mask: npt.ArrayLike) -> None:
        """Tell which actions (A,) a state allows, where no transition leads to it (a start)."""
        self.batch.set_action_masks(self._one(state), np.asarray(action_mask)[None])

    def forget(self) -> None:
        """Begin a new task: empty model, counts and values."""
        self.batch.forget()

    def model(self) -> LearnedModel:
        """The model as dense arrays; memory grows with the square of its states."""
        return self.batch.model(0)

    def get_state(self) -> dict[str, Any]:
        """All that was learned, as a dict of arrays and plain values; copies, safe to keep."""
        return self.batch.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a `get_state` of an estimator with the same actions and options.

        Raises:
            ValueError: `state` is of another estimator, or damaged. Nothing is changed then.
            TypeError: `state` is not a dict.
        """
        self.batch.set_state(state)

    def _one(self, state: State) -> npt.NDArray[np.float64]:
        return self._single.coordinates("state", state)
