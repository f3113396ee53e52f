"""UCB1 for Bernoulli bandits: pull the arm with the highest upper confidence bound.

    score(a) = m(a) + c sqrt(2 log t / n(a))

Here m(a) = (s + 1) / (s + f + 2) is the posterior mean, n(a) = s + f + 2 is the number of pulls
plus the two that the prior counts for, and t is the number of the step, from 1 (Auer, Cesa-Bianchi
and Fischer, Finite-time Analysis of the Multiarmed Bandit Problem, 2002; c and the prior's two
pulls: Duan et al., RL2, 2016, section 3.1). Auer's c is 1. With 5 arms, 0.2 to 0.25 scores most at
horizons of 50 to 1000.
"""

import numpy as np

from vamdp.argument_checks import check_not_negative
from vamdp.baselines.bandits.bandit_agent import BanditAgent, FloatArray


class UCB1(BanditAgent):
    """Pulls the arm with the highest upper confidence bound.

    Args:
        n_arms: At least 1.
        c: Width of the bounds, at least 0.

    Raises:
        ValueError: `n_arms` is below 1, or c is negative or not finite.
    """

    title = "UCB1"

    def __init__(self, n_arms: int, *, c: float = 0.22) -> None:
        check_not_negative("c", c)
        super().__init__(n_arms)
        self.c = c

    def _scores(self) -> FloatArray:
        n = self._successes + self._failures + 2
        scores: FloatArray = self._means + self.c * np.sqrt(2 * np.log(self._n_steps + 1) / n)
        return scores
