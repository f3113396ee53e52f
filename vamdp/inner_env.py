"""What a wrapper finds out about the environment below it, and how it reads what that gives."""

import numbers
import operator
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv, VectorEnv, VectorWrapper

StateKey = Callable[[Any], Hashable]

#: Where tasks or environments are given seeds of their own, these are below it. Gymnasium's may be
#: of any size; 31 bits suit those too that seed older generators or have a C++ core.
N_SEEDS = 2**31

#: Tables have a row of this length for every state, and observations three parts of it.
MOST_ACTIONS = 2**20


def require_single(env: Any, name: str) -> None:
    """Raise TypeError unless this is an environment of one task, for the wrapper of this name."""
    if isinstance(env, VectorEnv):
        raise TypeError(
            f"`env` must be a gymnasium.Env, got {type(env).__name__}, a vector environment. "
            f"Use vamdp.vector.{name}."
        )


def require_vector(env: Any, name: str) -> None:
    """Raise TypeError unless this is a vector environment, for the wrapper of this name."""
    if isinstance(env, gymnasium.Env):
        raise TypeError(
            f"`env` must be a gymnasium.vector.VectorEnv, got {type(env).__name__}, a single "
            f"environment. Use vamdp.{name}."
        )


def layers(env: Any) -> Iterator[Any]:
    """The environment and those that it wraps, the outermost first; of a SyncVectorEnv's, one."""
    while env is not None:
        yield env
        if isinstance(env, (gymnasium.Wrapper, VectorWrapper)):
            env = env.env
        else:  # not every attribute `env` is a wrapped environment: simulators are called so too
            env = env.envs[0] if isinstance(env, SyncVectorEnv) else None


def find_owner(env: Any, name: str) -> Any:
    """The outermost environment with this attribute, or None."""
    return next((layer for layer in layers(env) if hasattr(layer, name)), None)


def single_space(env: Any) -> gymnasium.Space[Any]:
    """The space of a single observation."""
    space: gymnasium.Space[Any] = getattr(env, "single_observation_space", env.observation_space)
    return space


def asks_for_new_task(options: dict[str, Any] | None) -> bool:
    """Whether reset options draw or set a task."""
    return options is not None and (
        options.get("task") is not None or bool(options.get("new_task"))
    )


def is_layout(layout: Any) -> bool:
    """Whether it is one of ours, and not an attribute of the same name, like a map's."""
    return isinstance(layout, dict) and all(isinstance(part, slice) for part in layout.values())


def is_refusal(error: BaseException, options: dict[str, Any] | None) -> bool:
    """Whether a reset raised because it does not take its options: nothing has begun then.

    Where there was nothing to refuse, any error has stopped a reset half-way.
    """
    is_asked = any(name != "new_task" for name in options or ())
    return is_asked and isinstance(error, (TypeError, ValueError))


def plain_seed(seed: Any) -> int | None:
    """A seed as Gymnasium takes it, which knows no NumPy integer.

    Raises:
        TypeError: it is no integer.
        ValueError: it is negative.
    """
    if seed is None:
        return None
    try:
        plain = operator.index(seed)
    except TypeError:
        raise TypeError(f"`seed` must be an int or None, got {seed!r}.") from None
    if plain < 0:
        raise ValueError(f"`seed` must be at least 0, got {plain}.")
    return plain


def as_reward(reward: Any) -> float:
    """A reward as a float.

    Raises:
        ValueError: it is no number.
    """
    if isinstance(reward, (float, int)):  # NumPy's float64 is one
        return float(reward)
    if getattr(reward, "ndim", 0) == 0 and not isinstance(reward, (str, bytes)):
        try:
            return float(reward)
        except (TypeError, ValueError):
            pass
    raise ValueError(f"`reward` must be a number, got {reward!r}.")


def as_end(name: str, end: Any) -> bool:
    """Whether an episode ended, told as a bool or as 0 or 1; None, as some say, is no end.

    Raises:
        ValueError: something else is told.
    """
    if end is None or isinstance(end, np.bool_):
        return bool(end)
    if getattr(end, "ndim", 0) == 0 and not isinstance(end, (str, bytes)):
        flag = bool(end)
        if end == flag:
            return flag
    raise ValueError(f"`{name}` must be a bool, got {end!r}.")


def seed_or_none(value: Any) -> int | None:
    """An attribute as a seed; None if somebody calls something else so."""
    return int(value) if isinstance(value, numbers.Integral) and int(value) >= 0 else None


def discrete_actions(space: gymnasium.Space[Any]) -> spaces.Discrete:
    """The action space, if values can be learned for it.

    Raises:
        ValueError: it is not Discrete, or has so many actions that tables of them fill the memory.
    """
    if not isinstance(space, spaces.Discrete):
        raise ValueError(
            f"`env.action_space` must be Discrete, got {space}. Put gymnasium.wrappers."
            "DiscretizeAction(env, bins) inside for continuous actions, and TransformAction from "
            "numbers to actions for others."
        )
    if space.n > MOST_ACTIONS:
        raise ValueError(
            f"`env.action_space` must have at most {MOST_ACTIONS} actions, got {space}: values are "
            "learned and shown for each of them."
        )
    return space


def place_of(number: Any, lowest: int, n: int) -> int:
    """Where a member of Discrete(n, start=lowest) stands, counted from 0; -1 for others."""
    try:
        place = operator.index(number) - lowest
    except TypeError:  # 1.5 and [1] are not members, though they compare like some
        return -1
    return place if 0 <= place < n else -1
