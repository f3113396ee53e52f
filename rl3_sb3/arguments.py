"""Checks of `TransformerPPO`'s arguments, before anything is built from them."""

from typing import Any

from gymnasium.vector import VectorEnv
from stable_baselines3.common.type_aliases import Schedule


def check_arguments(
    env: Any,
    *,
    n_steps: int | None,
    n_epochs: int,
    batch_size: int,
    learning_rate: float | Schedule,
    gamma: float,
    gae_lambda: float | Schedule,
    clip_range: float | Schedule,
    normalize_advantage: bool,
    ent_coef: float | Schedule,
    vf_coef: float,
    max_grad_norm: float | None,
    target_kl: float | None,
) -> None:
    """Raise ValueError unless each is in the range that `TransformerPPO` documents."""
    if isinstance(env, VectorEnv):
        raise ValueError(
            f"`env` must have Stable-Baselines3's interface, got the vector environment {env}. "
            "Pass GymnasiumVecEnv(env)."
        )
    _check_at_least("n_steps", n_steps, 1)
    _check_at_least("batch_size", batch_size, 2 if normalize_advantage else 1)
    _check_at_least("n_epochs", n_epochs, 1)
    _check_at_least("vf_coef", vf_coef, 0)
    _check_at_least("ent_coef", ent_coef, 0)
    _check_at_least("learning_rate", learning_rate, 0)
    for name, fraction in (("gamma", gamma), ("gae_lambda", gae_lambda)):
        if not callable(fraction) and not 0 <= fraction <= 1:
            raise ValueError(f"`{name}` must be in [0, 1], got {fraction}.")
    if not callable(clip_range) and not clip_range > 0:
        raise ValueError(f"`clip_range` must be above 0, got {clip_range}.")
    for name, optional in (("target_kl", target_kl), ("max_grad_norm", max_grad_norm)):
        if optional is not None and not optional > 0:
            raise ValueError(f"`{name}` must be above 0, got {optional}. Pass None for none.")


def _check_at_least(name: str, value: float | Schedule | None, least: int) -> None:
    # not `value < least`, which lets NaN pass
    if value is not None and not callable(value) and not value >= least:
        raise ValueError(f"`{name}` must be at least {least}, got {value}.")
