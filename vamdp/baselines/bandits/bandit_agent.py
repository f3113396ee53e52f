"""The base class of agents for Bernoulli bandits: count, score the arms, pull the best.

A task has one state, and a pull pays 1 or 0. Every agent starts from the prior p ~ U(0, 1), which
is Beta(1, 1), for every arm (Duan et al., RL2, 2016, section 3.1). An arm with s successes and f
failures has the posterior Beta(s + 1, f + 1). Ties are broken at random; before the first pull all
arms tie.

Always pulling the truly best arm needs no agent: its expected total is the oracle's,
`TabularMDP.optimal_return(horizon, 1)`.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import check_positive_integer
from vamdp.baselines.played_step import check_start
from vamdp.compiled import njit
from vamdp.estimators.arguments import as_indices, as_numbers

FloatArray = npt.NDArray[np.float64]


class BanditAgent(ABC):
    """Pulls an arm with the highest score; a subclass defines the scores.

    Args:
        n_arms: At least 1.

    Raises:
        ValueError: `n_arms` is below 1.
    """

    title: str
    sees: ClassVar[Literal["states"]] = "states"

    def __init__(self, n_arms: int) -> None:
        check_positive_integer("n_arms", n_arms)
        self.n_arms = int(n_arms)
        self.start(1, seed=0)

    def start(self, n_tasks: int, seed: int) -> None:
        """Begin meta-episodes in this many new tasks, and forget the tasks before."""
        check_start(n_tasks, seed)
        self._rng = np.random.default_rng(seed)
        self._successes, self._failures = np.zeros((2, n_tasks, self.n_arms), np.int64)
        self._n_steps = 0

    def act(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return arms, shape (n_tasks,); `seen` is ignored, because there is only one state."""
        scores = self._scores()
        actions = np.empty(len(scores), np.int64)
        _pick_best(scores, self._rng.random(len(scores)), actions)
        return actions

    def learn(
        self,
        states: npt.NDArray[np.int64],
        actions: npt.NDArray[np.int64],
        rewards: FloatArray,
        *rest: npt.NDArray[Any],
    ) -> None:
        """Count the successes and failures of one pull per task.

        Raises:
            ValueError: A reward is neither 0 nor 1, or actions or rewards have another shape, type
                or range; nothing is counted.
        """
        pulls = as_indices("actions", actions, len(self._successes), self.n_arms)
        paid = as_numbers("rewards", rewards, len(self._successes))
        good = (paid == 0.0) | (paid == 1.0)
        if not good.all():
            bad = int(np.argmin(good))
            raise ValueError(
                f"`rewards[{bad}]` must be 0 or 1, got {paid[bad]}. This agent plays only"
                " Bernoulli bandits."
            )
        _count(pulls, paid, self._successes, self._failures)
        self._n_steps += 1

    @abstractmethod
    def _scores(self) -> FloatArray:
        """Score the arms, shape (n_tasks, n_arms)."""

    @property
    def _means(self) -> FloatArray:
        """Posterior means, shape (n_tasks, n_arms)."""
        return (self._successes + 1) / (self._successes + self._failures + 2)


@njit(cache=True)
def _pick_best(scores, uniforms, actions):
    """Write an arm with the highest score for each task; uniforms in [0, 1) break ties.

    scores is (n_tasks, A), uniforms and actions are (n_tasks,).
    """
    n_tasks, A = scores.shape
    for i in range(n_tasks):
        best, n_best = scores[i, 0], 1
        for a in range(1, A):
            if scores[i, a] > best:
                best, n_best = scores[i, a], 1
            elif scores[i, a] == best:
                n_best += 1
        skip = int(uniforms[i] * n_best)  # number of best arms to pass over
        for a in range(A):
            if scores[i, a] == best:
                if skip == 0:
                    actions[i] = a
                    break
                skip -= 1


@njit(cache=True)
def _count(actions, rewards, successes, failures):
    """Count one pull per task, whose reward is 0 or 1."""
    for i in range(actions.size):
        if rewards[i] == 1.0:
            successes[i, actions[i]] += 1
        else:
            failures[i, actions[i]] += 1
