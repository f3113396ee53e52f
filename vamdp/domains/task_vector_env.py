"""A batch of environments whose tasks are drawn from a distribution, stepped in one compiled call.

`TaskEnv` is the single environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Discrete
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from vamdp.argument_checks import NO_LIMIT, as_limit
from vamdp.domains.batch_arguments import check_one_each, check_sizes, marked_rows
from vamdp.domains.coordinates import Coordinates
from vamdp.domains.dynamics import TaskTable, start_all, step_all
from vamdp.domains.task_env import (
    TaskDistribution,
    check_render_mode,
    check_task,
    draw_key,
    draw_task,
)
from vamdp.mdp.tabular_mdp import TabularMDP
from vamdp.seeds import seed_of_each


class TaskVectorEnv(VectorEnv[npt.NDArray[Any], npt.NDArray[np.integer[Any]], npt.NDArray[Any]]):
    """Steps num_envs tasks at once; environment i equals `TaskEnv` with its seed, bit for bit.

    With seed s, environment i has the seed s + i. An episode that ends restarts in the same step
    (`AutoresetMode.SAME_STEP`): the observation is then the next episode's first, and infos hold

    - "final_obs": the last observations, an array like the observations, valid where the mask
      "_final_obs" is True (SyncVectorEnv has an array of objects, which is indexed alike);
    - "final_info": {} with its mask "_final_info".

    Each environment changes tasks as `TaskEnv` does; options["task"] is a sequence of num_envs
    tasks. All returned arrays are new.

    Args:
        task_distribution: Function from a random generator to a task, as in `TaskEnv`.
        num_envs: Number of environments, at least 1.
        feature_scale: None: observations are state indices. A number: coordinates, as in `TaskEnv`.
        max_episode_steps: Steps after which an episode is truncated, at least 1. None: never.
        render_mode: Must be None; a batch cannot be rendered.

    Raises:
        TypeError: `task_distribution` is not callable or does not return a TabularMDP, or
            `render_mode` is not None.
        ValueError: A number is below 1, or the tasks' features cannot be used as observations.

    Example:
        >>> from vamdp.domains import Bandits
        >>> envs = TaskVectorEnv(Bandits(), num_envs=3)
        >>> envs.reset(seed=1)
        (array([0, 0, 0]), {})
        >>> envs.step(np.array([0, 1, 2]))[2]
        array([ True,  True,  True])
    """

    metadata: dict[str, Any] = {  # noqa: RUF012  gymnasium declares it so
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        task_distribution: TaskDistribution,
        num_envs: int = 1,
        *,
        feature_scale: float | None = None,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        check_render_mode(render_mode)
        check_sizes(num_envs, max_episode_steps)
        self.task_distribution = task_distribution
        self.num_envs = num_envs
        self.max_episode_steps = max_episode_steps
        self.render_mode = render_mode
        probe = draw_task(task_distribution, np.random.default_rng(0))
        self.single_observation_space: gymnasium.Space[Any] = Discrete(probe.n_states)
        self._coordinates: Coordinates | None = None
        if feature_scale is not None:
            self._coordinates = Coordinates(probe, feature_scale)
            self.single_observation_space = self._coordinates.space
            self.state_key = self._coordinates.key
            self.state_keys = self._coordinates.keys
        self.single_action_space: gymnasium.Space[Any] = Discrete(probe.n_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._n_states, self._n_actions = probe.n_states, probe.n_actions
        self._limit = NO_LIMIT if max_episode_steps is None else as_limit(max_episode_steps)
        self._table = TaskTable.empty(num_envs, probe.n_states * probe.n_actions + 1)
        self._tasks: list[TabularMDP | None] = [None] * num_envs
        self._task_seeds: list[int | None] = [None] * num_envs
        self._generators: list[np.random.Generator | None] = [None] * num_envs
        self._seeds: list[int | None] = [None] * num_envs
        self._states = np.full(num_envs, -1, np.int64)  # -1: no episode is running
        self._elapsed = np.zeros(num_envs, np.int64)
        self._reached = self._states

    @property
    def tasks(self) -> list[TabularMDP]:
        """The current tasks, one per environment.

        Raises:
            ResetNeeded: Some environment has no task yet.
        """
        tasks = [task for task in self._tasks if task is not None]
        if len(tasks) < self.num_envs:
            raise ResetNeeded("There are no tasks yet: call reset() or set_task() first.")
        return tasks

    @property
    def task_seeds(self) -> list[int | None]:
        """The `TaskEnv.task_seed` of each environment."""
        return list(self._task_seeds)

    @property
    def states(self) -> npt.NDArray[np.int64]:
        """Indices of the current states, shape (num_envs,); -1 where no episode is running."""
        return self._states.copy()

    @property
    def elapsed_steps(self) -> npt.NDArray[np.int64]:
        """Number of steps since each episode began, shape (num_envs,)."""
        return self._elapsed.copy()

    @property
    def reached_states(self) -> npt.NDArray[np.int64]:
        """Indices of the states reached by the last step, before restarts, shape (num_envs,)."""
        return self._reached.copy()

    @property  # type: ignore[misc]  # as in SyncVectorEnv: a tuple, and without a setter
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The tasks streams, one per environment as in SyncVectorEnv."""
        return tuple(self._tasks_stream(i) for i in range(self.num_envs))

    @property
    def np_random_seed(self) -> tuple[int | None, ...]:  # type: ignore[override]
        """The seeds of the tasks streams."""
        for i in range(self.num_envs):
            self._tasks_stream(i)
        return tuple(self._seeds)

    def get_task(self) -> list[TabularMDP]:
        """Return the current tasks."""
        return self.tasks

    def sample_tasks(self, n: int) -> list[TabularMDP]:
        """Draw n tasks; task j comes from the tasks stream of environment j mod num_envs."""
        return [
            draw_task(self.task_distribution, self._tasks_stream(j % self.num_envs))
            for j in range(n)
        ]

    def set_task(self, task: Sequence[TabularMDP]) -> None:
        """Set all tasks and new keys of their dynamics; call `reset` before the next step.

        Wrappers around this environment are not told: where there is a `ValueAugment` or a
        `MetaEpisode`, call the `set_task` of the outermost one.

        Raises:
            TypeError: An entry is not a TabularMDP.
            ValueError: `task` does not hold num_envs tasks, or one does not match the spaces.
        """
        self._check_tasks(task)
        for i, each in enumerate(task):
            self._install(i, each)

    def reset_task(self, task: Sequence[TabularMDP] | None = None) -> None:
        """Set all tasks, or draw the next ones if None; call `reset` before the next step.

        Raises:
            TypeError: An entry is not a TabularMDP.
            ValueError: `task` does not hold num_envs tasks, or one does not match the spaces.
        """
        if task is not None:
            self.set_task(task)
            return
        for i in range(self.num_envs):
            self._draw(i)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[npt.NDArray[np.int64], dict[str, Any]]:
        """Start an episode in every environment, or in those that options["reset_mask"] marks.

        Args:
            seed: An int s seeds environment i with s + i. A sequence has one seed per environment;
                None continues its streams.
            options: "task": num_envs tasks to set. "new_task": True draws new tasks. "reset_mask":
                bool array of shape (num_envs,); environments it leaves out do not change. All other
                options are ignored.

        Returns:
            Observations, shape (num_envs,) or (num_envs, d), and an empty info.

        Raises:
            TypeError: A task is not a TabularMDP, or the mask is not a bool array.
            ValueError: A length is not num_envs, a task does not fit the spaces, or the mask is
                empty.
            ResetNeeded: The mask leaves out an environment that has no running episode.
        """
        options = options or {}
        chosen = marked_rows(options.get("reset_mask"), self.num_envs)
        waiting = self._states < 0
        waiting[chosen] = False
        if waiting.any():
            raise ResetNeeded(
                f"Environment {np.argmax(waiting)} must be reset too: `reset_mask` leaves it out."
            )
        tasks = options.get("task")
        if tasks is not None:
            self._check_tasks(tasks)
        seeds = seed_of_each(seed, self.num_envs)
        new_task = bool(options.get("new_task"))
        for i in chosen:
            each = seeds[i]
            if each is not None:
                self._generators[i], self._seeds[i] = seeding.np_random(int(each))
            if tasks is not None:
                self._install(i, tasks[i])
            elif each is not None or new_task or self._tasks[i] is None:
                self._draw(i)
        table = self._table
        start_all(
            table.rows,
            table.probability,
            table.successor,
            table.keys,
            self._n_states * self._n_actions,
            chosen,
            self._states,
            self._elapsed,
        )
        return self._shown(self._states), {}

    def step(
        self, actions: npt.NDArray[np.integer[Any]]
    ) -> tuple[
        npt.NDArray[np.int64],
        npt.NDArray[np.float64],
        npt.NDArray[np.bool_],
        npt.NDArray[np.bool_],
        dict[str, Any],
    ]:
        """Take one step in every environment, and restart the episodes that end.

        Args:
            actions: Integers of shape (num_envs,).

        Returns:
            Observations, shape (num_envs,) or (num_envs, d); rewards, terminated, truncated, each
            of shape (num_envs,); and infos as described in the class.

        Raises:
            TypeError: The actions are not integers.
            ValueError: They have another shape, or one is not in the action space.
            ResetNeeded: Some environment has no running episode.
        """
        actions = given = np.asarray(actions)
        if actions.dtype != np.int64:
            if actions.dtype.kind not in "iu":
                raise TypeError(f"`actions` must be integers, got {actions.dtype}.")
            actions = actions.astype(np.int64)
        n = self.num_envs
        if actions.shape != (n,):
            raise ValueError(f"`actions` must have shape {(n,)}, got {actions.shape}.")
        rewards = np.empty(n)
        states, final = np.empty((2, n), np.int64)
        terminated, truncated, ended = np.empty((3, n), np.bool_)
        n_ended = step_all(
            *self._table,
            self._n_states,
            self._n_actions,
            self._limit,
            actions,
            self._states,
            self._elapsed,
            states,
            rewards,
            terminated,
            truncated,
            ended,
            final,
        )
        if n_ended < 0:
            self._explain(given)
        self._reached = np.where(ended, final, states) if n_ended else states
        infos: dict[str, Any] = {}
        if n_ended:
            infos["final_obs"], infos["_final_obs"] = self._shown(final), ended
            infos["final_info"], infos["_final_info"] = {}, ended.copy()
        return self._shown(states), rewards, terminated, truncated, infos

    def _shown(self, states: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return the observations of states (num_envs,) in a new array."""
        return (
            states.copy() if self._coordinates is None else self._coordinates.observations[states]
        )

    def _explain(self, actions: npt.NDArray[np.integer[Any]]) -> None:
        """Raise the error that the compiled step found."""
        bad = np.flatnonzero((actions < 0) | (actions >= self._n_actions))
        if bad.size:
            i = bad[0]
            raise ValueError(
                f"`actions[{i}]` must be in [0, {self._n_actions - 1}], got {actions[i]}."
            )
        raise ResetNeeded(
            f"Environment {np.argmin(self._states)} has no running episode: call reset() first."
        )

    def _check_tasks(self, tasks: Sequence[TabularMDP]) -> None:
        check_one_each(tasks, self.num_envs)
        for i, each in enumerate(tasks):
            self._check_task(i, each)

    def _check_task(self, i: int, task: TabularMDP) -> None:
        check_task(f"task[{i}]", task, self._n_states, self._n_actions)
        if self._coordinates is not None:
            self._coordinates.check(f"task[{i}]", task)

    def _tasks_stream(self, i: int) -> np.random.Generator:
        generator = self._generators[i]
        if generator is None:
            generator, self._seeds[i] = seeding.np_random()
            self._generators[i] = generator
        return generator

    def _draw(self, i: int) -> None:
        task = draw_task(self.task_distribution, self._tasks_stream(i))
        self._check_task(i, task)
        self._install(i, task)

    def _install(self, i: int, task: TabularMDP) -> None:
        key = draw_key(self._tasks_stream(i))
        self._table = self._table.with_task(i, task, key)
        self._tasks[i], self._task_seeds[i] = task, key
        self._states[i] = -1
