"""The arm that has paid best so far; at some steps any arm.

The means are those of the posterior, (s + 1) / (s + f + 2). An arm that was never pulled counts as
1/2, so that nothing makes the greedy agent try all arms: it leaves an arm once its mean is below
1/2, or below that of another arm.
"""

from vamdp.argument_checks import check_share
from vamdp.baselines.bandits.bandit_agent import BanditAgent, FloatArray


class Greedy(BanditAgent):
    """Pulls the arm with the highest posterior mean (Duan et al., RL2, 2016, section 3.1).

    Args:
        n_arms: At least 1.

    Raises:
        ValueError: There is no arm.
    """

    title = "greedy"

    def _scores(self) -> FloatArray:
        return self._means


class EpsilonGreedy(BanditAgent):
    """Pulls any arm with probability epsilon, else the one with the highest posterior mean.

    Source: Duan et al., RL2, 2016, section 3.1, who tune epsilon.

    Args:
        n_arms: At least 1.
        epsilon: In [0, 1]. The best of 5 arms is about 0.03 at horizons of 250 to 1000; up to 100
            steps plain greedy gets more.

    Raises:
        ValueError: There is no arm, or epsilon is outside [0, 1].
    """

    title = "eps-greedy"

    def __init__(self, n_arms: int, *, epsilon: float = 0.03) -> None:
        check_share("epsilon", epsilon)
        super().__init__(n_arms)
        self.epsilon = epsilon

    def _scores(self) -> FloatArray:
        scores = self._means
        # All arms alike: the tie is broken at random.
        scores[self._rng.random(len(scores)) < self.epsilon] = 0.0
        return scores
