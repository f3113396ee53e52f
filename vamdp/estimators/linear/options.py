"""The options of the linear learner."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from vamdp.argument_checks import as_number, check_positive_integer, check_scale
from vamdp.estimators.scaled_distances import Scaling, check_scales


@dataclass(frozen=True)
class LinearOptions:
    """How values are learned; symbols are those of `linear.policy_iteration`.

    Attributes:
        gamma: discount factor of the estimates, in [0, 1).
        regularisation: lambda, above 0, in squared lengths of phi: as many transitions with reward
            0 to the end, along each feature.
        features: None, the scaled coordinates and a constant; an integer, so many random Fourier
            features; or a fitted transformer of scikit-learn's kind or any function, states (n, d)
            -> features (n, k). It gets the states as they are.
        width: of the Gaussian kernel that random Fourier features stand for, in units of the scaled
            distance; above 0.
        scales: what each coordinate is divided by, above 0. None: they are taken as they are. They
            cannot be running ones, as the kernel learner's: features of old and new states would
            not fit together.
        features_seed: of the random Fourier features, which are the same in all tasks.
        n_improvements: rounds of evaluating and improving the policy after a transition, at most.
        improve_every: steps of a task between two of these; Q rests in between.

    Raises:
        ValueError: an option is out of its range.
        TypeError: `features` are something else.
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
                f"`gamma` must be in [0, 1), got {self.gamma!r}: without discounting, least "
                "squares may have no solution."
            )
        check_scale("regularisation", self.regularisation)
        check_scale("width", self.width)
        check_scales(self.scales)
        for name in ("n_improvements", "improve_every"):
            check_positive_integer(name, getattr(self, name))
        if not isinstance(self.features_seed, (int, np.integer)) or self.features_seed < 0:
            raise ValueError(
                f"`features_seed` must be an integer of at least 0, got {self.features_seed!r}."
            )
        if isinstance(self.features, (int, np.integer)):
            check_positive_integer("features", self.features)
        elif self.features is not None and not is_transformer(self.features):
            raise TypeError(
                "`features` must be None, an integer, a transformer or a function (n, d) -> (n, k),"
                f" got {self.features!r}."
            )
        own = self.features is None or isinstance(self.features, (int, np.integer))
        if self.scales is not None and not own:
            raise ValueError(
                f"`scales` must be None with `features` of your own, got {self.scales!r}: "
                "scale there."
            )


def is_transformer(features: Any) -> bool:
    """Whether it maps states to features by itself."""
    return hasattr(features, "transform") or callable(features)
