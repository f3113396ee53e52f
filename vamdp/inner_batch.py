"""What a wrapper asks all environments below it: none of them speaks for the others.

A single environment, and a vector environment that knows it for the batch, answers once. Those in a
loop (SyncVectorEnv) are looked at one by one. Those in processes (AsyncVectorEnv) are asked through
its own calls, and only for what surely travels between processes: numbers, layouts, their own
description. What cannot be had of them raises an error that names the argument to pass.
"""

import re
from collections.abc import Sequence
from typing import Any

from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

from vamdp.argument_checks import check_positive_integer
from vamdp.inner_env import find_owner, is_layout, layers, seed_or_none, single_space

#: Wrappers that record episodes: SB3's and Gymnasium's.
RECORDERS = ("Monitor", "RecordEpisodeStatistics")


def owners(env: Any, name: str) -> list[Any]:
    """The outermost with this attribute: one, or of a loop one for each environment; [] if none.

    Raises:
        ValueError: some environments of a loop have it, and others have not.
    """
    for layer in layers(env):
        if hasattr(layer, name):
            return [layer]
        if isinstance(layer, SyncVectorEnv):
            found = [find_owner(one, name) for one in layer.envs]
            _require_all(name, [one is not None for one in found])
            return [] if found[0] is None else found
    return []


def answers(env: Any, name: str) -> list[Any]:
    """The attribute of those that have it; see `owners`."""
    found = [getattr(owner, name) for owner in owners(env, name)]
    base = env.unwrapped
    if not found and isinstance(base, AsyncVectorEnv) and has_in_processes(base, name):
        found = list(base.get_attr(name))
    return found


def has_in_processes(env: Any, name: str) -> bool:
    """Whether the environments of an AsyncVectorEnv have this attribute; False for others.

    Raises:
        ValueError: only some of them have it.
    """
    base = env.unwrapped
    if not isinstance(base, AsyncVectorEnv):
        return False
    has = list(base.call("has_wrapper_attr", name))
    _require_all(name, has)
    return bool(has[0])


def _require_all(name: str, has: Sequence[bool]) -> None:
    if any(has) and not all(has):
        raise ValueError(
            f"`{name}` must be an attribute of all environments or of none, got number "
            f"{has.index(False)} without it."
        )


def find_layout(env: Any) -> tuple[Any, Any, Any]:
    """The outermost `layout`, the space that it is of, and its `action_parts`; None without one.

    Raises:
        ValueError: environments of a batch have different ones.
    """
    if isinstance(env.unwrapped, AsyncVectorEnv) and not owners(env, "layout"):
        # What else is called so might not travel.
        if not has_in_processes(env, "layout_space"):
            return None, None, None
        told = [answers(env, name) for name in ("layout", "layout_space", "action_parts")]
    else:
        found = owners(env, "layout")
        told = [[owner.layout for owner in found], [single_space(owner) for owner in found]]
        told.append([getattr(owner, "action_parts", None) for owner in found])
    if not told[0] or not all(is_layout(layout) for layout in told[0]):
        return None, None, None
    layout, space, action_parts = (values[0] if values else None for values in told)
    for name, values in zip(("layout", "layout_space", "action_parts"), told, strict=True):
        if any(value != values[0] for value in values):
            raise ValueError(f"`env` must have one `{name}` in all environments, got {values}.")
    return layout, space, action_parts


def episode_time_scale(env: Any, task_horizon: int | None, horizon: int) -> int:
    """What episode_time is divided by.

    Raises:
        ValueError: it is no positive integer, or environments of a batch have different ones.
    """
    if task_horizon is not None:
        check_positive_integer("task_horizon", task_horizon)
        return int(task_horizon)
    scales = answers(env, "task_horizon")
    for scale in scales:
        check_positive_integer("env.task_horizon", scale)
    if not scales:
        scales = [limit for limit in _episode_limits(env)]
    if any(scale != scales[0] for scale in scales):
        raise ValueError(
            f"`task_horizon` must be given where environments have different ones, got {scales}: "
            "it is what the time of an episode is divided by."
        )
    return horizon if scales[0] is None else int(scales[0])


def _episode_limits(env: Any) -> list[int | None]:
    """The `max_episode_steps` that a spec has: one, or one for each environment."""
    for layer in layers(env):
        if layer.spec is not None:
            return [layer.spec.max_episode_steps]
        if isinstance(layer, SyncVectorEnv):
            return [_episode_limits(one)[0] for one in layer.envs]
        # A spec need not travel. Without one, a description ends in "instance>".
        if isinstance(layer, AsyncVectorEnv) and has_in_processes(layer, "_max_episode_steps"):
            limits = layer.get_attr("_max_episode_steps")  # TimeLimit's only name for it
            texts = layer.call("__str__")
            pairs = zip(limits, texts, strict=True)
            return [None if " instance>" in text else limit for limit, text in pairs]
    return [None]


def class_names(env: Any) -> set[str]:
    """Names of the classes of all layers of all environments; of processes, of the wrappers."""
    names: set[str] = set()
    for layer in layers(env):
        names.update(c.__name__ for c in type(layer).__mro__)
        if isinstance(layer, SyncVectorEnv):
            return names.union(*(class_names(one) for one in layer.envs))
        if isinstance(layer, AsyncVectorEnv):  # "<TimeLimit<OrderEnforcing<...>>>"
            for text in layer.call("__str__"):
                names.update(re.findall(r"<(\w+)", text))
    return names


def records_statistics(env: Any) -> bool:
    """Whether a wrapper below records episodes (SB3's Monitor, RecordEpisodeStatistics)."""
    return not class_names(env).isdisjoint(RECORDERS)


def refuse_meta_episodes(env: Any) -> None:
    """Raise ValueError if a wrapper that sees tasks has one inside that belongs outside of it.

    A MetaEpisode begins a new task in every reset, of which a learner around it would hear nothing,
    and which would tear the task of a longer meta-episode. What a RegretReward pays and a ShowTask
    shows is for training only: a learner around it would learn from it, and observations would show
    it to the actor.
    """
    classes = class_names(env)
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


def task_seeds(env: VectorEnv[Any, Any, Any]) -> Sequence[int | None]:
    """The `task_seed` of each environment of a batch; None where one has none."""
    owner, base = find_owner(env, "task_seeds"), env.unwrapped
    if owner is not None:
        return [seed_or_none(seed) for seed in owner.task_seeds]
    if isinstance(base, SyncVectorEnv):
        found = [find_owner(one, "task_seed") for one in base.envs]
        return [None if one is None else seed_or_none(one.task_seed) for one in found]
    # Processes can only be asked all the same.
    if isinstance(base, AsyncVectorEnv) and all(base.call("has_wrapper_attr", "task_seed")):
        return [seed_or_none(seed) for seed in base.get_attr("task_seed")]
    return [None] * env.num_envs
