"""The options of the model-based estimators and of the wrappers around them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import (
    as_limit,
    check_discount,
    check_finite,
    check_not_negative,
    check_positive_integer,
    require_flag,
)

# Entries of `EstimatorOptions.as_array`.
(
    GAMMA, TOLERANCE, SMOOTHING, TASK_HORIZON, WARM_START, BY_PAIR,
    CLUSTER_SIZE, CLUSTER_RADIUS, CLUSTER_TERMINALS, BONUS, PRIOR_MEAN, PRIOR_WEIGHT, N_OPTIONS,
) = range(13)  # fmt: skip

RewardModel = Literal["transition", "state_action"]


@dataclass(frozen=True)
class EstimatorOptions:
    """Options of the model-based estimators; sections refer to RL3 (arXiv 2306.15909).

    Attributes:
        task_horizon: Steps of one episode and the limit of planning sweeps, at least 1.
        gamma: Discount factor of the estimates, in [0, 1].
        tolerance: Planning stops after a sweep in which no Q moved by this much; at least 0.
        smoothing: Laplace pseudo-count alpha of every transition, at least 0.
        warm_start: Start planning from the previous tables instead of zeros, unless a state entered
            the model. This is cheaper, but the estimates then depend on the order of the data. It
            is not allowed with gamma = 1, where values that are too large would never decay.
        reward_model: "transition" averages rewards over (s, a, s'), so that smoothing shrinks them
            (the authors' released code). "state_action" averages over (s, a) (the paper's text,
            appendix A.1).
        cluster_size: Largest number of concrete states in one abstract state, at least 1. 1: no
            abstraction; the other cluster options then have no effect.
        cluster_radius: Largest Manhattan distance at which a state joins a neighbour's cluster, at
            least 0.
        cluster_terminals: Whether terminal states join clusters, which then become absorbing as a
            whole (the released code). False: they stay separate.
        bonus: Exploration bonus, at least 0. The model's reward of every row of a living state is
            increased by bonus / sqrt(1 + N(s, a)), so that plans lead to rarely tried actions and
            values are optimistic. (MBIE-EB: Strehl and Littman 2008, section 3.3.)
        prior_mean: Expected reward of an untried row of a living state, finite.
        prior_weight: Number of rewards of `prior_mean` that each row begins with, at least 0. Once
            all states are known, smoothing 1 and the reward model "state_action" then give the
            posterior mean under a flat Dirichlet and a normal prior, of which the weight is the
            noise's variance over the prior's.

    Raises:
        ValueError: An option is out of range.
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
    prior_mean: float = 0.0
    prior_weight: float = 0.0

    def __post_init__(self) -> None:
        """Check every option."""
        for name in ("task_horizon", "cluster_size"):
            check_positive_integer(name, getattr(self, name))
        for name in ("tolerance", "smoothing", "cluster_radius", "bonus", "prior_weight"):
            check_not_negative(name, getattr(self, name))
        check_discount(self.gamma)
        for name in ("warm_start", "cluster_terminals"):
            require_flag(name, getattr(self, name))
        check_finite("prior_mean", self.prior_mean)
        if self.prior_mean != 0 and self.prior_weight == 0:
            raise ValueError(
                f"`prior_weight` must be above 0 if `prior_mean` is {self.prior_mean}, got 0: the "
                "prior would have no effect. Pass 1 to let it count for one reward."
            )
        if self.reward_model not in ("transition", "state_action"):
            raise ValueError(
                f'`reward_model` must be "transition" or "state_action", got {self.reward_model!r}.'
            )
        if self.warm_start and self.gamma == 1:
            raise ValueError(
                "`warm_start` must be False if `gamma` is 1, got True: values that are too large "
                "would never decay. Pass a `gamma` below 1 or leave `warm_start` out."
            )

    def as_array(self) -> npt.NDArray[np.float64]:
        """Return the options as an array for compiled code, indexed by GAMMA and so on."""
        return np.array(
            [
                self.gamma,
                self.tolerance,
                self.smoothing,
                as_limit(self.task_horizon),
                self.warm_start,
                self.reward_model == "state_action",
                self.cluster_size,
                self.cluster_radius,
                self.cluster_terminals,
                self.bonus,
                self.prior_mean,
                self.prior_weight,
            ],
            np.float64,
        )
