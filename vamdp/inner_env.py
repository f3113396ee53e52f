"""Inspect the environment inside a wrapper, and validate the values it returns."""

import numbers
import operator
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv, VectorEnv, VectorWrapper

StateKey = Callable[[Any], Hashable]

#: The largest number of actions: tables have one row of this length per state, and an observation
#: has several parts of this length.
MOST_ACTIONS = 2**20


#: Gymnasium's wrappers that play an action several times; the second is in newer versions only.
REPEATING: tuple[type[gymnasium.Wrapper[Any, Any, Any, Any]], ...] = tuple(
    getattr(gymnasium.wrappers, name)
    for name in ("MaxAndSkipObservation", "RepeatAction")
    if hasattr(gymnasium.wrappers, name)
)


def require_single(env: Any, name: str | None) -> None:
    """Raise TypeError if `env` is a vector environment.

    Args:
        env: The environment.
        name: The wrapper's class, which has a counterpart in vamdp.vector; None: there is none.
    """
    if isinstance(env, VectorEnv):
        remedy = "Pass one of its environments" if name is None else f"Use vamdp.vector.{name}"
        raise TypeError(
            f"`env` must be a gymnasium.Env, got {type(env).__name__}, a vector environment. "
            f"{remedy}."
        )


def require_vector(env: Any, name: str) -> None:
    """Raise TypeError if `env` is a single environment; `name` is the wrapper's class."""
    if isinstance(env, gymnasium.Env):
        raise TypeError(
            f"`env` must be a gymnasium.vector.VectorEnv, got {type(env).__name__}, a single "
            f"environment. Use vamdp.{name}."
        )


def layers(env: Any) -> Iterator[Any]:
    """Yield `env` and every environment it wraps, from the outside in.

    Of a SyncVectorEnv's environments, only the first is followed.
    """
    while env is not None:
        yield env
        if isinstance(env, (gymnasium.Wrapper, VectorWrapper)):
            env = env.env
        else:  # an attribute `env` of any other class may be a simulator
            env = env.envs[0] if isinstance(env, SyncVectorEnv) else None


def find_owner(env: Any, name: str) -> Any:
    """Return the outermost layer that has this attribute, or None."""
    return next((layer for layer in layers(env) if hasattr(layer, name)), None)


def find_method_owner(env: Any, name: str) -> Any:
    """Return the outermost layer that has this attribute, or None if it has another meaning there.

    Environments may use a name such as `state_key` for something that cannot be called.
    """
    owner = find_owner(env, name)
    return owner if callable(getattr(owner, name, None)) else None


def single_space(env: Any) -> gymnasium.Space[Any]:
    """Return the space of a single observation, also of a vector environment."""
    space: gymnasium.Space[Any] = getattr(env, "single_observation_space", env.observation_space)
    return space


def asks_for_new_task(options: dict[str, Any] | None) -> bool:
    """Whether these reset options draw a new task or set one."""
    return options is not None and (
        options.get("task") is not None or bool(options.get("new_task"))
    )


def is_layout(layout: Any) -> bool:
    """Whether this is our layout (name -> slice) and not a foreign attribute of that name."""
    return isinstance(layout, dict) and all(isinstance(part, slice) for part in layout.values())


def as_reward(reward: Any) -> float:
    """Return a reward as a float.

    Raises:
        ValueError: It is not a single number.
    """
    try:
        if isinstance(reward, (float, int)):  # np.float64 is a float
            return float(reward)
        if getattr(reward, "ndim", 0) == 0 and not isinstance(reward, (str, bytes)):
            return float(reward)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"`reward` must be a number, got {reward!r}. Give a single float.")


def as_end(name: str, end: Any) -> bool:
    """Return a `terminated` or `truncated` flag as a bool.

    A bool, 0 or 1 are accepted. None counts as False, because some environments return it.

    Raises:
        ValueError: The flag is anything else.
    """
    if end is None or isinstance(end, np.bool_):
        return bool(end)
    if getattr(end, "ndim", 0) == 0 and not isinstance(end, (str, bytes)):
        flag = bool(end)
        if end == flag:
            return flag
    raise ValueError(f"`{name}` must be a bool, got {end!r}.")


def seed_or_none(value: Any) -> int | None:
    """Return an attribute's value as a seed, or None if it cannot be one."""
    return int(value) if isinstance(value, numbers.Integral) and int(value) >= 0 else None


def discrete_actions(space: gymnasium.Space[Any]) -> spaces.Discrete:
    """Return the action space if values can be learned for each of its actions.

    Raises:
        ValueError: It is not Discrete, or has more than MOST_ACTIONS actions.
    """
    if not isinstance(space, spaces.Discrete):
        raise ValueError(
            f"`env.action_space` must be Discrete, got {space}. Wrap `env` first: in "
            "gymnasium.wrappers.DiscretizeAction(env, bins) if its actions are continuous, else in "
            "a TransformAction that maps each integer to an action."
        )
    if space.n > MOST_ACTIONS:
        raise ValueError(
            f"`env.action_space` must have at most {MOST_ACTIONS} actions, got {space}: a value is "
            "learned and shown for each action."
        )
    return space


def place_of(number: Any, lowest: int, n: int) -> int:
    """Return the index, from 0, of a member of Discrete(n, start=lowest); -1 if it is not one."""
    try:
        place = operator.index(number) - lowest
    except TypeError:  # 1.5 and [1] are not members, although they can be compared with integers
        return -1
    return place if 0 <= place < n else -1
