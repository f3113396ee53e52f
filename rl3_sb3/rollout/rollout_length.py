"""Choose a rollout length and a context length that fit an environment.

A transformer must see an episode from its first step, so a rollout should end where episodes end,
and the context must cover the longest episode. The length of episodes is read from each
environment: from the attribute `horizon` (the steps of a meta-episode, all of equal length), or
from the time limit in its spec. The longest counts. If one environment has neither, the length is
unknown.
"""

import math
from typing import Any

from stable_baselines3.common.vec_env import VecEnv

from rl3_sb3.env_attributes import as_length, declared

# Steps of all environments together, as many as SB3's PPO takes with one environment: with fewer,
# advantages are too noisy to be normalised and used for several epochs.
_LEAST_STEPS = 2048


class LengthError(ValueError):
    """The environment's episodes do not fit the rollouts or the context.

    Args:
        misfit: What does not fit.
        remedy: What to do where all arguments can be chosen, as in a model's constructor.

    Attributes:
        misfit: See above.
    """

    def __init__(self, misfit: str, remedy: str) -> None:
        super().__init__(misfit, remedy)
        self.misfit = misfit

    def __str__(self) -> str:
        """Return both sentences."""
        return " ".join(self.args)


class ContextError(LengthError):
    """The context is too short for the rollouts."""


def rollout_and_context_length(
    env: VecEnv, n_steps: int | None, context_length: int | None
) -> tuple[int, int]:
    """Return the rollout length and the context length for an environment.

    Args:
        env: The environment.
        n_steps: Steps per rollout. None: the horizon, or else the longest time limit, times the
            smallest integer with which all environments give `_LEAST_STEPS` together.
        context_length: None: the longest episode, even if rollouts are shorter and cut it, so that
            the policy can act to its end; `n_steps` if that is unknown.

    Raises:
        LengthError: `n_steps` is None and no length is known, or is not a multiple of the horizon;
            the context is too short; or the environments have different horizons.
    """
    given_horizons = declared(env, "horizon")
    horizons = [as_length(value) for value in given_horizons]
    known = {length for length in horizons if length is not None}
    if None not in horizons and len(known) > 1:
        raise LengthError(
            f"`env` must have one horizon for all environments, got {sorted(known)}.",
            "Train on environments of equal meta-episodes.",
        )
    longest = _longest(env, horizons)
    if n_steps is None and longest is not None:
        n_steps = longest * math.ceil(_LEAST_STEPS / (longest * env.num_envs))
    if n_steps is None:
        raise LengthError(
            f"`n_steps` must be given, got None, and the environment has neither "
            f"{_usable_horizon(given_horizons)} nor a time limit in its spec.",
            "Pass `n_steps`, at least an episode long.",
        )
    if None not in horizons:
        (horizon,) = known
        if n_steps % horizon != 0:
            raise LengthError(
                f"`n_steps` must be a multiple of the environment's horizon {horizon}, "
                f"got {n_steps}.",
                f"Pass n_steps={max(1, round(n_steps / horizon)) * horizon}, or leave it out. "
                "(An attribute `horizon` with another meaning can be hidden by a "
                "wrapper with `horizon = None`.)",
            )
    needed = n_steps if longest is None else min(n_steps, longest)
    if context_length is None:
        context_length = longest or n_steps
    if context_length < needed:
        raise ContextError(
            f"`context_length` must cover min(n_steps, episode limit) = {needed} steps, "
            f"got {context_length}.",
            "Leave it out of `policy_kwargs`, or shorten the rollout.",
        )
    return n_steps, context_length


def environment_id(env: VecEnv | None) -> str:
    """Return the ids in the environments' specs, separated by commas; "" without any."""
    specs = [] if env is None else declared(env, "spec")
    ids = [str(getattr(spec, "id", "")) for spec in specs]
    return ", ".join(dict.fromkeys(filter(None, ids)))


def _longest(env: VecEnv, horizons: list[int | None]) -> int | None:
    """Return the length of the longest episode; None if an environment does not declare it."""
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
