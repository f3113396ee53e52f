"""Which rollout length and which context length fit an environment.

A transformer must see an episode from its first step on, so a rollout should end where episodes
end, and the context must cover the longest piece of an episode that a rollout can hold. What an
environment says about its episodes is read here: the attribute `horizon` (the steps of a
meta-episode, all of equal length), or the time limit in its spec.
"""

import math
from typing import Any

from stable_baselines3.common.vec_env import VecEnv

# Steps of all environments, as many as SB3's PPO takes with one environment: fewer make advantages
# too noisy to be normalised and learned from for several epochs.
_LEAST_STEPS = 2048


def rollout_and_context_length(
    env: VecEnv, n_steps: int | None, context_length: int | None
) -> tuple[int, int]:
    """Return rollout length and context length for an environment, or say what does not fit.

    Args:
        env: The environment.
        n_steps: Steps per rollout. None takes the horizon, or else the time limit, once or as many
            times as all environments need for `_LEAST_STEPS`.
        context_length: None takes the shortest that covers every sequence of a rollout: the smaller
            of `n_steps` and the longest episode.

    Raises:
        ValueError: Nothing says how long a rollout should be; it is no multiple of the horizon; the
            context is too short; or the environments differ in horizon.
    """
    horizon = _common_value(env, "horizon")
    limit = horizon
    if limit is None:
        limit = getattr(_common_value(env, "spec"), "max_episode_steps", None)
    if n_steps is None and limit is not None:
        n_steps = limit * math.ceil(_LEAST_STEPS / (limit * env.num_envs))
    if n_steps is None:
        raise ValueError(
            "`n_steps` must be given, got None, and the environment has neither an attribute "
            "`horizon` nor a time limit in its spec. Pass `n_steps`, at least an episode long."
        )
    if horizon is not None and n_steps % horizon != 0:
        raise ValueError(
            f"`n_steps` must be a multiple of the environment's horizon {horizon}, "
            f"got {n_steps}. Pass n_steps={max(1, round(n_steps / horizon)) * horizon}, or "
            "leave it out."
        )
    needed = n_steps if limit is None else min(n_steps, limit)
    if context_length is None:
        context_length = needed
    if context_length < needed:
        raise ValueError(
            f"`context_length` must cover min(n_steps, episode limit) = {needed} steps, "
            f"got {context_length}. Leave it out of `policy_kwargs`, or shorten the rollout."
        )
    return n_steps, context_length


def environment_id(env: VecEnv | None) -> str:
    """Return the id in the environment's spec, or nothing if it has none."""
    spec = None if env is None else _common_value(env, "spec")
    return str(getattr(spec, "id", ""))


def _common_value(env: VecEnv, name: str) -> Any:
    """Return the attribute that all environments share, or None if they lack it."""
    if not env.has_attr(name):
        return None
    values = env.get_attr(name)
    if name == "horizon" and any(value != values[0] for value in values):
        raise ValueError(
            f"`env` must have one horizon for all environments, got {sorted(set(values))}. "
            "Train on environments of equal meta-episodes."
        )
    return values[0]
