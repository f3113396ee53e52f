"""What is believed about a task before its first step, and tasks drawn from what is believed later.

The prior is independent over the rows (s, a) and conjugate. Successors: P(.|s, a) ~ Dirichlet(c),
so that after N[s, a, s'] transitions the posterior is Dirichlet(c + N[s, a, .]), with mean

    (c + N[s, a, s']) / (c S + n),        n = sum of N[s, a, .].

Mean rewards: R[s, a] ~ N(prior_mean, prior_sd^2), seen with Gaussian noise of a known standard
deviation. With w = noise_sd^2 / prior_sd^2, the number of rewards that the prior counts for, the
posterior is normal with mean and variance

    (w prior_mean + sum of rewards) / (w + n),        noise_sd^2 / (w + n).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import check_finite, check_scale

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """What is believed before the first step; by default the truth of `vamdp.domains.RandomMDPs`.

    Args:
        concentration: Of the symmetric Dirichlet prior over successors, above 0. Small: each
            action has few likely successors.
        prior_mean: Mean of the mean rewards.
        prior_sd: Standard deviation of the mean rewards, above 0.
        noise_sd: Standard deviation of a reward around its mean, above 0.

    Raises:
        ValueError: An argument is out of its range.
    """

    concentration: float = 1.0
    prior_mean: float = 1.0
    prior_sd: float = 1.0
    noise_sd: float = 1.0

    def __post_init__(self) -> None:
        """Check every argument."""
        for name in ("concentration", "prior_sd", "noise_sd"):
            check_scale(name, getattr(self, name))
        check_finite("prior_mean", self.prior_mean)

    @property
    def n_rewards(self) -> float:
        """How many rewards it counts for."""
        return (self.noise_sd / self.prior_sd) ** 2


def draw_models(
    rng: np.random.Generator,
    prior: Prior,
    alpha: FloatArray,
    means: FloatArray,
    visits: FloatArray,
    n_samples: int,
) -> tuple[FloatArray, FloatArray]:
    """Draw models that could be the true ones.

    Args:
        rng: Where the random numbers come from.
        prior: Of the mean rewards.
        alpha: Dirichlet parameters of the successors, c + N, shape (..., S, A, S').
        means: Posterior means of the mean rewards, shape (..., S, A).
        visits: How often each action was taken, shape (..., S, A).
        n_samples: How many.

    Returns:
        P, shape (n_samples, ..., S, A, S'), and R, shape (n_samples, ..., S, A).
    """
    P = rng.standard_gamma(np.broadcast_to(alpha, (n_samples, *alpha.shape)))
    P += np.finfo(np.float64).tiny  # for tiny alpha, all draws of a row can be 0
    P /= P.sum(axis=-1, keepdims=True)
    sd = prior.noise_sd / np.sqrt(prior.n_rewards + visits)
    return P, means + sd * rng.standard_normal((n_samples, *means.shape))
