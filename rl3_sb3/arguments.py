"""Check the arguments of `TransformerPPO` before anything is built from them.

Arguments passed to `load` to replace those of the checkpoint are checked in the same way.
"""

import math
import operator
import sys
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from gymnasium import Env
from gymnasium.vector import VectorEnv
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.vec_env import VecEnv

from rl3_sb3.distribution import check_action_space
from rl3_sb3.sequence_policy import SequencePolicy
from rl3_sb3.tokens import check_observation_space

# Largest value during training, and the range in words, where it is not just finite.
_SCHEDULED = {"gae_lambda": (1.0, "in [0, 1]"), "clip_range": (math.inf, "at least 0")}


def check_policy(policy: Any, known: list[str]) -> None:
    """Raise ValueError unless `policy` is a known name or a subclass of `SequencePolicy`.

    Args:
        policy: The `policy` argument of `TransformerPPO`.
        known: Names of the known policies.

    Raises:
        TypeError: The `network` of a subclass is not a class of networks.
    """
    if isinstance(policy, str):
        good = policy in known
    else:
        good = isinstance(policy, type) and issubclass(policy, SequencePolicy)
    if not good:
        raise ValueError(
            f"`policy` must be one of {', '.join(known)}, or a subclass of rl3_sb3.SequencePolicy, "
            f"got {policy!r}. The policy without memory is MarkovPolicy."
        )
    if not isinstance(policy, str):
        policy.network_defaults()  # which checks its network


def check_env(env: Any) -> None:
    """Raise ValueError if an environment's interface or spaces are not supported."""
    if isinstance(env, VectorEnv):
        raise ValueError(
            f"`env` must have Stable-Baselines3's interface, got the vector environment {env}. "
            "Pass GymnasiumVecEnv(env)."
        )
    if isinstance(env, Env | VecEnv):
        check_observation_space(env.observation_space)
        check_action_space(env.action_space)


def check_arguments(
    *,
    n_steps: int | None,
    n_epochs: int,
    batch_size: int,
    learning_rate: float | Schedule,
    gamma: float,
    gae_lambda: float | Schedule,
    clip_range: float | Schedule,
    normalize_advantage: bool,
    normalize_returns: bool,
    ent_coef: float | Schedule,
    vf_coef: float,
    max_grad_norm: float | None,
    target_kl: float | None,
    critic_first: int = 0,
) -> None:
    """Raise ValueError unless each argument is in the range that `TransformerPPO` documents.

    Raises:
        TypeError: A number or a schedule is expected, and something else given.
    """
    check_n_steps(n_steps)
    counts = {"n_epochs": n_epochs, "batch_size": batch_size, "critic_first": critic_first}
    for name, count in counts.items():
        _check_integer(name, count)
    flags = {"normalize_advantage": normalize_advantage, "normalize_returns": normalize_returns}
    for name, flag in flags.items():
        if not isinstance(flag, bool | np.bool_):
            raise ValueError(f"`{name}` must be True or False, got {flag!r}.")
    _check_at_least("batch_size", batch_size, 2 if normalize_advantage else 1)
    _check_at_least("n_epochs", n_epochs, 1)
    _check_at_least("critic_first", critic_first, 0)
    _check_at_least("vf_coef", vf_coef, 0)
    if not 0 <= _number("gamma", gamma) <= 1:
        raise ValueError(f"`gamma` must be in [0, 1], got {gamma}.")
    if not callable(ent_coef):
        _check_at_least("ent_coef", ent_coef, 0)
    if not callable(learning_rate):
        _check_at_least("learning_rate", learning_rate, 0)
    if not callable(gae_lambda) and not 0 <= _number("gae_lambda", gae_lambda) <= 1:
        raise ValueError(f"`gae_lambda` must be in [0, 1], got {gae_lambda}.")
    if not callable(clip_range) and not _number("clip_range", clip_range) > 0:
        raise ValueError(f"`clip_range` must be above 0, got {clip_range}.")
    for name, optional in (("target_kl", target_kl), ("max_grad_norm", max_grad_norm)):
        if optional is not None and not _number(name, optional) > 0:
            raise ValueError(f"`{name}` must be above 0, got {optional}. Pass None for none.")


def check_n_steps(n_steps: int | None) -> None:
    """Raise ValueError unless `n_steps` is None or an integer of at least 1."""
    if n_steps is not None:
        _check_integer("n_steps", n_steps)
        _check_at_least("n_steps", n_steps, 1)


def check_names(given: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise TypeError for an argument that `TransformerPPO.load` does not know."""
    for name, value in given.items():
        if name not in known:
            raise TypeError(
                f"`{name}` must be left out, got {value!r}: load() has no such argument. It "
                f"accepts {', '.join(sorted(known))}."
            )


def scheduled(name: str, value: float | Schedule, progress: float) -> float:
    """Return a number, or what a schedule gives at this moment.

    Callbacks may have replaced the number that the constructor checked.

    Args:
        name: Name of the argument, for its range and the error.
        value: The number or schedule.
        progress: The remaining share of training, from 1 to 0.

    Raises:
        TypeError: It is not a number.
        ValueError: It is out of range.
    """
    now = float(_number(name, value(progress) if callable(value) else value))
    most, wanted = _SCHEDULED.get(name, (sys.float_info.max, "at least 0 and finite"))
    if not 0 <= now <= most:
        source = "set during training"
        if callable(value):
            source = "from its schedule, which gets the remaining share of training, 1 to 0"
        raise ValueError(f"`{name}` must stay {wanted}, got {now}, {source}.")
    return now


def _check_at_least(name: str, value: float, least: int) -> None:
    # Not `value < least`, which is False for NaN.
    if not _number(name, value) >= least:
        raise ValueError(f"`{name}` must be at least {least}, got {value}.")
    if value == math.inf:
        raise ValueError(f"`{name}` must be finite, got {value}.")


def _check_integer(name: str, value: Any) -> None:
    try:
        operator.index(value)
        if isinstance(value, bool):
            raise TypeError
    except TypeError:
        raise ValueError(f"`{name}` must be an integer, got {value!r}.") from None


def _number(name: str, value: Any) -> Any:
    """Return the value if it can be compared with numbers; raise TypeError otherwise."""
    try:
        operator.lt(value, 0)  # raises if it cannot be compared
    except TypeError:
        raise TypeError(
            f"`{name}` must be a number, got {value!r}. Leave it out for the default."
        ) from None
    return value
