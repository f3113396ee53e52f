"""Represent action distributions as flat vectors of parameters.

A discrete policy is a categorical distribution, given by its logits. A continuous policy is a
diagonal Gaussian, given by its means followed by its log standard deviations. The rollout stores
one such vector per step, because the exact KL divergence from the behaviour policy needs the whole
distribution, not only the log-probability of the action.

Forbidden actions get the logit -1e8, so that their probability is exactly 0. Log-probabilities,
entropy, divergence and samples are then those of the distribution over the allowed actions, and the
network's outputs for forbidden actions get no gradient.

Sampling and divergence do not use torch's distributions, whose checks read values back from the
GPU: a call that does so cannot be replayed (see `cuda_graphs`).
"""

import math
from typing import Any

import torch as th
from gymnasium import spaces
from torch.distributions import Categorical, Distribution, Independent, Normal

# exp(-1e8) is 0, and 0 * -1e8 is 0. With -inf, 0 * -inf would make entropy and KL NaN.
_FORBIDDEN = -1e8


def check_action_space(action_space: spaces.Space[Any]) -> None:
    """Raise ValueError unless the action space is a `Box`, or `Discrete` starting at 0."""
    if isinstance(action_space, spaces.Discrete):
        if action_space.start != 0:
            raise ValueError(
                f"`action_space` must start at 0, got {action_space}. "
                "Wrap the environment in gymnasium.wrappers.TransformAction."
            )
    elif not isinstance(action_space, spaces.Box):
        raise ValueError(
            f"`action_space` must be Discrete or Box, got {action_space}: the exact KL divergence "
            "is computed for categorical and diagonal Gaussian policies. "
            "Flatten the actions into one of these."
        )


def n_outputs(action_space: spaces.Space[Any]) -> int:
    """Return the number of the network's outputs per step: logits, or means."""
    if isinstance(action_space, spaces.Discrete):
        return int(action_space.n)
    assert action_space.shape is not None, "a Box has a shape"
    return math.prod(action_space.shape)


def action_distribution(action_space: spaces.Space[Any], params: th.Tensor) -> Distribution:
    """Return the action distribution with these parameters.

    Args:
        action_space: `Discrete` or `Box`.
        params: Shape (..., n_actions) of logits, or (..., 2 * n_actions) of means and log standard
            deviations.

    Returns:
        A torch distribution of batch shape (...), whose `sample`, `mode`, `log_prob`, `entropy` and
        `torch.distributions.kl_divergence` are exact.

    >>> fair = action_distribution(spaces.Discrete(2), th.zeros(2))
    >>> fair.probs.tolist()
    [0.5, 0.5]
    """
    # Validation would cost a synchronisation with the GPU at every step.
    if isinstance(action_space, spaces.Discrete):
        return Categorical(logits=params, validate_args=False)
    mean, log_std = params.chunk(2, dim=-1)
    normal = Normal(mean, log_std.exp(), validate_args=False)
    return Independent(normal, 1, validate_args=False)


def only_allowed(logits: th.Tensor, action_masks: th.Tensor) -> th.Tensor:
    """Return the logits of the distribution over the allowed actions.

    Args:
        logits: Shape (..., n_actions).
        action_masks: Bools of the same shape, True where an action is allowed.

    >>> two_of_three = only_allowed(th.zeros(3), th.tensor([True, False, True]))
    >>> two_of_three.softmax(-1).tolist()
    [0.5, 0.0, 0.5]
    """
    return logits.masked_fill(~action_masks, _FORBIDDEN)


def sample_actions(
    action_space: spaces.Space[Any], params: th.Tensor, rows: slice, n_rows: int
) -> th.Tensor:
    """Draw an action for each vector of distribution parameters.

    Random numbers are drawn for all rows of the whole batch, of which only some are used here.
    Ranks with equally seeded generators then act as one process with all rows would.

    Args:
        action_space: `Discrete` or `Box`.
        params: Shape (B, n_params).
        rows: The rows of the whole batch in `params`.
        n_rows: Number of rows of the whole batch.

    Returns:
        Actions, shape (B,) or (B, n_actions).
    """
    if isinstance(action_space, spaces.Discrete):
        # Of independent exponential clocks with rates p, clock i rings first with probability p_i.
        clocks = params.new_empty(n_rows, params.shape[1]).exponential_()[rows]
        return (params.softmax(-1) / clocks).argmax(-1)
    mean, log_std = params.chunk(2, dim=-1)
    noise = th.randn(n_rows, mean.shape[1], dtype=params.dtype, device=params.device)[rows]
    return mean + log_std.exp() * noise


def divergence(action_space: spaces.Space[Any], params: th.Tensor, others: th.Tensor) -> th.Tensor:
    """Return the exact KL(p || q) of distributions p and q given by their parameters.

    Args:
        action_space: `Discrete` or `Box`.
        params: Parameters of p, shape (..., n_params).
        others: Parameters of q, the same shape.

    Returns:
        Shape (...), in nats.
    """
    if isinstance(action_space, spaces.Discrete):
        log_p, log_q = params.log_softmax(-1), others.log_softmax(-1)
        return (log_p.exp() * (log_p - log_q)).sum(-1)
    (mean_p, log_std_p), (mean_q, log_std_q) = params.chunk(2, -1), others.chunk(2, -1)
    variance_ratio = (2 * (log_std_p - log_std_q)).exp()
    distance = ((mean_p - mean_q) / log_std_q.exp()) ** 2
    return ((variance_ratio + distance - 1) / 2 - (log_std_p - log_std_q)).sum(-1)
