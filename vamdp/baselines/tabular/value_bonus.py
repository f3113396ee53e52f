"""Act greedily on the values that RL3 observes, optionally with a bonus for rarely taken actions.

The agent learns with the estimator of `vamdp.vector.ValueAugment`. It uses only what an RL3 policy
observes of the current state, the Q-estimates and the counts:

    a = argmax_a Q(s, a) + c / sqrt(1 + N(s, a)).

With c = 0 this is certainty equivalence: the agent acts as if the estimated model were true. The
bonus has the form of model-based interval estimation (Strehl and Littman, An analysis of
model-based interval estimation for Markov decision processes, 2008, section 3.3), but it is added
when an action is chosen and not inside the model, so the agent does not plan to reach states with a
large bonus.
"""

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import as_options, check_not_negative
from vamdp.baselines.played_step import check_start
from vamdp.baselines.tabular.ties import best_actions
from vamdp.estimators.model_based.batch_value_estimator import BatchValueEstimator
from vamdp.estimators.model_based.options import EstimatorOptions


class ValueBonus:
    """Takes the action with the largest estimate plus bonus; ties are broken at random.

    Args:
        n_actions: Number of actions, at least 1.
        bonus: The constant c, in units of reward, at least 0.
        model_bonus: The estimator's option `bonus`, which is added inside the model, at least 0.
        **options: The other fields of `EstimatorOptions`; `task_horizon` is required.

    Raises:
        ValueError: An argument or option is out of its range.
        TypeError: An option is unknown, or `task_horizon` is missing.

    Example:
        >>> agent = ValueBonus(2, task_horizon=1, reward_model="state_action")
        >>> agent.start(1, seed=0)
        >>> state, ends, runs_on = np.array([0]), np.array([True]), np.array([False])
        >>> agent.learn(state, np.array([1]), np.array([3.0]), state, ends, runs_on)
        >>> agent.act(state)
        array([1])
    """

    sees: ClassVar[Literal["states"]] = "states"

    def __init__(
        self, n_actions: int, *, bonus: float = 0.0, model_bonus: float = 0.0, **options: Any
    ) -> None:
        check_not_negative("bonus", bonus)
        check_not_negative("model_bonus", model_bonus)
        options["bonus"] = model_bonus
        as_options(EstimatorOptions, options)
        self.n_actions, self.bonus = n_actions, float(bonus)
        self.title = "VAMDP + bonus" if bonus else "certainty-equivalent"
        self._options = options
        self.start(1, seed=0)

    def start(self, n_tasks: int, seed: int) -> None:
        """Begin meta-episodes in this many new tasks, and forget the tasks before."""
        check_start(n_tasks, seed)
        self._rng = np.random.default_rng(seed)
        self.estimator = BatchValueEstimator(n_tasks, self.n_actions, **self._options)

    def act(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return actions, shape (n_tasks,), for the current states."""
        worth = self.estimator.q_values(seen)
        if self.bonus:
            worth += self.bonus / np.sqrt(1.0 + self.estimator.counts(seen))
        return best_actions(worth, self._rng)

    def learn(
        self,
        states: npt.NDArray[np.int64],
        actions: npt.NDArray[np.int64],
        rewards: npt.NDArray[np.float64],
        next_states: npt.NDArray[np.int64],
        terminated: npt.NDArray[np.bool_],
        truncated: npt.NDArray[np.bool_],
    ) -> None:
        """Learn from one transition of each task; truncation makes no difference."""
        self.estimator.update(states, actions, rewards, next_states, terminated)
