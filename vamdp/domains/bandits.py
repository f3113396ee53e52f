"""Bernoulli bandits, the smallest tasks that require balancing exploration and exploitation.

Every pull of arm a pays 1 with probability `p[a]`, else 0, and ends the episode (RL3, section 5;
Duan et al., RL2, 2016, section 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import check_positive_integer, require_flag
from vamdp.domains.entry_points import entry_points
from vamdp.mdp.tabular_mdp import TabularMDP

OOD_MEAN = 0.5
OOD_SD = 0.5


@dataclass(frozen=True)
class Bandits:
    """The distribution of bandits: p ~ U(0, 1), independent for each arm.

    Args:
        n_arms: At least 1.
        ood: Out of distribution: p is normal with mean 0.5 and standard deviation 0.5. An arm with
            p >= 1 always pays, an arm with p <= 0 never.

    Raises:
        ValueError: `n_arms` is below 1, or `ood` is not a bool.

    Example:
        >>> task = Bandits(n_arms=3)(np.random.default_rng(0))
        >>> task.n_states, task.n_actions
        (1, 3)
    """

    n_arms: int = 5
    ood: bool = False

    def __post_init__(self) -> None:
        check_positive_integer("n_arms", self.n_arms)
        require_flag("ood", self.ood)

    def __call__(self, rng: np.random.Generator) -> TabularMDP:
        """Draw a bandit."""
        if self.ood:
            return self.task(rng.normal(OOD_MEAN, OOD_SD, self.n_arms))
        return self.task(rng.random(self.n_arms))

    def task(self, p: npt.NDArray[np.float64]) -> TabularMDP:
        """Build the bandit whose arms pay with probabilities p, shape (n_arms,)."""
        reward = np.zeros(self.n_arms + 1)
        reward[:-1] = p
        rows, probability, successor, ends = self._shared
        return TabularMDP.trusted(
            1, self.n_arms, rows, probability, successor, reward, ends, "bernoulli"
        )

    @cached_property
    def _shared(
        self,
    ) -> tuple[
        npt.NDArray[np.int64],
        npt.NDArray[np.float64],
        npt.NDArray[np.int64],
        npt.NDArray[np.bool_],
    ]:
        """The arrays that all bandits share: one outcome per arm, and the start row."""
        K = self.n_arms + 1
        ends = np.ones(K, np.bool_)
        ends[-1] = False
        return np.arange(K + 1), np.ones(K), np.zeros(K, np.int64), ends


env, vector_env = entry_points(Bandits)
