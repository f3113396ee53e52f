"""UCRL2: act as if the best task that is not yet ruled out were the truth.

Jaksch et al. (2010) surround each row's estimate with a confidence region and plan with its most
favourable member (extended value iteration; `planning` has the maximisation). At step t of the
meta-episode, with n visits of (s, a), the region is

    |r - R[s, a]|       <= reward_scale * sqrt(7 log(2 S A t / delta) / (2 max(1, w + n))),
    ||p - P[s, a]||_1   <= transition_scale * sqrt(14 S log(2 A t / delta) / max(1, n)).

Differences from the source:

- R and P are posterior means, and w is the number of rewards that the prior of R counts for. w = 0
  is the source's radius; w = 1, the true prior of random MDPs, scores 0.2 to 1.7 % more there.
- Both radii are scaled, as by Duan et al. (2016): unscaled, they are so wide that nothing is
  learned in a few hundred steps.
- Values cover the steps left in the episode.
- Plans are made at the start of an episode or at each step, not when a count has doubled.
"""

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import as_number, check_not_negative
from vamdp.baselines.tabular.planning_agent import PlanningAgent, Replan


class UCRL2(PlanningAgent):
    """Plans with the most favourable model in the confidence region.

    Args:
        n_states: Number of states S of each task.
        n_actions: Number of actions A of each task.
        task_horizon: Steps after which an episode is cut, at least 1; see `PlanningAgent`.
        reward_scale: Scale of the rewards' confidence radius, at least 0, in units of reward; the
            source assumes rewards in [0, 1].
        transition_scale: Scale of the transition probabilities' confidence radius, at least 0.
        delta: Probability that the unscaled region misses the truth, in (0, 1).
        replan: Plan at the start of each "episode" or at each "step".
        **prior: The fields of `Prior`.

    Raises:
        ValueError: An argument is out of its range.
        TypeError: A field of the prior is unknown.
    """

    title = "UCRL2"

    def __init__(
        self,
        n_states: int,
        n_actions: int,
        *,
        task_horizon: int,
        reward_scale: float = 0.15,
        transition_scale: float = 0.01,
        delta: float = 0.05,
        replan: Replan = "step",
        **prior: float,
    ) -> None:
        check_not_negative("reward_scale", reward_scale)
        check_not_negative("transition_scale", transition_scale)
        if not 0 < as_number(delta) < 1:
            raise ValueError(f"`delta` must be in (0, 1), got {delta!r}.")
        self.reward_scale = reward_scale
        self.transition_scale = transition_scale
        self.delta = delta
        super().__init__(n_states, n_actions, task_horizon, replan, prior)

    def _make_models(self, tasks: npt.NDArray[np.intp]) -> None:
        S, A, t = self.n_states, self.n_actions, self._n_steps + 1
        n = self._posterior.visits[tasks]
        n_rewards = np.maximum(1.0, self.prior.n_rewards + n)
        reward_radius = np.sqrt(3.5 * np.log(2 * S * A * t / self.delta) / n_rewards)
        transition_radius = np.sqrt(14 * S * np.log(2 * A * t / self.delta) / np.maximum(1.0, n))
        self._models.P[0, tasks] = self._posterior.P[tasks]
        self._models.R[0, tasks] = self._posterior.R[tasks] + self.reward_scale * reward_radius
        self._models.radius[0, tasks] = self.transition_scale * transition_radius
