"""The posterior over tasks, given their observed transitions.

The prior and the posterior formulas are those of `vamdp.estimators.conjugate_prior`.

Termination has no prior: g[s'], the probability that an episode continues after arriving in s', is
the fraction of arrivals there that did not terminate, and 1 before the first arrival. A hole that
was entered once is therefore known from every neighbouring state.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import as_options
from vamdp.compiled import njit
from vamdp.estimators.conjugate_prior import Prior, draw_models

FloatArray = npt.NDArray[np.float64]


class Posterior:
    """The posteriors of n_tasks tasks, each from its own transitions.

    Args:
        n_tasks: At least 1.
        n_states: Number of states S.
        n_actions: Number of actions A.
        prior: The prior, the same for all tasks.

    Attributes:
        alpha: Dirichlet parameters of the successors, c + N, shape (n_tasks, S, A, S').
        visits: How often each action was taken, n, shape (n_tasks, S, A).
        P: Posterior means of the transition probabilities, shape (n_tasks, S, A, S').
        R: Posterior means of the mean rewards, shape (n_tasks, S, A).
        goes_on: Probability that an episode continues after arriving, g, shape (n_tasks, S).
    """

    def __init__(self, n_tasks: int, n_states: int, n_actions: int, prior: Prior) -> None:
        rows = (n_tasks, n_states, n_actions)
        self.prior = prior
        self.alpha = np.full((*rows, n_states), float(prior.concentration))
        self.visits = np.zeros(rows)
        self.P = np.full((*rows, n_states), 1.0 / n_states)
        self.R = np.full(rows, float(prior.prior_mean))
        self.goes_on = np.ones((n_tasks, n_states))
        self._reward_sums = np.zeros(rows)
        self._arrivals = np.zeros((2, n_tasks, n_states))  # all arrivals; those that continued

    def learn(
        self,
        states: npt.NDArray[np.int64],
        actions: npt.NDArray[np.int64],
        rewards: FloatArray,
        next_states: npt.NDArray[np.int64],
        terminated: npt.NDArray[np.bool_],
    ) -> None:
        """Learn from one transition of each task; all arrays have shape (n_tasks,)."""
        _learn(
            states, actions, rewards, next_states, terminated,
            self.prior.concentration, self.prior.prior_mean, self.prior.n_rewards,
            self.alpha, self.visits, self._reward_sums, self._arrivals,
            self.P, self.R, self.goes_on,
        )  # fmt: skip

    def sample(
        self, rng: np.random.Generator, tasks: npt.NDArray[np.intp], n_samples: int
    ) -> tuple[FloatArray, FloatArray]:
        """Draw models from the posterior.

        Args:
            rng: The random generator.
            tasks: Indices of the tasks to draw for.
            n_samples: Number of samples per task.

        Returns:
            P, shape (n_samples, len(tasks), S, A, S'), and R, shape (n_samples, len(tasks), S, A).
        """
        alpha, R, visits = self.alpha[tasks], self.R[tasks], self.visits[tasks]
        return draw_models(rng, self.prior, alpha, R, visits, n_samples)


def as_prior(options: Mapping[str, float]) -> Prior:
    """Build a prior from an agent's keyword arguments.

    Raises:
        TypeError: An argument is unknown.
        ValueError: An argument is out of range.
    """
    return as_options(Prior, options)


@njit(cache=True)
def _learn(
    states, actions, rewards, next_states, terminated, concentration, prior_mean, n_prior_rewards,
    alpha, visits, reward_sums, arrivals, P, R, goes_on,
):  # fmt: skip
    """Count one transition per task, and update the means of its row."""
    n_states = alpha.shape[3]
    for i in range(states.size):
        s, a, s_next = states[i], actions[i], next_states[i]
        alpha[i, s, a, s_next] += 1.0
        visits[i, s, a] += 1.0
        reward_sums[i, s, a] += rewards[i]
        total = concentration * n_states + visits[i, s, a]
        for k in range(n_states):
            P[i, s, a, k] = alpha[i, s, a, k] / total
        R[i, s, a] = (n_prior_rewards * prior_mean + reward_sums[i, s, a]) / (
            n_prior_rewards + visits[i, s, a]
        )
        arrivals[0, i, s_next] += 1.0
        if not terminated[i]:
            arrivals[1, i, s_next] += 1.0
        goes_on[i, s_next] = arrivals[1, i, s_next] / arrivals[0, i, s_next]
