"""A batch of environments whose tasks are drawn from a distribution of Gymnasium environments."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import TimeLimit

from vamdp.domains.batch_arguments import check_one_each, check_sizes, marked_rows
from vamdp.domains.sampled_env import EnvDistribution, SampledEnv
from vamdp.seeds import seed_of_each
from vamdp.vector_bases import AnySyncVectorEnv

Env = gymnasium.Env[Any, Any]


class SampledVectorEnv(AnySyncVectorEnv):
    """Steps num_envs drawn environments in a loop; environment i equals `SampledEnv` with its seed.

    It is the counterpart of `TaskVectorEnv` for tasks that are environments. With seed s,
    environment i has the seed s + i. An episode that ends restarts in the same step
    (`AutoresetMode.SAME_STEP`), and infos hold "final_obs" and "final_info" as in SyncVectorEnv.

    Each environment changes tasks as `SampledEnv` does; options["task"] is a sequence of num_envs
    environments.

    Args:
        env_distribution: Function from a random generator to an environment, as in `SampledEnv`.
            Every call must return a new environment.
        num_envs: Number of environments, at least 1.
        max_episode_steps: Steps after which an episode is truncated, at least 1. None: only the
            drawn environments' own time limits apply.

    Raises:
        TypeError: `env_distribution` is not callable or does not return an environment.
        ValueError: A number is below 1.

    Example:
        >>> from vamdp.domains import CartPoles
        >>> envs = SampledVectorEnv(CartPoles(), num_envs=3, max_episode_steps=100)
        >>> envs.reset(seed=1)[0].shape
        (3, 4)
        >>> len({env.gravity for env in envs.tasks})
        3
    """

    def __init__(
        self,
        env_distribution: EnvDistribution,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
    ) -> None:
        check_sizes(num_envs, max_episode_steps)
        self.env_distribution = env_distribution
        self.max_episode_steps = max_episode_steps
        super().__init__(
            [partial(_limited, env_distribution, i, max_episode_steps) for i in range(num_envs)],
            autoreset_mode=AutoresetMode.SAME_STEP,
        )
        self._rows = [cast("_Row", env.unwrapped) for env in self.envs]

    @property
    def tasks(self) -> list[Env]:
        """The current environments.

        Raises:
            ResetNeeded: Some environment has no task yet.
        """
        return [row.task for row in self._rows]

    @property
    def task_seeds(self) -> list[int | None]:
        """The `SampledEnv.task_seed` of each environment."""
        return [row.task_seed for row in self._rows]

    def get_task(self) -> list[Env]:
        """Return the current environments."""
        return self.tasks

    def sample_tasks(self, n: int) -> list[Env]:
        """Draw n environments, number j from the tasks stream of environment j mod num_envs."""
        return [self._rows[j % self.num_envs].sample_tasks(1)[0] for j in range(n)]

    def set_task(self, task: Sequence[Env]) -> None:
        """Set all environments and new seeds for them; call `reset` before the next step.

        Wrappers around this environment are not told: where there is a `ValueAugment` or a
        `MetaEpisode`, call the `set_task` of the outermost one.

        Raises:
            TypeError: An entry is not an environment.
            ValueError: `task` does not hold num_envs different environments with equal spaces.
        """
        self._check(task)
        for row, each in zip(self._rows, task, strict=True):
            row.set_task(each)

    def reset_task(self, task: Sequence[Env] | None = None) -> None:
        """Set all environments, or draw the next ones if None; call `reset` before the next step.

        Raises:
            TypeError: An entry is not an environment.
            ValueError: `task` does not hold num_envs different environments with equal spaces.
            RuntimeError: The distribution returned the same environment twice.
        """
        if task is not None:
            self.set_task(task)
            return
        for row in self._rows:
            row.reset_task()
        self._check_drawn()

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode in every environment, or in those that options["reset_mask"] marks.

        Args:
            seed: An int s seeds environment i with s + i. A sequence has one seed per environment;
                None continues its streams.
            options: "task": num_envs environments to set. "new_task": True draws new tasks.
                "reset_mask": bool array of shape (num_envs,); environments it leaves out do not
                change. All other options go to the environments.

        Returns:
            Observations and infos, as in SyncVectorEnv.

        Raises:
            TypeError: A task is not an environment, or the mask is not a bool array.
            ValueError: A length is not num_envs, a task does not fit the spaces, two tasks are the
                same environment, or the mask is empty.
            RuntimeError: The distribution returned the same environment twice; every environment
                must then be reset.
            ResetNeeded: The mask leaves out an environment that has no running episode.
        """
        options = dict(options or {})  # a copy: SyncVectorEnv removes the mask from its options
        mask = options.pop("reset_mask", None)
        left_out = np.ones(self.num_envs, np.bool_)
        left_out[marked_rows(mask, self.num_envs)] = False
        for i in np.flatnonzero(left_out):
            if self._rows[i].waits:
                raise ResetNeeded(f"Environment {i} must be reset too: `reset_mask` leaves it out.")
        if options.get("task") is not None:  # before anything changes
            self._check(options["task"], left_out)
        seeds = seed_of_each(seed, self.num_envs)
        if mask is not None:
            options["reset_mask"] = mask
        started = super().reset(seed=seeds, options=options)
        self._check_drawn()
        return started

    def _check(self, tasks: Sequence[Env], left_out: npt.NDArray[np.bool_] | None = None) -> None:
        """Raise unless the rows can take these tasks; rows left out keep theirs."""
        check_one_each(tasks, self.num_envs)
        for row, each in zip(self._rows, tasks, strict=True):
            row.check(each)
        stay = [left_out is not None and bool(left_out[i]) for i in range(self.num_envs)]
        rows = zip(self._rows, tasks, stay, strict=True)
        kept = [row.task if stays else each for row, each, stays in rows]
        first = _first_twice(kept)
        if first is not None:
            raise ValueError(
                f"`task` must hold {self.num_envs} different environments, got number {first} "
                "twice: two rows would step the same environment."
            )

    def _check_drawn(self) -> None:
        first = _first_twice(self.tasks)
        if first is not None:
            # The tasks have already changed, so every running episode ends.
            for row in self._rows:
                row.stop()
            raise RuntimeError(
                "`env_distribution` must return a new environment at every call, got environment "
                f"{first} twice: two rows would step the same environment."
            )


class _Row(SampledEnv):
    """Environment i of a batch; it takes entry i of options["task"]."""

    _may_draw_it_again = False  # a batch needs a new environment at every call

    def __init__(self, env_distribution: EnvDistribution, i: int) -> None:
        super().__init__(env_distribution)
        self._i = i

    @property
    def waits(self) -> bool:
        """Whether no episode is running."""
        return not self._running

    def stop(self) -> None:
        """End the episode: the next call must be a reset."""
        self._running = False

    def check(self, task: Env) -> None:
        """Raise unless `task` is an environment with the same spaces."""
        self._check(task, f"task[{self._i}]")

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset as `SampledEnv` does, with entry i of options["task"]."""
        if options and options.get("task") is not None:
            options = {**options, "task": options["task"][self._i]}
        return super().reset(seed=seed, options=options)


def _limited(env_distribution: EnvDistribution, i: int, max_episode_steps: int | None) -> Env:
    row = _Row(env_distribution, i)
    return row if max_episode_steps is None else TimeLimit(row, int(max_episode_steps))


def _first_twice(envs: Sequence[Env]) -> int | None:
    """Return the index of the first environment that occurs twice; None if all are different."""
    numbers: dict[int, int] = {}
    for i, env in enumerate(envs):
        first = numbers.setdefault(id(env), i)
        if first != i:
            return first
    return None
