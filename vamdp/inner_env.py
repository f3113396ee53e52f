"""What a wrapper finds out about the environments below it, single or vectorised."""

import numbers
import operator
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv, VectorWrapper

from vamdp.argument_checks import check_positive_integer

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


def find_layout(env: Any) -> tuple[Any, Any, Any]:
    """The outermost `layout`, the space that it is of, and its `action_parts`; None without one."""
    owner = find_owner(env, "layout")
    if owner is None:
        return None, None, None
    return owner.layout, single_space(owner), getattr(owner, "action_parts", None)


def single_space(env: Any) -> gymnasium.Space[Any]:
    """The space of a single observation."""
    space: gymnasium.Space[Any] = getattr(env, "single_observation_space", env.observation_space)
    return space


def asks_for_new_task(options: dict[str, Any] | None) -> bool:
    """Whether reset options draw or set a task."""
    return options is not None and (
        options.get("task") is not None or bool(options.get("new_task"))
    )


def task_seeds(env: VectorEnv[Any, Any, Any]) -> Sequence[int | None]:
    """The `task_seed` of each environment of a batch; None where one has none."""
    owner, base = find_owner(env, "task_seeds"), env.unwrapped
    if owner is not None:
        return [seed_or_none(seed) for seed in owner.task_seeds]
    if isinstance(base, SyncVectorEnv):
        owners = [find_owner(one, "task_seed") for one in base.envs]
        return [None if one is None else seed_or_none(one.task_seed) for one in owners]
    # Processes can only be asked all the same.
    if isinstance(base, AsyncVectorEnv) and all(base.call("has_wrapper_attr", "task_seed")):
        return [seed_or_none(seed) for seed in base.get_attr("task_seed")]
    return [None] * env.num_envs


def seed_or_none(value: Any) -> int | None:
    """An attribute as a seed; None if somebody calls something else so."""
    return int(value) if isinstance(value, numbers.Integral) and int(value) >= 0 else None


def episode_time_scale(env: Any, task_horizon: int | None, horizon: int) -> int:
    """What episode_time is divided by."""
    if task_horizon is not None:
        check_positive_integer("task_horizon", task_horizon)
        return int(task_horizon)
    owner = find_owner(env, "task_horizon")
    if owner is not None:
        check_positive_integer("env.task_horizon", owner.task_horizon)
        return int(owner.task_horizon)
    specs = [layer.spec for layer in layers(env) if layer.spec is not None]
    limit = specs[0].max_episode_steps if specs else None
    return horizon if limit is None else int(limit)


def records_statistics(env: Any) -> bool:
    """Whether a wrapper below records episodes (SB3's Monitor, RecordEpisodeStatistics)."""
    recorders = ("Monitor", "RecordEpisodeStatistics")
    return any(c.__name__ in recorders for layer in layers(env) for c in type(layer).__mro__)


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


def refuse_meta_episodes(env: Any) -> None:
    """Raise ValueError if a wrapper that sees tasks has one inside that belongs outside of it.

    A MetaEpisode begins a new task in every reset, of which a learner around it would hear nothing,
    and which would tear the task of a longer meta-episode. What a RegretReward pays and a ShowTask
    shows is for training only: a learner around it would learn from it, and observations would show
    it to the actor.
    """
    classes = {c.__name__ for layer in layers(env) for c in type(layer).__mro__}
    for name in ("ShowTask", "RegretReward"):
        if name in classes:
            raise ValueError(
                f"`env` must have no {name} inside, got {env}: it goes outermost, as in "
                f"{name}(MetaEpisode(ValueAugment(env, task_horizon=...), horizon))."
            )
    if "MetaEpisode" in classes:
        raise ValueError(
            f"`env` must have no MetaEpisode inside, got {env}: it goes outermost, as in "
            "MetaEpisode(ValueAugment(env, task_horizon=...), horizon)."
        )


def place_of(number: Any, lowest: int, n: int) -> int:
    """Where a member of Discrete(n, start=lowest) stands, counted from 0; -1 for others."""
    try:
        place = operator.index(number) - lowest
    except TypeError:  # 1.5 and [1] are not members, though they compare like some
        return -1
    return place if 0 <= place < n else -1
