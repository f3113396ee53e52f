"""The arm with the highest Gittins index, see `gittins_indices`.

Under discounting that is the best any agent can do (Gittins, Bandit Processes and Dynamic
Allocation Indices, 1979). What counts here is the plain sum over a horizon, where no index is
optimal. Two come close: the finite-horizon index, which looks as far ahead as there are steps left,
and the discounted one with a gamma that suits the horizon. Of 2 arms and 10 steps the first gets
more than 99.9 % of the optimum.
"""

import numpy as np

from vamdp.argument_checks import check_positive_integer
from vamdp.baselines.bandits.bandit_agent import BanditAgent, FloatArray
from vamdp.baselines.bandits.gittins_indices import (
    discounted_gittins_indices,
    finite_horizon_table,
    pyramid,
    triangle,
)
from vamdp.compiled import njit

BEST_RATE = 1.5  # horizon (1 - gamma) of the best gamma, on tasks apart from the held-out ones


class FiniteHorizonGittins(BanditAgent):
    """Pulls the arm with the highest finite-horizon index, given the steps that are left.

    The table of indices is made here: 2 s and 84 MB for a horizon of 500; both grow with its cube.

    Args:
        n_arms: At least 1.
        horizon: Steps of a meta-episode, from 1 to 1000.

    Raises:
        ValueError: There is no arm, or the horizon is out of range. At a step beyond the horizon
            `act` raises it.
    """

    title = "Gittins"

    def __init__(self, n_arms: int, *, horizon: int) -> None:
        super().__init__(n_arms)
        self.horizon = horizon
        self._table = finite_horizon_table(horizon)

    def _scores(self) -> FloatArray:
        left = self.horizon - self._n_steps
        if left < 1:
            raise _too_short(self.horizon)
        scores = np.empty(self._successes.shape)
        _look_up(self._table, left, self._successes, self._failures, scores)
        return scores


class DiscountedGittins(BanditAgent):
    """Pulls the arm with the highest discounted index.

    Args:
        n_arms: At least 1.
        horizon: Steps of a meta-episode, from 1 to 5000: so far the table of indices reaches.
        gamma: The discount, in [0, 1). None: 1 - 1.5 / horizon, the best from 50 to 1000 steps,
            where between 1 and 2.5 little changes. The table takes 4 s at 0.999, less below.

    Raises:
        ValueError: There is no arm or no step, or gamma is out of range or too close to 1. At a
            step beyond the horizon `act` raises it.
    """

    title = "Gittins (discounted)"

    def __init__(self, n_arms: int, *, horizon: int, gamma: float | None = None) -> None:
        super().__init__(n_arms)
        check_positive_integer("horizon", horizon)
        self.horizon = horizon
        self.gamma = max(0.0, 1 - BEST_RATE / horizon) if gamma is None else gamma
        self._indices = discounted_gittins_indices(self.gamma, horizon)

    def _scores(self) -> FloatArray:
        if self._n_steps >= self.horizon:
            raise _too_short(self.horizon)
        return self._indices[self._successes, self._failures]


def _too_short(horizon: int) -> ValueError:
    return ValueError(
        f"`horizon` must cover all steps, got {horizon} and step {horizon + 1}. Make the agent with"
        " a longer horizon, or call start() to begin new tasks."
    )


@njit(cache=True)
def _look_up(table, left, successes, failures, scores):
    """Write the indices of all arms with `left` steps to go, see `finite_horizon_table`."""
    n_tasks, A = successes.shape
    for i in range(n_tasks):
        for a in range(A):
            n = successes[i, a] + failures[i, a]
            scores[i, a] = table[pyramid(n + left) + triangle(n) + successes[i, a]]
