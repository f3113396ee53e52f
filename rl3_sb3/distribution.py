"""Action distributions as flat vectors of parameters.

A discrete policy is a categorical distribution, given by its logits; a continuous one a diagonal
Gaussian, given by its means followed by its log standard deviations. One vector per step is what
the rollout stores: the exact KL divergence from the behaviour needs the whole distribution, not
only the log-probability of the action taken.

Forbidden actions get the logit -1e8, so their probability is exactly 0. Log-probabilities, entropy,
divergence and draws from such logits are those of the distribution over the allowed actions. What
the network says about a forbidden action gets no gradient.

Drawing actions and the divergence are done here, without torch's distributions, whose checks ask a
GPU for values and wait for the answer: nothing that does can be replayed (see `cuda_graphs`).
"""

import math
from typing import Any

import torch as th
from gymnasium import spaces
from torch.distributions import Categorical, Distribution, Independent, Normal

# Its exponential is 0, and 0 times it is 0, where 0 times -inf would make entropy and KL NaN.
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
    """Return how many numbers the network gives per step: logits, or means."""
    if isinstance(action_space, spaces.Discrete):
        return int(action_space.n)
    assert action_space.shape is not None, "a Box has a shape"
    return math.prod(action_space.shape)


def action_distribution(action_space: spaces.Space[Any], params: th.Tensor) -> Distribution:
    """Return the action distribution of a vector of distribution parameters.

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

    Randomness is drawn for all rows of a larger batch, of which these are some. Ranks that draw
    from equally seeded generators then act as one process would with all rows.

    Args:
        action_space: `Discrete` or `Box`.
        params: Shape (B, n_params).
        rows: Which rows of the whole batch these are.
        n_rows: Rows of the whole batch.

    Returns:
        Shape (B,) of action numbers, or (B, n_actions).
    """
    if isinstance(action_space, spaces.Discrete):
        # The first of independent exponential clocks with rates p rings at i with probability p_i.
        clocks = params.new_empty(n_rows, params.shape[1]).exponential_()[rows]
        return (params.softmax(-1) / clocks).argmax(-1)
    mean, log_std = params.chunk(2, dim=-1)
    noise = th.randn(n_rows, mean.shape[1], dtype=params.dtype, device=params.device)[rows]
    return mean + log_std.exp() * noise


def divergence(action_space: spaces.Space[Any], params: th.Tensor, others: th.Tensor) -> th.Tensor:
    """Return the exact KL(p || q) of distributions p and q given by their parameters.

    Args:
        action_space: `Discrete` or `Box`.
        params: Of p, shape (..., n_params).
        others: Of q, the same shape.

    Returns:
        Shape (...); in nats.
    """
    if isinstance(action_space, spaces.Discrete):
        log_p, log_q = params.log_softmax(-1), others.log_softmax(-1)
        return (log_p.exp() * (log_p - log_q)).sum(-1)
    (mean_p, log_std_p), (mean_q, log_std_q) = params.chunk(2, -1), others.chunk(2, -1)
    variance_ratio = (2 * (log_std_p - log_std_q)).exp()
    distance = ((mean_p - mean_q) / log_std_q.exp()) ** 2
    return ((variance_ratio + distance - 1) / 2 - (log_std_p - log_std_q)).sum(-1)
