"""Build Gymnasium entry points from a task distribution, whose class declares the arguments.

    env, vector_env = entry_points(Bandits)
    env, vector_env = sampled_entry_points(CartPoles)

A distribution of tables may have an attribute `feature_scale`; observations are then coordinates,
see `vamdp.TaskEnv`. A distribution of environments that can be rendered takes an argument
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
    """Two functions that build environments from the arguments of a distribution of tables.

    Attributes:
        env: Builds a `TaskEnv`.
        vector_env: Builds a `TaskVectorEnv`.
    """

    env: Callable[..., TaskEnv]
    vector_env: Callable[..., TaskVectorEnv]


class SampledEntryPoints(NamedTuple):
    """Two functions that build environments from the arguments of a distribution of environments.

    Attributes:
        env: Builds a `SampledEnv`.
        vector_env: Builds a `SampledVectorEnv`.
    """

    env: Callable[..., SampledEnv]
    vector_env: Callable[..., SampledVectorEnv]


def entry_points(
    distribution: Callable[..., TaskDistribution], *, has_pictures: bool = False
) -> EntryPoints:
    """Return the entry points of a distribution of tables.

    Args:
        distribution: The distribution's class.
        has_pictures: Whether its tasks are grids, which can be rendered.
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
        distribution: The distribution's class.
        metadata: The environments' metadata; None if they cannot be rendered.
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
    """Assign the functions to the distribution's module, so that they can be pickled.

    gymnasium.make also reads the attribute `metadata` of an entry point, to support render modes
    such as "rgb_array_list". The callers set it on the function `env`.
    """
    for function in functions:
        function.__module__, function.__qualname__ = distribution.__module__, function.__name__


def _with_mode(arguments: dict[str, Any], render_mode: str | None) -> dict[str, Any]:
    """Add a render mode to the arguments; a distribution without this argument rejects it."""
    return arguments if render_mode is None else {**arguments, "render_mode": render_mode}


def _feature_scale(tasks: TaskDistribution) -> float | None:
    scale: float | None = getattr(tasks, "feature_scale", None)
    return scale
