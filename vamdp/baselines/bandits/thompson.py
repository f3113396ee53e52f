"""A guess at each arm from its posterior, and the arm that would be best if the guesses were true.

Thompson, On the Likelihood that One Unknown Probability Exceeds Another in View of the Evidence of
Two Samples, 1933. The optimistic variant takes the posterior mean where the guess is below it, so
that arms are only ever made to look better (May, Korda, Lee and Leslie, Optimistic Bayesian
Sampling in Contextual-Bandit Problems, 2012).
"""

import numpy as np

from vamdp.argument_checks import check_positive_integer
from vamdp.baselines.bandits.bandit_agent import BanditAgent, FloatArray


class ThompsonSampling(BanditAgent):
    """Pulls the arm that is best in a sample of all arms' p from the posterior.

    Args:
        n_arms: At least 1.

    Raises:
        ValueError: There is no arm.
    """

    title = "Thompson"

    def _scores(self) -> FloatArray:
        return self._rng.beta(self._successes + 1, self._failures + 1)


class OptimisticThompsonSampling(BanditAgent):
    """Thompson sampling with the largest of several guesses and the posterior mean for each arm.

    Args:
        n_arms: At least 1.
        n_samples: Guesses for each arm and step, at least 1. One is May et al.'s agent.

    Raises:
        ValueError: There is no arm or no sample.
    """

    title = "optimistic Thompson"

    def __init__(self, n_arms: int, *, n_samples: int = 1) -> None:
        check_positive_integer("n_samples", n_samples)
        super().__init__(n_arms)
        self.n_samples = int(n_samples)

    def _scores(self) -> FloatArray:
        shape = (self.n_samples, *self._successes.shape)
        samples = self._rng.beta(self._successes + 1, self._failures + 1, shape)
        return np.maximum(samples.max(axis=0), self._means)
