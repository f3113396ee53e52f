"""A distribution of any Gymnasium environments as a batch of environments."""

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

from vamdp.domains.batch_arguments import (
    check_one_each,
    check_sizes,
    marked_rows,
    seed_of_each,
)
from vamdp.domains.sampled_env import EnvDistribution, SampledEnv
from vamdp.vector_bases import AnySyncVectorEnv

Env = gymnasium.Env[Any, Any]


class SampledVectorEnv(AnySyncVectorEnv):
    """Steps num_envs drawn environments in turn; number i equals `SampledEnv` with its seed.

    The counterpart of `TaskVectorEnv` whose tasks are environments. Environment i with seed s has
    the seed s + i. An episode that ends is restarted in the same step (`AutoresetMode.SAME_STEP`),
    and infos hold "final_obs" and "final_info" as SyncVectorEnv's.

    Which tasks: as in `SampledEnv`, for each environment by itself; options["task"] is a sequence
    of num_envs environments.

    Args:
        env_distribution: Draws an environment from a generator, as in `SampledEnv`; a new one at
            every call.
        num_envs: How many.
        max_episode_steps: Steps after which an episode is truncated. None: only where the drawn
            environments do so themselves.

    Raises:
        TypeError: The distribution is not callable or returns no environment.
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
        """The present environments.

        Raises:
            ResetNeeded: Some were not drawn or set yet.
        """
        return [row.task for row in self._rows]

    @property
    def task_seeds(self) -> list[int | None]:
        """Of each task, see `SampledEnv.task_seed`."""
        return [row.task_seed for row in self._rows]

    def get_task(self) -> list[Env]:
        """Return the present environments."""
        return self.tasks

    def sample_tasks(self, n: int) -> list[Env]:
        """Draw n environments, number j from the tasks stream of environment j mod num_envs."""
        return [self._rows[j % self.num_envs].sample_tasks(1)[0] for j in range(n)]

    def set_task(self, task: Sequence[Env]) -> None:
        """Set all environments and new seeds for them; call `reset` before the next step.

        Raises:
            TypeError: An entry is not an environment.
            ValueError: There are not num_envs different ones, or the spaces of one are others.
        """
        self._check(task)
        for row, each in zip(self._rows, task, strict=True):
            row.set_task(each)

    def reset_task(self, task: Sequence[Env] | None = None) -> None:
        """Set all environments, or draw the next ones if None; call `reset` before the next step.

        Raises:
            TypeError: An entry is not an environment.
            ValueError: There are not num_envs different ones, or the spaces of one are others.
            RuntimeError: The distribution returned one environment twice.
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
            seed: s seeds environment i with s + i; a sequence gives each (None: goes on).
            options: "task": num_envs environments; "new_task": True draws; "reset_mask": bool array
                of shape (num_envs,), the others stay as they are. The rest goes to the
                environments.

        Returns:
            Observations and infos, as SyncVectorEnv's.

        Raises:
            TypeError: A task is not an environment, or the mask is not a bool array.
            ValueError: A length is not num_envs, a task does not fit the spaces, or the mask is
                empty.
            RuntimeError: The distribution returned one environment twice; no episode runs then.
            ResetNeeded: The mask leaves out an environment that has no running episode.
        """
        options = dict(options or {})  # SyncVectorEnv takes the mask out
        mask = options.pop("reset_mask", None)
        left_out = np.ones(self.num_envs, np.bool_)
        left_out[marked_rows(mask, self.num_envs)] = False
        for i in np.flatnonzero(left_out):
            if self._rows[i].waits:
                raise ResetNeeded(f"Environment {i} must be reset too: `reset_mask` leaves it out.")
        if options.get("task") is not None:  # before anything changes
            self._check(options["task"], left_out)
        seeds = list(seed_of_each(seed, self.num_envs))
        if mask is not None:
            options["reset_mask"] = mask
        started = super().reset(seed=seeds, options=options)
        self._check_drawn()
        return started

    def _check(self, tasks: Sequence[Env], left_out: npt.NDArray[np.bool_] | None = None) -> None:
        """Raise unless the rows can take these tasks; those left out keep theirs."""
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
                "again: both rows would step it."
            )

    def _check_drawn(self) -> None:
        first = _first_twice(self.tasks)
        if first is not None:
            # The tasks have changed: nobody may go on with what was known of the old ones.
            for row in self._rows:
                row.stop()
            raise RuntimeError(
                "`env_distribution` must make a new environment at every call, got the one in "
                f"number {first} again: both rows would step it."
            )


class _Row(SampledEnv):
    """Environment i of a batch: takes its own of the tasks that are given to all."""

    def __init__(self, env_distribution: EnvDistribution, i: int) -> None:
        super().__init__(env_distribution)
        self._i = i

    @property
    def waits(self) -> bool:
        """Whether it has no running episode."""
        return not self._running

    def stop(self) -> None:
        """End the episode: the next call must be a reset."""
        self._running = False

    def check(self, task: Env) -> None:
        """Raise unless it is an environment like the others."""
        self._check(task, f"task[{self._i}]")

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset as `SampledEnv`."""
        if options and options.get("task") is not None:
            options = {**options, "task": options["task"][self._i]}
        return super().reset(seed=seed, options=options)


def _limited(env_distribution: EnvDistribution, i: int, max_episode_steps: int | None) -> Env:
    row = _Row(env_distribution, i)
    return row if max_episode_steps is None else TimeLimit(row, int(max_episode_steps))


def _first_twice(envs: Sequence[Env]) -> int | None:
    """Return the number of the first that comes again; None if all are different."""
    numbers: dict[int, int] = {}
    for i, env in enumerate(envs):
        first = numbers.setdefault(id(env), i)
        if first != i:
            return first
    return None
