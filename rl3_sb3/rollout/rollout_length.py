"""Which rollout length and which context length fit an environment.

A transformer must see an episode from its first step on, so a rollout should end where episodes
end, and the context must cover the longest episode. What each environment says about its episodes
is read here: the attribute `horizon` (the steps of a meta-episode, all of equal length), or the
time limit in its spec. The longest counts, and one that says nothing leaves all open.
"""

import math
from typing import Any

from stable_baselines3.common.vec_env import VecEnv

from rl3_sb3.env_attributes import as_length, declared

# Steps of all environments, as many as SB3's PPO takes with one environment: fewer make advantages
# too noisy to be normalised and learned from for several epochs.
_LEAST_STEPS = 2048


class LengthError(ValueError):
    """The episodes of an environment do not fit the rollouts or the context."""


def rollout_and_context_length(
    env: VecEnv, n_steps: int | None, context_length: int | None
) -> tuple[int, int]:
    """Return rollout length and context length for an environment, or say what does not fit.

    Args:
        env: The environment.
        n_steps: Steps per rollout. None takes the horizon, or else the longest time limit, once or
            as many times as all environments need for `_LEAST_STEPS`.
        context_length: None takes the longest episode, also where rollouts are shorter and cut it:
            the policy shall act to its end. Where that is unknown, `n_steps`.

    Raises:
        LengthError: Nothing says how long a rollout should be; it is no multiple of the horizon;
            the context is too short; or the environments differ in horizon.
    """
    given_horizons = declared(env, "horizon")
    horizons = [as_length(value) for value in given_horizons]
    known = {length for length in horizons if length is not None}
    if None not in horizons and len(known) > 1:
        raise LengthError(
            f"`env` must have one horizon for all environments, got {sorted(known)}. "
            "Train on environments of equal meta-episodes."
        )
    longest = _longest(env, horizons)
    if n_steps is None and longest is not None:
        n_steps = longest * math.ceil(_LEAST_STEPS / (longest * env.num_envs))
    if n_steps is None:
        raise LengthError(
            f"`n_steps` must be given, got None, and the environment has neither "
            f"{_usable_horizon(given_horizons)} nor a time limit in its spec. "
            "Pass `n_steps`, at least an episode long."
        )
    if None not in horizons:
        (horizon,) = known
        if n_steps % horizon != 0:
            raise LengthError(
                f"`n_steps` must be a multiple of the environment's horizon {horizon}, "
                f"got {n_steps}. Pass n_steps={max(1, round(n_steps / horizon)) * horizon}, or "
                "leave it out. (An attribute `horizon` that means something else can be hidden by "
                "a wrapper with `horizon = None`.)"
            )
    needed = n_steps if longest is None else min(n_steps, longest)
    if context_length is None:
        context_length = longest or n_steps
    if context_length < needed:
        raise LengthError(
            f"`context_length` must cover min(n_steps, episode limit) = {needed} steps, "
            f"got {context_length}. Leave it out of `policy_kwargs`, or shorten the rollout."
        )
    return n_steps, context_length


def environment_id(env: VecEnv | None) -> str:
    """Return the id in the environments' specs, several with commas, or nothing without one."""
    specs = [] if env is None else declared(env, "spec")
    ids = [str(getattr(spec, "id", "")) for spec in specs]
    return ", ".join(dict.fromkeys(filter(None, ids)))


def _longest(env: VecEnv, horizons: list[int | None]) -> int | None:
    """Return the most steps of an episode; None if an environment does not say."""
    lengths = horizons
    if None in horizons:
        limits = [
            as_length(getattr(spec, "max_episode_steps", None)) for spec in declared(env, "spec")
        ]
        lengths = [own or limit for own, limit in zip(horizons, limits, strict=True)]
    known = [length for length in lengths if length is not None]
    return max(known) if len(known) == len(lengths) else None


def _usable_horizon(given: list[Any]) -> str:
    for value in given:
        if value is not None and as_length(value) is None:
            return f"an attribute `horizon` that is a positive integer (it is {value!r})"
    return "an attribute `horizon`"
