"""Random MDPs: dense tasks whose states and actions have no structure.

`P(.|s, a) ~ Dirichlet(1)`, mean rewards `R(s, a) ~ N(1, 1)`, sampled rewards `N(R(s, a), 1)`, start
in state 0 (RL3, section 5; Duan et al., RL2, 2016, section 3.2). No state is terminal; the
registered environment truncates episodes after 10 steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import check_finite, check_positive_integer, check_scale, require_flag
from vamdp.domains.entry_points import entry_points
from vamdp.mdp.tabular_mdp import TabularMDP

CONCENTRATION = 1.0
OOD_CONCENTRATION = 0.25
MEAN_REWARD = 1.0
SD_OF_MEAN_REWARDS = 1.0
REWARD_SD = 1.0


@dataclass(frozen=True)
class RandomMDPs:
    """The distribution of random MDPs.

    Args:
        n_states: At least 1.
        n_actions: At least 1.
        ood: Out of distribution, Dirichlet(0.25): fewer likely successors.
        concentration: Parameter of the Dirichlet distribution, above 0; a smaller one gives fewer
            likely successors. None: 1, or 0.25 with `ood`.

    Raises:
        ValueError: A number is below 1, `ood` is not a bool, or `concentration` is out of range or
            given with `ood`.

    Example:
        >>> task = RandomMDPs()(np.random.default_rng(0))
        >>> task.n_states, task.n_actions
        (10, 5)
    """

    n_states: int = 10
    n_actions: int = 5
    ood: bool = False
    concentration: float | None = None

    def __post_init__(self) -> None:
        check_positive_integer("n_states", self.n_states)
        check_positive_integer("n_actions", self.n_actions)
        require_flag("ood", self.ood)
        if self.concentration is None:
            return
        check_scale("concentration", self.concentration)
        check_finite("concentration", self.concentration)
        if self.ood:
            raise ValueError(
                f"`concentration` must be left out with `ood`, which sets it to "
                f"{OOD_CONCENTRATION}, got {self.concentration}."
            )

    def __call__(self, rng: np.random.Generator) -> TabularMDP:
        """Draw a task: first all P, row by row, then all R."""
        S, n_rows = self.n_states, self.n_states * self.n_actions
        concentration = self.concentration
        if concentration is None:
            concentration = OOD_CONCENTRATION if self.ood else CONCENTRATION
        probability = np.ones(n_rows * S + 1)  # the last entry is the start row's
        probability[:-1] = rng.dirichlet(np.full(S, concentration), n_rows).ravel()
        reward = np.zeros(n_rows * S + 1)
        reward[:-1] = np.repeat(rng.normal(MEAN_REWARD, SD_OF_MEAN_REWARDS, n_rows), S)
        rows, successor, ends = self._shared
        return TabularMDP.trusted(
            S, self.n_actions, rows, probability, successor, reward, ends, REWARD_SD
        )

    @cached_property
    def _shared(
        self,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """The arrays that all tasks share: S outcomes per row, start in state 0, no end."""
        S, n_rows = self.n_states, self.n_states * self.n_actions
        rows = np.append(np.arange(n_rows + 1) * S, n_rows * S + 1)
        successor = np.append(np.tile(np.arange(S), n_rows), 0)
        return rows, successor, np.zeros(n_rows * S + 1, np.bool_)


env, vector_env = entry_points(RandomMDPs)
