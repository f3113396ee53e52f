"""The options of the linear learner."""

from dataclasses import dataclass, fields
from typing import Any

from vamdp.argument_checks import (
    as_number,
    check_count,
    check_positive_integer,
    check_squared_scale,
    is_integer,
)
from vamdp.estimators.scaled_distances import Scaling, check_scales


@dataclass(frozen=True)
class LinearOptions:
    """Options of the linear learner; symbols are those of `linear.policy_iteration`.

    Attributes:
        gamma: Discount factor of the estimates, in [0, 1).
        regularisation: lambda, above 0, in units of the squared length of phi. It acts like lambda
            terminated transitions with reward 0 along each feature.
        features: None: the scaled coordinates and a constant. An integer k: k random Fourier
            features. Otherwise a fitted scikit-learn transformer or a function from states (n, d)
            to features (n, k), which gets unscaled states.
        width: Width of the Gaussian kernel that random Fourier features approximate, in units of
            the scaled distance, above 0. Only for these features.
        scales: Divisor of each coordinate, above 0. None: 1. Unlike the kernel learner's, scales
            cannot be running, because features of old and new states would not match.
        features_seed: Seed of the random Fourier features, which all tasks share; at least 0. Only
            for these features.
        n_improvements: Largest number of rounds of policy evaluation and improvement after a
            transition, at least 1.
        improve_every: Number of steps of a task between two updates of Q, at least 1.

    Raises:
        ValueError: An option is out of range.
        TypeError: `features` has the wrong type.
    """

    gamma: float = 0.95
    regularisation: float = 0.1
    features: Any = None
    width: float = 1.0
    scales: Scaling = None
    features_seed: int = 0
    n_improvements: int = 1
    improve_every: int = 1

    def __post_init__(self) -> None:
        """Check every option."""
        if not 0 <= as_number(self.gamma) < 1:
            raise ValueError(
                f"`gamma` must be in [0, 1), got {self.gamma!r}: without discounting, the least-"
                "squares system may have no solution."
            )
        check_squared_scale("regularisation", self.regularisation)
        check_squared_scale("width", self.width)
        check_scales(self.scales)
        for name in ("n_improvements", "improve_every"):
            check_positive_integer(name, getattr(self, name))
        check_count("features_seed", self.features_seed)
        has_waves = is_integer(self.features)
        if has_waves:
            check_positive_integer("features", self.features)
        elif self.features is not None and not is_transformer(self.features):
            raise TypeError(
                "`features` must be None, an integer, a transformer or a function (n, d) -> (n, k),"
                f" got {self.features!r}. Pass a fitted object, not its class."
            )
        elif self.features is not None and self.scales is not None:
            raise ValueError(
                f"`scales` must be None with custom `features`, got {self.scales!r}. Scale the "
                "states in `features` instead."
            )
        if not has_waves:
            for field in fields(self):
                value = getattr(self, field.name)
                if field.name in ("width", "features_seed") and value != field.default:
                    raise ValueError(
                        f"`{field.name}` must be left out without random Fourier features, got "
                        f"{value!r}. Pass their number as `features`."
                    )


def is_transformer(features: Any) -> bool:
    """Whether `features` is a transformer or a function; the class of a transformer is neither."""
    has_method = hasattr(features, "transform")
    return not isinstance(features, type) if has_method else callable(features)
