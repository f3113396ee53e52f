"""Classical agents for Bernoulli bandits, and the Bayes-optimal return.

Each is a `BanditAgent`: it counts successes and failures, and pulls the arm with the highest score.
A new agent is a file here that scores the arms. Trained agents score between two references:
`RandomAgent`, and the oracle, which always pulls the truly best arm.
"""

from vamdp.baselines.bandits.bandit_agent import BanditAgent
from vamdp.baselines.bandits.bayes_optimal import bayes_optimal_return
from vamdp.baselines.bandits.epsilon_greedy import EpsilonGreedy, Greedy
from vamdp.baselines.bandits.gittins import DiscountedGittins, FiniteHorizonGittins
from vamdp.baselines.bandits.gittins_indices import (
    discounted_gittins_indices,
    finite_horizon_gittins_indices,
)
from vamdp.baselines.bandits.thompson import OptimisticThompsonSampling, ThompsonSampling
from vamdp.baselines.bandits.ucb1 import UCB1

__all__ = [
    "UCB1",
    "BanditAgent",
    "DiscountedGittins",
    "EpsilonGreedy",
    "FiniteHorizonGittins",
    "Greedy",
    "OptimisticThompsonSampling",
    "ThompsonSampling",
    "bayes_optimal_return",
    "discounted_gittins_indices",
    "finite_horizon_gittins_indices",
]
