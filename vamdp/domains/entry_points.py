"""From a task distribution to what Gymnasium calls: its arguments stand once, in its class.

    env, vector_env = entry_points(Bandits)

A distribution whose states are shown as coordinates says so with an attribute `feature_scale`, see
`vamdp.TaskEnv`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from vamdp.domains.grids.view import RENDER_FPS, RENDER_MODES
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


def entry_points(
    distribution: Callable[..., TaskDistribution], *, has_pictures: bool = False
) -> EntryPoints:
    """Return the entry points of a distribution.

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

    for function in (env, vector_env):  # so that it can be pickled: the module has it
        function.__module__, function.__qualname__ = distribution.__module__, function.__name__
    if has_pictures:
        # gymnasium.make reads it from what makes the environment, to wrap "rgb_array_list" and the
        # like; functions have room for it.
        metadata = {"render_modes": list(RENDER_MODES), "render_fps": RENDER_FPS}
        env.metadata = metadata  # type: ignore[attr-defined]
    return EntryPoints(env, vector_env)


def _feature_scale(tasks: TaskDistribution) -> float | None:
    scale: float | None = getattr(tasks, "feature_scale", None)
    return scale
