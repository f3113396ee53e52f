"""Read attributes of every environment of a `VecEnv`, because the first need not speak for all.

A `VecEnv` takes its spaces from its first environment and does not check the others. A second one
with one more state, or one action less, would fail when that state or action first occurs, perhaps
after hours. Attributes may also have another meaning: `horizon` can be a method, or infinite.
"""

import operator
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv


def declared(env: VecEnv, name: str) -> list[Any]:
    """Return an attribute of each environment, None for one that does not have it.

    The environments of an `AsyncVectorEnv` can only be queried together: if only some have the
    attribute, all values are None.
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

    All observations must have the layout that the policy expects, and all actions must exist in
    every environment. Bounds may differ.

    Args:
        env: The environments. The spaces inside its wrappers are compared, as these may change
            them.
    """
    for name in ("observation_space", "action_space"):
        first, *others = declared(env, name) or [None]
        for i, other in enumerate(others, start=1):
            inner, outer = (other, first) if name == "observation_space" else (first, other)
            if other is not first and not _fits(inner, outer):
                raise ValueError(
                    f"`env` must have environments of one `{name}`, got {first} in environment 0 "
                    f"and {other} in environment {i}. Give all the largest one, or train apart."
                )


def _fits(inner: Any, outer: Any) -> bool:
    """Return whether every element of the inner space is valid in the outer one."""
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
    return True  # unknown spaces are not compared
