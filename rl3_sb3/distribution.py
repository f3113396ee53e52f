"""Action distributions as flat vectors of parameters.

A discrete policy is a categorical distribution, given by its logits; a continuous one a diagonal
Gaussian, given by its means followed by its log standard deviations. One vector per step is what
the rollout stores: the exact KL divergence from the behaviour needs the whole distribution, not
only the log-probability of the action taken.
"""

import math
from typing import Any

import torch as th
from gymnasium import spaces
from torch.distributions import Categorical, Distribution, Independent, Normal


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
