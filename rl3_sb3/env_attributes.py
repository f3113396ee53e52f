"""What environments say of themselves, asked of each: none of them speaks for the others.

A `VecEnv` takes its spaces from its first environment, and nobody looks at the rest. So a second
one with one state more, or with an action less, fails when that state or action first occurs, which
may be hours later. The words are other people's too: `horizon` may be a method, or infinite.
"""

import operator
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv


def declared(env: VecEnv, name: str) -> list[Any]:
    """Return an attribute of each environment, None where one has none.

    Over an `AsyncVectorEnv`, whose environments can only be asked together, all values are None
    where only some have it.
    """
    if env.has_attr(name):
        return list(env.get_attr(name))
    values: list[Any] = [None] * env.num_envs
    try:
        has = env.env_method("has_wrapper_attr", name)
        rows = [i for i, known in enumerate(has) if known]
        found = env.get_attr(name, rows) if rows else []
    except (AttributeError, NotImplementedError):
        return values
    for i, value in zip(rows, found, strict=True):
        values[i] = value
    return values


def as_length(value: Any) -> int | None:
    """Return a positive integer as an int, and None for anything else."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        number = operator.index(value)
    except TypeError:
        return None
    return number if number >= 1 else None


def require_alike(env: VecEnv) -> None:
    """Raise ValueError unless all environments fit the spaces of the first one.

    Observations must lie where the policy looks for them, and each action must exist everywhere.
    Bounds may differ.

    Args:
        env: Its wrappers may change the spaces: what lies inside is compared.
    """
    for name in ("observation_space", "action_space"):
        first, *others = declared(env, name) or [None]
        for i, other in enumerate(others, start=1):
            inner, outer = (other, first) if name == "observation_space" else (first, other)
            if other is not first and not _fits(inner, outer):
                raise ValueError(
                    f"`env` must have environments of one `{name}`, got {first} in environment 0 "
                    f"and {other} in environment {i}. Give all the largest, or train apart."
                )


def _fits(inner: Any, outer: Any) -> bool:
    """Return whether elements of one space have the place and the range of the other's."""
    if isinstance(inner, spaces.Dict) and isinstance(outer, spaces.Dict):
        return inner.keys() == outer.keys() and all(_fits(inner[k], outer[k]) for k in inner)
    for kind, size in ((spaces.Discrete, "n"), (spaces.MultiDiscrete, "nvec")):
        if isinstance(inner, kind) and isinstance(outer, kind):
            n, n_outer = np.asarray(getattr(inner, size)), np.asarray(getattr(outer, size))
            start, start_outer = np.asarray(inner.start), np.asarray(outer.start)
            if n.shape != n_outer.shape:
                return False
            inside = (start >= start_outer) & (start + n <= start_outer + n_outer)
            return bool(inside.all())
    if isinstance(inner, spaces.Space) and isinstance(outer, spaces.Space):
        return type(inner) is type(outer) and inner.shape == outer.shape
    return True  # not known
