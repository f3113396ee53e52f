"""A distribution of any Gymnasium environments as one environment, for tasks without a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded

from vamdp.inner_batch import episode_time_scale
from vamdp.inner_env import N_SEEDS, StateKey, find_owner, single_space

EnvDistribution = Callable[[np.random.Generator], gymnasium.Env[Any, Any]]


class SampledEnv(gymnasium.Env[Any, Any]):
    """Steps an environment drawn from a distribution, until told to draw the next.

    The counterpart of `TaskEnv` whose tasks are environments. Which task: as there, by `reset`'s
    seed and options, `reset_task` and `set_task`. The first reset of a task seeds its environment
    from the tasks stream, later ones go on with its own generator; so neither depends on what was
    done in the tasks before. Environments that are replaced are not closed, since a caller may set
    them again.

    What the wrappers around it look for is the drawn environments': spaces, infos with their action
    masks, pictures, and where they have them `state_key`, asked in the present environment, and
    `task_horizon`.

    Args:
        env_distribution: Draws an environment from a generator. All must have equal spaces. It is
            called once on construction, with a generator of its own, to learn them.

    Attributes:
        state_key: Observation -> state; only where the environments have one for their
            observations. In a batch each environment's own answers for it.
        task_horizon: The first one's, else its time limit; only where it has either.
        action_masks: () -> the actions that the present environment allows; only where the
            environments have this method, which is sb3-contrib's.

    Raises:
        TypeError: The distribution returns no environment.

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

    def __init__(self, env_distribution: EnvDistribution) -> None:
        self.env_distribution = env_distribution
        probe = self._draw(np.random.default_rng(0))
        self.observation_space = probe.observation_space
        self.action_space = probe.action_space
        self.metadata = dict(probe.metadata)
        self.render_mode = probe.render_mode
        keyed = find_owner(probe, "state_key")
        # One below a wrapper that changes observations would read them wrongly.
        if keyed is not None and single_space(keyed) == probe.observation_space:
            self.state_key = self._present_state_key
        if find_owner(probe, "action_masks") is not None:
            self.action_masks = self._present_action_masks
        limit = episode_time_scale(probe, None, 0)
        if limit:
            self.task_horizon = limit
        probe.close()
        self._task: gymnasium.Env[Any, Any] | None = None
        self._task_seed: int | None = None
        self._seeds_reset = False  # the task's first one is still to be done
        self._running = False

    @property
    def task(self) -> gymnasium.Env[Any, Any]:
        """The present environment.

        Raises:
            ResetNeeded: None was drawn or set yet.
        """
        if self._task is None:
            raise ResetNeeded("There is no task yet: call reset() or set_task() first.")
        return self._task

    def get_task(self) -> gymnasium.Env[Any, Any]:
        """Return the present environment."""
        return self.task

    @property
    def task_seed(self) -> int | None:
        """What seeded the present environment's first reset; None: there is no task yet."""
        return self._task_seed

    def sample_tasks(self, n: int) -> list[gymnasium.Env[Any, Any]]:
        """Draw n environments from the tasks stream; the present one stays."""
        return [self._draw(self.np_random) for _ in range(n)]

    def set_task(self, task: gymnasium.Env[Any, Any]) -> None:
        """Set the environment and a new seed for it; call `reset` before the next step.

        Raises:
            TypeError: `task` is not an environment.
            ValueError: Its spaces are others.
        """
        self._check(task)
        self._task = task
        self._task_seed, self._seeds_reset = int(self.np_random.integers(N_SEEDS)), True
        self._running = False

    def reset_task(self, task: gymnasium.Env[Any, Any] | None = None) -> None:
        """Set the environment, or draw the next one if None; call `reset` before the next step.

        Raises:
            TypeError: `task` is not an environment.
            ValueError: Its spaces are others.
        """
        self.set_task(self._draw(self.np_random) if task is None else task)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode, in a new task if the seed or the options ask for one.

        Args:
            seed: Starts the streams anew and draws a task.
            options: "task" and "new_task" as in `TaskEnv`; the rest goes to the environment.

        Returns:
            The environment's observation and info.

        Raises:
            TypeError: The given task is not an environment.
            ValueError: Its spaces are others.
        """
        inner_options = dict(options or {})
        task = inner_options.pop("task", None)
        new_task = inner_options.pop("new_task", False)
        if task is not None:
            self._check(task)  # before anything changes
        super().reset(seed=seed)
        if task is not None or seed is not None or new_task or self._task is None:
            self.reset_task(task)
        self._running = False  # if the environment fails, its first reset is still to be done
        first_seed = self._task_seed if self._seeds_reset else None
        started = self.task.reset(seed=first_seed, options=inner_options or None)
        self._seeds_reset = False
        self._running = True
        return started

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step in the present environment.

        Raises:
            ResetNeeded: The task was changed, or none was drawn yet.
        """
        if not self._running:
            raise ResetNeeded("No episode is running: call reset() before step().")
        observation, reward, terminated, truncated, info = self.task.step(action)
        return observation, float(reward), terminated, truncated, info

    def render(self) -> Any:
        """Render the present environment."""
        return self.task.render()

    def close(self) -> None:
        """Close the present environment."""
        if self._task is not None:
            self._task.close()

    def _check(self, task: gymnasium.Env[Any, Any], name: str = "task") -> None:
        """Raise unless `task`, called `name`, is an environment like the others."""
        if not isinstance(task, gymnasium.Env):
            raise TypeError(f"`{name}` must be a gymnasium.Env, got {type(task).__name__}.")
        for space in ("observation_space", "action_space"):
            if getattr(task, space) != getattr(self, space):
                raise ValueError(
                    f"`{name}.{space}` must be {getattr(self, space)} as the first one's, "
                    f"got {getattr(task, space)}."
                )
        if hasattr(self, "state_key") and find_owner(task, "state_key") is None:
            raise ValueError(f"`{name}` must have a `state_key` as the first one, got {task}.")

    def _present_state_key(self, observation: Any) -> Any:
        """Ask the present environment, whose key may depend on its layout."""
        return find_owner(self.task, "state_key").state_key(observation)

    def _present_action_masks(self) -> Any:
        """Ask the present environment; None if it has no masks, unlike the first one."""
        owner = find_owner(self.task, "action_masks")
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
