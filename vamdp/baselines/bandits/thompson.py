"""A guess at each arm from its posterior, and the arm that would be best if the guesses were true.

Thompson, On the Likelihood that One Unknown Probability Exceeds Another in View of the Evidence of
Two Samples, 1933. The optimistic variant takes the posterior mean where the guess is below it, so
that arms are only ever made to look better (May, Korda, Lee and Leslie, Optimistic Bayesian
Sampling in Contextual-Bandit Problems, 2012). What Duan et al. (RL2, 2016) call optimistic is
another agent, by their words the likeliest of several samples; it explores less and gets more.
"""

import numpy as np

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
    """Thompson sampling in which a guess below the posterior mean counts as the mean.

    Args:
        n_arms: At least 1.

    Raises:
        ValueError: There is no arm.
    """

    title = "optimistic Thompson"

    def _scores(self) -> FloatArray:
        guesses = self._rng.beta(self._successes + 1, self._failures + 1)
        scores: FloatArray = np.maximum(guesses, self._means)
        return scores
