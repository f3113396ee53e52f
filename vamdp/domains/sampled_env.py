"""One environment that plays tasks drawn from a distribution of Gymnasium environments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded

from vamdp.inner_batch import episode_time_scale
from vamdp.inner_env import StateKey, find_method_owner, single_space
from vamdp.seeds import N_SEEDS

EnvDistribution = Callable[[np.random.Generator], gymnasium.Env[Any, Any]]


class SampledEnv(gymnasium.Env[Any, Any]):
    """Plays an environment drawn from a distribution until a new task is requested.

    It is the counterpart of `TaskEnv` for tasks that are environments instead of tables. Tasks
    change as there: by `reset`'s seed and options, `reset_task` and `set_task`. The first reset of
    a task seeds its environment from the tasks stream; later resets continue the environment's own
    generator. Neither depends on what was done in earlier tasks. Environments that are replaced are
    not closed, because the caller may set them again.

    Wrappers see the attributes of the drawn environments: spaces, infos with their action masks,
    pictures, and `state_key` and `task_horizon` if they exist. `state_key` is always the current
    environment's.

    Args:
        env_distribution: Function from a random generator to an environment. All environments must
            have equal spaces. The constructor calls it once, with a separate generator, to read
            them.

    Attributes:
        state_key: Function from an observation to a state; exists only if the environments have one
            for their observations. In a batch, each environment uses its own.
        task_horizon: The first environment's, or else its time limit; exists only if it has either.
        action_masks: Function that returns which actions the current environment allows; exists
            only if the environments have this method (the convention of sb3-contrib).

    Raises:
        TypeError: `env_distribution` is not callable or does not return an environment.

    Example:
        >>> def frozen_lakes(rng):
        ...     rows = ["SFFF", "FFFF", "FFFF", "FFFG"]
        ...     hole = rng.integers(1, 3)
        ...     rows[hole] = "FHFF"
        ...     return gymnasium.make("FrozenLake-v1", desc=rows)
        >>> env = SampledEnv(frozen_lakes)
        >>> env.reset(seed=1)[0]
        0
    """

    state_key: StateKey
    task_horizon: int
    action_masks: Callable[[], Any]

    #: The first task may be the very environment that told the spaces, which so stays open for it.
    _may_draw_it_again = True

    def __init__(self, env_distribution: EnvDistribution) -> None:
        self.env_distribution = env_distribution
        probe = self._draw(np.random.default_rng(0))
        self.observation_space = probe.observation_space
        self.action_space = probe.action_space
        self.metadata = dict(probe.metadata)
        self.render_mode = probe.render_mode
        keyed = find_method_owner(probe, "state_key")
        # A state_key below a wrapper that changes observations would misread them.
        if keyed is not None and single_space(keyed) == probe.observation_space:
            self.state_key = self._present_state_key
        if find_method_owner(probe, "action_masks") is not None:
            self.action_masks = self._present_action_masks
        limit = episode_time_scale(probe, None, 0)
        if limit:
            self.task_horizon = limit
        self._probe: gymnasium.Env[Any, Any] | None = probe
        if not self._may_draw_it_again:
            self._close_probe()
        self._task: gymnasium.Env[Any, Any] | None = None
        self._task_seed: int | None = None
        self._seeds_reset = False  # whether the next reset is the task's first, which is seeded
        self._running = False

    @property
    def task(self) -> gymnasium.Env[Any, Any]:
        """The current environment.

        Raises:
            ResetNeeded: No environment has been drawn or set yet.
        """
        if self._task is None:
            raise ResetNeeded("There is no task yet: call reset() or set_task() first.")
        return self._task

    def get_task(self) -> gymnasium.Env[Any, Any]:
        """Return the current environment."""
        return self.task

    @property
    def task_seed(self) -> int | None:
        """The seed of the current environment's first reset; None if there is no task yet."""
        return self._task_seed

    def sample_tasks(self, n: int) -> list[gymnasium.Env[Any, Any]]:
        """Draw n environments from the tasks stream; the current one does not change."""
        return [self._draw(self.np_random) for _ in range(n)]

    def set_task(self, task: gymnasium.Env[Any, Any]) -> None:
        """Set the environment and a new seed for it; call `reset` before the next step.

        Wrappers around this environment are not told: where there is a `ValueAugment` or a
        `MetaEpisode`, call the `set_task` of the outermost one.

        Raises:
            TypeError: `task` is not an environment.
            ValueError: Its spaces differ from the distribution's.
        """
        self._check(task)
        if self._probe is not task:
            self._close_probe()
        self._probe = None
        self._task = task
        self._task_seed, self._seeds_reset = int(self.np_random.integers(N_SEEDS)), True
        self._running = False

    def reset_task(self, task: gymnasium.Env[Any, Any] | None = None) -> None:
        """Set the environment, or draw the next one if None; call `reset` before the next step.

        Raises:
            TypeError: `task` is not an environment.
            ValueError: Its spaces differ from the distribution's.
        """
        self.set_task(self._draw(self.np_random) if task is None else task)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode, in a new task if the seed or the options ask for one.

        Args:
            seed: Restarts the random streams and draws a task.
            options: "task" and "new_task" as in `TaskEnv`; all others go to the environment.

        Returns:
            The environment's observation and info.

        Raises:
            TypeError: `options["task"]` is not an environment.
            ValueError: Its spaces differ from the distribution's.
        """
        inner_options = dict(options or {})
        task = inner_options.pop("task", None)
        new_task = inner_options.pop("new_task", False)
        if task is not None:
            self._check(task)  # before anything changes
        super().reset(seed=seed)
        if task is not None or seed is not None or new_task or self._task is None:
            self.reset_task(task)
        self._running = False  # stays False if the environment's reset fails
        first_seed = self._task_seed if self._seeds_reset else None
        started = self.task.reset(seed=first_seed, options=inner_options or None)
        self._seeds_reset = False
        self._running = True
        return started

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step in the current environment.

        Raises:
            ResetNeeded: The task was changed, or no task has been drawn yet.
        """
        if not self._running:
            raise ResetNeeded("No episode is running: call reset() before step().")
        observation, reward, terminated, truncated, info = self.task.step(action)
        return observation, float(reward), terminated, truncated, info

    def render(self) -> Any:
        """Render the current environment."""
        return self.task.render()

    def close(self) -> None:
        """Close the current environment."""
        self._close_probe()
        if self._task is not None:
            self._task.close()

    def _close_probe(self) -> None:
        if self._probe is not None:
            self._probe.close()
            self._probe = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy takes over: all but the environment of which only the spaces count."""
        return {**self.__dict__, "_probe": None}

    def _check(self, task: gymnasium.Env[Any, Any], name: str = "task") -> None:
        """Raise unless `task` is an environment with the same spaces; `name` is for the message."""
        if not isinstance(task, gymnasium.Env):
            raise TypeError(f"`{name}` must be a gymnasium.Env, got {type(task).__name__}.")
        for space in ("observation_space", "action_space"):
            if getattr(task, space) != getattr(self, space):
                raise ValueError(
                    f"`{name}.{space}` must be {getattr(self, space)} as in the first environment, "
                    f"got {getattr(task, space)}."
                )
        if hasattr(self, "state_key") and find_method_owner(task, "state_key") is None:
            raise ValueError(
                f"`{name}` must have a `state_key` like the first environment, got {task}."
            )

    def _present_state_key(self, observation: Any) -> Any:
        """Return the current environment's key of an observation; it may depend on the task."""
        return find_method_owner(self.task, "state_key").state_key(observation)

    def _present_action_masks(self) -> Any:
        """Return the current environment's mask; None if it has none, unlike the first one."""
        owner = find_method_owner(self.task, "action_masks")
        return None if owner is None else owner.action_masks()

    def _draw(self, rng: np.random.Generator) -> gymnasium.Env[Any, Any]:
        if not callable(self.env_distribution):
            raise TypeError(
                "`env_distribution` must be a function from a random generator to a gymnasium.Env, "
                f"got {self.env_distribution!r}. For a single environment pass lambda rng: env."
            )
        env = self.env_distribution(rng)
        if not isinstance(env, gymnasium.Env):
            raise TypeError(
                f"`env_distribution` must return a gymnasium.Env, got {type(env).__name__}. For "
                "tasks that are tables use vamdp.TaskEnv."
            )
        return env
