"""A conjugate prior over tabular tasks, and samples from the posterior.

The prior is independent over the rows (s, a). Successors: P(.|s, a) ~ Dirichlet(c). After
N[s, a, s'] transitions the posterior is Dirichlet(c + N[s, a, .]), with mean

    (c + N[s, a, s']) / (c S + n),        n = sum of N[s, a, .].

Mean rewards: R[s, a] ~ N(prior_mean, prior_sd^2), observed with Gaussian noise of known standard
deviation noise_sd. Let w = noise_sd^2 / prior_sd^2, the number of rewards that the prior counts
for. The posterior is normal with mean and variance

    (w prior_mean + sum of rewards) / (w + n),        noise_sd^2 / (w + n).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import check_finite, check_scale, check_squared_scale

FloatArray = npt.NDArray[np.float64]

#: Draws from gamma distributions that add up to less have lost digits, or all are 0.
_SMALLEST_SUM = 1e-290


@dataclass(frozen=True)
class Prior:
    """The prior's parameters; the defaults are the true prior of `vamdp.domains.RandomMDPs`.

    Args:
        concentration: Parameter of the symmetric Dirichlet prior over successors, above 0. If it is
            small, each action has few likely successors.
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
        check_scale("concentration", self.concentration)
        check_finite("concentration", self.concentration)
        for name in ("prior_sd", "noise_sd"):
            check_squared_scale(name, getattr(self, name))
        check_finite("prior_mean", self.prior_mean)

    @property
    def n_rewards(self) -> float:
        """The number of rewards that the prior of R counts for, w."""
        return (self.noise_sd / self.prior_sd) ** 2


def draw_models(
    rng: np.random.Generator,
    prior: Prior,
    alpha: FloatArray,
    means: FloatArray,
    visits: FloatArray,
    n_samples: int,
) -> tuple[FloatArray, FloatArray]:
    """Draw models from the posterior.

    Args:
        rng: The random generator.
        prior: The prior, for the variance of the mean rewards.
        alpha: Dirichlet parameters of the successors, c + N, shape (..., S, A, S').
        means: Posterior means of the mean rewards, shape (..., S, A).
        visits: How often each action was taken, shape (..., S, A).
        n_samples: Number of models.

    Returns:
        P, shape (n_samples, ..., S, A, S'), and R, shape (n_samples, ..., S, A).
    """
    alpha = np.broadcast_to(alpha, (n_samples, *alpha.shape))
    P = rng.standard_gamma(alpha)
    underflowed = P.sum(axis=-1) < _SMALLEST_SUM
    P += np.finfo(np.float64).tiny  # no row sums to 0
    P /= P.sum(axis=-1, keepdims=True)
    if underflowed.any():
        P[underflowed] = _draw_in_logs(rng, alpha[underflowed])
    sd = prior.noise_sd / np.sqrt(prior.n_rewards + visits)
    return P, means + sd * rng.standard_normal((n_samples, *means.shape))


def _draw_in_logs(rng: np.random.Generator, alpha: FloatArray) -> FloatArray:
    """Draw rows from Dirichlet(alpha), shape (n, S'), whose entries of alpha are tiny.

    Gamma(a) is Gamma(a + 1) U^(1 / a) with U uniform on (0, 1]; U^(1 / a) underflows, its logarithm
    does not. A row's direction is independent of its sum, so drawing anew the rows with the
    smallest sums leaves the distribution as it is.
    """
    a = np.maximum(alpha, 1e-300)  # log(U) / a stays finite
    log = np.log(rng.standard_gamma(a + 1)) + np.log1p(-rng.random(a.shape)) / a
    P: FloatArray = np.exp(log - log.max(axis=-1, keepdims=True))
    P /= P.sum(axis=-1, keepdims=True)
    return P
