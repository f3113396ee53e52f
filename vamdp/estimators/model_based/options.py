"""How values are estimated: the options that the estimators and the wrappers around them share."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import check_discount, check_not_negative, check_positive_integer

# Entries of `EstimatorOptions.as_array`.
(
    GAMMA, TOLERANCE, SMOOTHING, TASK_HORIZON, WARM_START, BY_PAIR,
    CLUSTER_SIZE, CLUSTER_RADIUS, CLUSTER_TERMINALS, BONUS, N_OPTIONS,
) = range(11)  # fmt: skip

RewardModel = Literal["transition", "state_action"]


@dataclass(frozen=True)
class EstimatorOptions:
    """How values are estimated; sections and equations refer to RL3 (arXiv 2306.15909).

    Attributes:
        task_horizon: steps of one episode, the most sweeps of one planning; at least 1.
        gamma: discount factor of the estimates, in [0, 1].
        tolerance: planning stops after a sweep in which no Q moved by this much; at least 0.
        smoothing: Laplace pseudo-count alpha of every transition; at least 0.
        warm_start: go on from the previous tables instead of zeros, unless a state entered the
            model. Cheaper, but the estimates then depend on the order of the data; refused with
            gamma = 1, where values that became too large would never decay.
        reward_model: "transition" averages rewards over (s, a, s'), so that smoothing shrinks them
            (the authors' released code); "state_action" over (s, a) (the text, appendix A.1).
        cluster_size: concrete states in one abstract state at most; 1 is no abstraction. The other
            cluster options have no effect then.
        cluster_radius: largest Manhattan distance at which a state joins a neighbour's cluster.
        cluster_terminals: let terminal states join clusters, which become absorbing as a whole
            (the released code), instead of keeping them apart.
        bonus: reward added in the model for what was seldom tried, bonus / sqrt(1 + N(s, a)) in
            every row of a living state, so that plans lead there; at least 0. Values are then
            optimistic. (MBIE-EB: Strehl and Littman 2008, section 3.3.)

    Raises:
        ValueError: an option is out of its range.
    """

    task_horizon: int
    gamma: float = 1.0
    tolerance: float = 0.01
    smoothing: float = 0.1
    warm_start: bool = False
    reward_model: RewardModel = "transition"
    cluster_size: int = 1
    cluster_radius: float = 1.0
    cluster_terminals: bool = False
    bonus: float = 0.0

    def __post_init__(self) -> None:
        """Check every option."""
        for name in ("task_horizon", "cluster_size"):
            check_positive_integer(name, getattr(self, name))
        for name in ("tolerance", "smoothing", "cluster_radius", "bonus"):
            check_not_negative(name, getattr(self, name))
        check_discount(self.gamma)
        if self.reward_model not in ("transition", "state_action"):
            raise ValueError(
                f'`reward_model` must be "transition" or "state_action", got {self.reward_model!r}.'
            )
        if self.warm_start and self.gamma == 1:
            raise ValueError(
                "`warm_start` must be False where `gamma` is 1, got True: values that became too "
                "large would never decay. Pass a `gamma` below 1 or leave `warm_start` out."
            )

    def as_array(self) -> npt.NDArray[np.float64]:
        """The options as the compiled kernels take them, in the order of GAMMA and so on."""
        return np.array(
            [
                self.gamma,
                self.tolerance,
                self.smoothing,
                self.task_horizon,
                self.warm_start,
                self.reward_model == "state_action",
                self.cluster_size,
                self.cluster_radius,
                self.cluster_terminals,
                self.bonus,
            ],
            np.float64,
        )
