"""PSRL, posterior sampling: act as if a task drawn from the posterior were the truth.

PSRL draws one task at the start of each episode and follows its optimal plan to the end (Strens
2000; Osband et al. 2013). An action is thus taken with the probability that it is optimal.

Optimistic PSRL draws several tasks, solves each, and takes the largest Q,

    Q_h[s, a] = max over samples m of Q_h^(m)[s, a]

(Osband's TabulaRL; Duan et al. 2016).
"""

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import check_positive_integer
from vamdp.baselines.tabular.planning_agent import PlanningAgent, Replan


class PSRL(PlanningAgent):
    """Plans with samples from the posterior.

    Args:
        n_states: Number of states S of each task.
        n_actions: Number of actions A of each task.
        task_horizon: Steps after which an episode is cut, at least 1; see `PlanningAgent`.
        n_samples: Number of samples, at least 1. 1 is PSRL, more is optimistic PSRL.
        replan: Draw and plan at the start of each "episode", as in the sources, or at each "step".
        **prior: The fields of `Prior`.

    Raises:
        ValueError: An argument is out of its range.
        TypeError: A field of the prior is unknown.
    """

    def __init__(
        self,
        n_states: int,
        n_actions: int,
        *,
        task_horizon: int,
        n_samples: int = 1,
        replan: Replan = "episode",
        **prior: float,
    ) -> None:
        check_positive_integer("n_samples", n_samples)
        super().__init__(n_states, n_actions, task_horizon, replan, prior, n_models=n_samples)

    @property
    def title(self) -> str:
        """The agent's name in tables and figures."""
        return "PSRL" if self.n_models == 1 else "optimistic PSRL"

    def _make_models(self, tasks: npt.NDArray[np.intp]) -> None:
        P, R = self._posterior.sample(self._rng, tasks, self.n_models)
        self._models.P[:, tasks], self._models.R[:, tasks] = P, R
