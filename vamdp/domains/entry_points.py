"""From a task distribution to what Gymnasium calls: its arguments stand once, in its class.

    env, vector_env = entry_points(Bandits)
    env, vector_env = sampled_entry_points(CartPoles)

A distribution of tables whose states are shown as coordinates says so with an attribute
`feature_scale`, see `vamdp.TaskEnv`. One of environments that can be rendered has an argument
`render_mode`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from vamdp.domains.grids.view import RENDER_FPS, RENDER_MODES
from vamdp.domains.sampled_env import EnvDistribution, SampledEnv
from vamdp.domains.sampled_vector_env import SampledVectorEnv
from vamdp.domains.task_env import TaskDistribution, TaskEnv
from vamdp.domains.task_vector_env import TaskVectorEnv


class EntryPoints(NamedTuple):
    """Two functions that make environments from the distribution's arguments.

    Attributes:
        env: makes a `TaskEnv`.
        vector_env: makes a `TaskVectorEnv`.
    """

    env: Callable[..., TaskEnv]
    vector_env: Callable[..., TaskVectorEnv]


class SampledEntryPoints(NamedTuple):
    """The same of a distribution of environments.

    Attributes:
        env: makes a `SampledEnv`.
        vector_env: makes a `SampledVectorEnv`.
    """

    env: Callable[..., SampledEnv]
    vector_env: Callable[..., SampledVectorEnv]


def entry_points(
    distribution: Callable[..., TaskDistribution], *, has_pictures: bool = False
) -> EntryPoints:
    """Return the entry points of a distribution of tables.

    Args:
        distribution: its class.
        has_pictures: whether its tasks are grids, which can be rendered.
    """

    def env(*, render_mode: str | None = None, **arguments: Any) -> TaskEnv:
        """Make a `TaskEnv` of this module's distribution, with the distribution's arguments."""
        tasks = distribution(**arguments)
        return TaskEnv(tasks, feature_scale=_feature_scale(tasks), render_mode=render_mode)

    def vector_env(
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> TaskVectorEnv:
        """Make a `TaskVectorEnv` of this module's distribution, with its arguments."""
        tasks = distribution(**arguments)
        return TaskVectorEnv(
            tasks,
            num_envs,
            feature_scale=_feature_scale(tasks),
            max_episode_steps=max_episode_steps,
            render_mode=render_mode,
        )

    _place(distribution, env, vector_env)
    if has_pictures:
        metadata = {"render_modes": list(RENDER_MODES), "render_fps": RENDER_FPS}
        env.metadata = metadata  # type: ignore[attr-defined] # see `_place`
    return EntryPoints(env, vector_env)


def sampled_entry_points(
    distribution: Callable[..., EnvDistribution], *, metadata: Mapping[str, Any] | None = None
) -> SampledEntryPoints:
    """Return the entry points of a distribution of environments.

    Args:
        distribution: its class.
        metadata: of the environments, where they can be rendered.
    """

    def env(*, render_mode: str | None = None, **arguments: Any) -> SampledEnv:
        """Make a `SampledEnv` of this module's distribution, with the distribution's arguments."""
        return SampledEnv(distribution(**_with_mode(arguments, render_mode)))

    def vector_env(
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> SampledVectorEnv:
        """Make a `SampledVectorEnv` of this module's distribution, with its arguments."""
        environments = distribution(**_with_mode(arguments, render_mode))
        return SampledVectorEnv(environments, num_envs, max_episode_steps=max_episode_steps)

    _place(distribution, env, vector_env)
    if metadata is not None:
        env.metadata = dict(metadata)  # type: ignore[attr-defined] # see `_place`
    return SampledEntryPoints(env, vector_env)


def _place(distribution: Callable[..., Any], *functions: Any) -> None:
    """Say that functions are of the distribution's module, so that they can be pickled.

    gymnasium.make reads `metadata` too from what makes an environment, to wrap "rgb_array_list" and
    the like; functions have room for it.
    """
    for function in functions:
        function.__module__, function.__qualname__ = distribution.__module__, function.__name__


def _with_mode(arguments: dict[str, Any], render_mode: str | None) -> dict[str, Any]:
    """Return a distribution's arguments; one without pictures refuses any mode."""
    return arguments if render_mode is None else {**arguments, "render_mode": render_mode}


def _feature_scale(tasks: TaskDistribution) -> float | None:
    scale: float | None = getattr(tasks, "feature_scale", None)
    return scale
