"""Greedy: act as if the mean of the posterior were the truth.

The mean of the posterior's P and R is one task; the plan that is best in it is followed, and
nothing is ever tried for what it may teach. With `epsilon`, an action is drawn uniformly with that
probability at each step instead (eps-greedy), and planning does not know of it.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import check_share
from vamdp.baselines.tabular.planning_agent import PlanningAgent, Replan


class Greedy(PlanningAgent):
    """Plans with the posterior's means.

    Args:
        n_states: Number of states S of each task.
        n_actions: Number of actions A of each task.
        task_horizon: See `PlanningAgent`.
        epsilon: Probability of a random action, in [0, 1].
        replan: See `PlanningAgent`.
        **prior: The fields of `Prior`.

    Raises:
        ValueError: An argument is out of its range.
        TypeError: A field of the prior is unknown.

    Example:
        Action 1 has paid nothing where 1 was expected.

        >>> agent = Greedy(n_states=1, n_actions=2, task_horizon=1)
        >>> step = [np.array([x]) for x in (0, 1, 0.0, 0, False, True)]
        >>> agent.learn(*step)
        >>> agent.q_values(np.array([0]))
        array([[1. , 0.5]])
    """

    def __init__(
        self,
        n_states: int,
        n_actions: int,
        *,
        task_horizon: int,
        epsilon: float = 0.0,
        replan: Replan = "step",
        **prior: float,
    ) -> None:
        check_share("epsilon", epsilon)
        self.epsilon = epsilon
        super().__init__(n_states, n_actions, task_horizon, replan, prior)

    @property
    def title(self) -> str:
        """Its name in tables and figures."""
        return "eps-greedy" if self.epsilon else "greedy"

    def act(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the actions that are best by the plan, or random ones, shape (n_tasks,)."""
        actions = super().act(seen)
        if self.epsilon:
            random = self._rng.random(actions.size) < self.epsilon
            actions[random] = self._rng.integers(self.n_actions, size=random.sum())
        return actions

    def _make_models(self, tasks: npt.NDArray[np.intp]) -> None:
        self._models.P[0, tasks] = self._posterior.P[tasks]
        self._models.R[0, tasks] = self._posterior.R[tasks]
