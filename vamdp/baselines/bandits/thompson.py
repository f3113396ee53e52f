"""Thompson sampling for Bernoulli bandits: sample every arm's p, pull the arm with the largest.

Thompson, On the Likelihood that One Unknown Probability Exceeds Another in View of the Evidence of
Two Samples, 1933. The optimistic variant replaces samples below the posterior mean by the mean, so
that sampling never makes an arm look worse (May, Korda, Lee and Leslie, Optimistic Bayesian
Sampling in Contextual-Bandit Problems, 2012). The agent that Duan et al. (RL2, 2016) call
optimistic is a different one, described as using the likeliest of several samples; it explores less
and scores more.
"""

import numpy as np

from vamdp.baselines.bandits.bandit_agent import BanditAgent, FloatArray


class ThompsonSampling(BanditAgent):
    """Pulls the arm with the largest p in a sample from the posterior.

    Args:
        n_arms: At least 1.

    Raises:
        ValueError: `n_arms` is below 1.
    """

    title = "Thompson"

    def _scores(self) -> FloatArray:
        return self._rng.beta(self._successes + 1, self._failures + 1)


class OptimisticThompsonSampling(BanditAgent):
    """Thompson sampling in which a sample below the posterior mean counts as the mean.

    Args:
        n_arms: At least 1.

    Raises:
        ValueError: `n_arms` is below 1.
    """

    title = "optimistic Thompson"

    def _scores(self) -> FloatArray:
        guesses = self._rng.beta(self._successes + 1, self._failures + 1)
        scores: FloatArray = np.maximum(guesses, self._means)
        return scores
