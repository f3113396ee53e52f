"""The terms of the PPO loss, as functions of the networks' outputs and the rollout.

Means are over the real steps of a whole minibatch. A minibatch may be computed in pieces, or on
several ranks. Each piece computes its part of the mean, and the parts are summed.

Source: Schulman et al. 2017 (arXiv 1707.06347), equation 7 and section 5.
"""

from typing import NamedTuple

import torch as th
from torch.distributions import Distribution

from rl3_sb3.rollout.buffer import SequenceBatch


class Weights(NamedTuple):
    """Numbers in the loss of a minibatch that do not depend on the step.

    Each is a number, or a tensor without dimensions if a CUDA graph must read it again.

    Attributes:
        clip_range: eps, above 0.
        ent_coef: Entropy coefficient.
        vf_coef: Value loss coefficient.
        n_steps: Number of real steps in the whole minibatch.
        advantage_mean: Subtracted from advantages.
        advantage_scale: Multiplies advantages after that.
        return_mean: Subtracted from returns.
        return_scale: Multiplies returns after that.
        symmetry_coef: Weight of the divergence from the relabelled behaviour, see `symmetry`.
    """

    clip_range: float | th.Tensor
    ent_coef: float | th.Tensor
    vf_coef: float | th.Tensor
    n_steps: float | th.Tensor
    advantage_mean: float | th.Tensor
    advantage_scale: float | th.Tensor
    return_mean: float | th.Tensor
    return_scale: float | th.Tensor
    symmetry_coef: float | th.Tensor = 0.0


class ActorTerms(NamedTuple):
    """Scalars of one minibatch: clipped surrogate, mean entropy, share of clipped ratios."""

    policy_loss: th.Tensor
    entropy: th.Tensor
    clip_fraction: th.Tensor


def actor_terms(distribution: Distribution, batch: SequenceBatch, weights: Weights) -> ActorTerms:
    """Return -E[min(rho A, clip(rho, 1 - eps, 1 + eps) A)], E[entropy] and the clipped share.

    Args:
        distribution: The current policy's distribution at the minibatch's steps, batch shape (B,
            T).
        batch: The minibatch; its log-probabilities are those of the behaviour policy.
        weights: See `Weights`.
    """
    advantages = (batch.advantages - weights.advantage_mean) * weights.advantage_scale
    ratio = th.exp(distribution.log_prob(batch.actions) - batch.log_probs)
    low, high = 1 - weights.clip_range, 1 + weights.clip_range
    clipped = ratio.clamp(low, high)  # type: ignore[arg-type] # numbers and tensors, but not both
    surrogate = th.min(ratio * advantages, clipped * advantages)
    return ActorTerms(
        policy_loss=-_mean(surrogate, batch, weights),
        entropy=_mean(distribution.entropy(), batch, weights),
        clip_fraction=_mean(((ratio - 1).abs() > weights.clip_range).to(ratio), batch, weights),
    )


def asymmetry(divergences: th.Tensor, batch: SequenceBatch, weights: Weights) -> th.Tensor:
    """Return E[KL(relabelled behaviour || current)], 0 at steps that are not relabelled.

    Args:
        divergences: Divergence at each step, shape (B, T).
        batch: The minibatch, with `relabelled`.
        weights: See `Weights`.
    """
    assert batch.relabelled is not None, "only with a symmetry"
    return _mean(divergences * batch.relabelled, batch, weights)


def value_loss(values: th.Tensor, batch: SequenceBatch, weights: Weights) -> th.Tensor:
    """Return E[(V - R)^2] for the critic's values (B, T), with R in the units of `weights`."""
    returns = (batch.returns - weights.return_mean) * weights.return_scale
    return _mean((values - returns) ** 2, batch, weights)


def _mean(x: th.Tensor, batch: SequenceBatch, weights: Weights) -> th.Tensor:
    # The sum over these real steps, divided by the number of steps of the whole minibatch.
    return (x if batch.mask is None else x * batch.mask).sum() / weights.n_steps
