"""Read attributes of every environment in a batch, because the first need not speak for the rest.

- A single environment, or a vector environment that has the attribute itself, gives one answer.
- A SyncVectorEnv gives one answer per environment; each is inspected directly.
- An AsyncVectorEnv is queried through its own calls, one answer per process. Only values that
  pickle safely are requested: numbers, layouts and the environment's description.
"""

import re
from collections.abc import Sequence
from operator import is_
from typing import Any

from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

from vamdp.argument_checks import check_positive_integer
from vamdp.inner_env import find_owner, is_layout, layers, seed_or_none, single_space

#: Names of the wrappers that record episode statistics, in SB3 and in Gymnasium.
RECORDERS = ("Monitor", "RecordEpisodeStatistics")


def owners(env: Any, name: str) -> list[Any]:
    """Return the outermost layers that have this attribute.

    Returns:
        One layer, or one per environment of a SyncVectorEnv; [] if none has the attribute.

    Raises:
        ValueError: Only some environments of a SyncVectorEnv have it.
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
    """Return the attribute's value in each of `owners`, or in each process of an AsyncVectorEnv."""
    found = [getattr(owner, name) for owner in owners(env, name)]
    base = env.unwrapped
    if not found and isinstance(base, AsyncVectorEnv) and has_in_processes(base, name):
        found = list(base.get_attr(name))
    return found


def has_in_processes(env: Any, name: str) -> bool:
    """Whether `env` is an AsyncVectorEnv whose environments have this attribute.

    Raises:
        ValueError: Only some of them have it.
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
            f"`{name}` must be an attribute of all environments or of none, but environment "
            f"{has.index(False)} does not have it."
        )


def find_layout(env: Any) -> tuple[Any, Any, Any]:
    """Return the outermost `layout`, the space it describes and its `action_parts`; else Nones.

    Raises:
        ValueError: The environments of a batch differ in one of them.
    """
    if isinstance(env.unwrapped, AsyncVectorEnv) and not owners(env, "layout"):
        # A foreign attribute `layout` may not pickle. Only ours comes with a `layout_space`.
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
            raise ValueError(
                f"`env` must have the same `{name}` in all environments, got {values}."
            )
    return layout, space, action_parts


def episode_time_scale(env: Any, task_horizon: int | None, horizon: int) -> int:
    """Return the number of steps that `episode_time` is divided by.

    This is `task_horizon`, else the environment's `task_horizon`, else its `max_episode_steps`,
    else `horizon`.

    Raises:
        ValueError: It is not a positive integer, or the environments of a batch differ in it.
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
            f"`task_horizon` must be given if the environments have different ones, got {scales}: "
            "the time within an episode is divided by it."
        )
    return horizon if scales[0] is None else int(scales[0])


def _episode_limits(env: Any) -> list[int | None]:
    """Return the spec's `max_episode_steps`: one value, or one per environment."""
    for layer in layers(env):
        if layer.spec is not None:
            return [layer.spec.max_episode_steps]
        if isinstance(layer, SyncVectorEnv):
            return [_episode_limits(one)[0] for one in layer.envs]
        # A spec may not pickle. An environment without one has a description with " instance>".
        if isinstance(layer, AsyncVectorEnv) and has_in_processes(layer, "_max_episode_steps"):
            limits = layer.get_attr("_max_episode_steps")  # TimeLimit has no public name for it
            texts = layer.call("__str__")
            pairs = zip(limits, texts, strict=True)
            return [None if " instance>" in text else limit for limit, text in pairs]
    return [None]


def class_names(env: Any) -> set[str]:
    """Return the class names of all layers of all environments.

    Of environments in other processes, only the names in their description are known.
    """
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
    """Whether `env` contains a wrapper that records episodes, one of `RECORDERS`."""
    return not class_names(env).isdisjoint(RECORDERS)


def refuse_meta_episodes(env: Any) -> None:
    """Raise ValueError if `env` contains a wrapper that must be outside the one being built.

    A MetaEpisode begins a new task at every reset. A learner around it would not notice the new
    task, and a second MetaEpisode around it would change tasks within its own meta-episode. The
    reward of RegretReward and the observation of ShowTask are for training only: a learner around
    them would learn from them, and the actor would observe them.
    """
    classes = class_names(env)
    for name in ("ShowTask", "RegretReward"):
        if name in classes:
            raise ValueError(
                f"`env` must have no {name} inside, got {env}. Wrap in this order: "
                f"{name}(MetaEpisode(ValueAugment(env, task_horizon=...), horizon))."
            )
    if "MetaEpisode" in classes:
        raise ValueError(
            f"`env` must have no MetaEpisode inside, got {env}. Wrap in this order: "
            "MetaEpisode(ValueAugment(env, task_horizon=...), horizon)."
        )


def task_seeds(env: VectorEnv[Any, Any, Any]) -> Sequence[int | None]:
    """Return the `task_seed` of each environment in a batch, None for one without."""
    owner, base = find_owner(env, "task_seeds"), env.unwrapped
    if owner is not None:
        return [seed_or_none(seed) for seed in owner.task_seeds]
    if isinstance(base, SyncVectorEnv):
        found = [find_owner(one, "task_seed") for one in base.envs]
        return [None if one is None else seed_or_none(one.task_seed) for one in found]
    # `get_attr` queries all processes at once, and fails if one of them lacks the attribute.
    if isinstance(base, AsyncVectorEnv) and all(base.call("has_wrapper_attr", "task_seed")):
        return [seed_or_none(seed) for seed in base.get_attr("task_seed")]
    return [None] * env.num_envs


def task_marks(env: Any, options: dict[str, Any] | None) -> list[Any]:
    """Return the seed and the task of every environment inside, for `is_refusal`.

    Compare them by identity: whoever changes the task sets new objects.

    Returns:
        The marks; [] if no option can be refused, if an environment does not tell them, or if it
        tells another object at each call.
    """
    if not _asks(options):
        return []
    marks = _marks(env)
    return marks if _are_same(marks, _marks(env)) else []


def _marks(env: Any) -> list[Any]:
    try:
        batches = owners(env, "task_seeds")
        if batches:
            return [mark for one in batches for mark in (*one.task_seeds, *one.tasks)]
        return [mark for one in owners(env, "task_seed") for mark in (one.task_seed, one.task)]
    except Exception:  # foreign properties of these names may raise anything
        return []


def _are_same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(map(is_, one, other))


def _asks(options: dict[str, Any] | None) -> bool:
    """Whether there are options that an environment may refuse."""
    return any(name not in ("new_task", "reset_mask") for name in options or ())


def is_refusal(
    error: BaseException,
    options: dict[str, Any] | None,
    env: Any,
    before: list[Any],
    begins_task: bool,
) -> bool:
    """Whether a reset raised because `env` rejected its options, before it changed anything.

    Without options other than `new_task` and `reset_mask` there was nothing to reject, so the reset
    failed half-way.
    So did a reset that left another task. An environment that does not tell its task may have
    another one if it was asked for one.

    Args:
        error: What was raised.
        options: The options of the reset.
        env: The environment that was reset.
        before: Its `task_marks` before the reset.
        begins_task: Whether the caller asked for a new task.
    """
    if not _asks(options) or not isinstance(error, (TypeError, ValueError)):
        return False
    return _are_same(before, _marks(env)) if before else not begins_task
