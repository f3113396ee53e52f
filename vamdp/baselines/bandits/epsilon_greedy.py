"""Greedy and epsilon-greedy agents for Bernoulli bandits.

Both use the posterior means (s + 1) / (s + f + 2). An arm that was never pulled has mean 1/2, so
the greedy agent need not try all arms: it leaves an arm only when its mean falls below 1/2 or below
the mean of another arm.
"""

from vamdp.argument_checks import check_share
from vamdp.baselines.bandits.bandit_agent import BanditAgent, FloatArray


class Greedy(BanditAgent):
    """Pulls the arm with the highest posterior mean (Duan et al., RL2, 2016, section 3.1).

    Args:
        n_arms: At least 1.

    Raises:
        ValueError: `n_arms` is below 1.
    """

    title = "greedy"

    def _scores(self) -> FloatArray:
        return self._means


class EpsilonGreedy(BanditAgent):
    """Pulls any arm with probability epsilon, else the one with the highest posterior mean.

    Source: Duan et al., RL2, 2016, section 3.1, who tune epsilon.

    Args:
        n_arms: At least 1.
        epsilon: In [0, 1]. With 5 arms about 0.03 is best at horizons of 250 to 1000; up to 100
            steps the greedy agent scores more.

    Raises:
        ValueError: `n_arms` is below 1, or epsilon is outside [0, 1].
    """

    title = "eps-greedy"

    def __init__(self, n_arms: int, *, epsilon: float = 0.03) -> None:
        check_share("epsilon", epsilon)
        super().__init__(n_arms)
        self.epsilon = epsilon

    def _scores(self) -> FloatArray:
        scores = self._means
        # Equal scores: the tie is broken at random.
        scores[self._rng.random(len(scores)) < self.epsilon] = 0.0
        return scores
