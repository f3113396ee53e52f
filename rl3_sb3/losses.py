"""The terms of the PPO loss, as functions of what the networks gave and what the rollout holds.

Means run over real steps only: `mask` is True there, or None if nothing is padding.

Source: Schulman et al. 2017 (arXiv 1707.06347), equation 7 and section 5.
"""

from typing import NamedTuple

import torch as th
from torch.distributions import Distribution

from rl3_sb3.buffer import SequenceBatch

# As SB3: a standard deviation of 0 must not divide.
_STD_EPSILON = 1e-8


class ActorTerms(NamedTuple):
    """Scalars of one minibatch: the clipped surrogate, mean entropy, share of clipped ratios."""

    policy_loss: th.Tensor
    entropy: th.Tensor
    clip_fraction: th.Tensor


def actor_terms(
    distribution: Distribution,
    batch: SequenceBatch,
    clip_range: float,
    normalize_advantage: bool,
) -> ActorTerms:
    """Return -E[min(rho A, clip(rho, 1 - eps, 1 + eps) A)], E[entropy] and the clipped share.

    Args:
        distribution: The current policy's at the minibatch's steps, batch shape (B, T).
        batch: The minibatch; its log-probabilities are the behaviour's.
        clip_range: eps, above 0.
        normalize_advantage: Use advantages of mean 0 and standard deviation 1.
    """
    advantages = (
        normalized(batch.advantages, batch.mask) if normalize_advantage else batch.advantages
    )
    log_probs = distribution.log_prob(batch.actions)
    ratio = th.exp(log_probs - batch.log_probs)
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    return ActorTerms(
        policy_loss=-masked_mean(th.min(ratio * advantages, clipped * advantages), batch.mask),
        entropy=masked_mean(distribution.entropy(), batch.mask),
        clip_fraction=masked_mean(((ratio - 1).abs() > clip_range).float(), batch.mask),
    )


def value_loss(values: th.Tensor, batch: SequenceBatch) -> th.Tensor:
    """Return E[(V - R)^2] for the critic's values, shape (B, T)."""
    return masked_mean((values - batch.returns) ** 2, batch.mask)


def masked_mean(x: th.Tensor, mask: th.Tensor | None) -> th.Tensor:
    """Return the mean of x over the True entries of the mask; over all entries if it is None."""
    return x.mean() if mask is None else (x * mask).sum() / mask.sum()


def normalized(advantages: th.Tensor, mask: th.Tensor | None) -> th.Tensor:
    """Return advantages with mean 0 and (unbiased) standard deviation 1 over the mask."""
    n = th.as_tensor(advantages.numel()) if mask is None else mask.sum()
    centred = advantages - masked_mean(advantages, mask)
    # A single step has no spread: its advantage becomes 0, not NaN.
    variance = masked_mean(centred**2, mask) * n / (n - 1).clamp(min=1)
    return centred / (variance.sqrt() + _STD_EPSILON)
