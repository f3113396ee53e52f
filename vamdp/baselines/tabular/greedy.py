"""Greedy and eps-greedy agents for tabular tasks: act as if the posterior mean were the truth.

The posterior means of P and R define one task. The agent follows the optimal plan of that task, and
never explores on purpose. With `epsilon`, it takes a uniformly random action with that probability
at each step (eps-greedy); the plan does not account for it.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import check_share
from vamdp.baselines.tabular.planning_agent import PlanningAgent, Replan


class Greedy(PlanningAgent):
    """Plans with the posterior means.

    Args:
        n_states: Number of states S of each task.
        n_actions: Number of actions A of each task.
        task_horizon: Steps after which an episode is cut, at least 1; see `PlanningAgent`.
        epsilon: Probability of a random action, in [0, 1].
        replan: Plan at the start of each "episode" or at each "step".
        **prior: The fields of `Prior`.

    Raises:
        ValueError: An argument is out of its range.
        TypeError: A field of the prior is unknown.

    Example:
        Action 1 paid 0, and the prior expected 1.

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
        """The agent's name in tables and figures."""
        return "eps-greedy" if self.epsilon else "greedy"

    def act(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the plan's best actions, or random ones, shape (n_tasks,)."""
        actions = super().act(seen)
        if self.epsilon:
            random = self._rng.random(actions.size) < self.epsilon
            actions[random] = self._rng.integers(self.n_actions, size=random.sum())
        return actions

    def _make_models(self, tasks: npt.NDArray[np.intp]) -> None:
        self._models.P[0, tasks] = self._posterior.P[tasks]
        self._models.R[0, tasks] = self._posterior.R[tasks]
