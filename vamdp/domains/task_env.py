"""One Gymnasium environment that plays tasks drawn from a distribution of tabular MDPs."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Discrete

from vamdp.domains.coordinates import Coordinates
from vamdp.domains.dynamics import TaskTable, start_state, transition
from vamdp.domains.grids.places import Places, places_of
from vamdp.domains.grids.view import RENDER_FPS, RENDER_MODES, GridView, check_mode
from vamdp.mdp.tabular_mdp import TabularMDP

TaskDistribution = Callable[[np.random.Generator], TabularMDP]


class TaskEnv(gymnasium.Env[Any, Any]):
    """Plays a task drawn from a distribution until a new task is requested.

    Observations and actions are the indices of the task's states and actions. With `feature_scale`,
    observations are the states' coordinates. An episode ends with `terminated` when the task's
    outcome ends it. There is no time limit; `gymnasium.make` adds one as a
    `gymnasium.wrappers.TimeLimit`.

    The task changes only on request:

    - `reset(seed=s)` restarts both random streams (see `vamdp.domains.dynamics`) and draws a task.
    - `reset()` keeps the current task, or draws the first one.
    - `reset(options={"new_task": True})` draws the next task.
    - `reset(options={"task": mdp})` sets a task; it takes precedence over the other two.
    - `reset_task` and `set_task` do the same between episodes. They end the running episode, so
      that a `reset()` must follow.

    Tasks depend on the seed and on how many were drawn and set before, never on the actions.

    Args:
        task_distribution: Function from a random generator to a task. All tasks must have the same
            numbers of states and actions. The constructor calls it once, with a separate generator,
            to read them.
        feature_scale: None: observations are state indices. A number: observations are
            `task.features` divided by it, float32 of shape (d,). The features must be integers and
            the same in all tasks. The environment then has a `state_key` for `vamdp.ValueAugment`.
        render_mode: None, or "ansi", "rgb_array" or "human" for tasks on a grid; see
            `vamdp.domains.grids.view`. A task is on a grid if it has a `grid`, or if its `features`
            are two integers, row and column; see `vamdp.domains.grids.places`. Rendering through a
            `vamdp.ValueAugment` adds its values to the picture.

    Attributes:
        grid_view: The renderer of the grid; its `show_counts` may be set.

    Raises:
        TypeError: `task_distribution` is not callable or does not return a TabularMDP, or
            `render_mode` is given for tasks that are not on a grid.
        ValueError: The tasks' features cannot be used as observations, or `render_mode` is unknown.

    Example:
        >>> from vamdp.domains import Bandits
        >>> env = TaskEnv(Bandits(n_arms=3))
        >>> env.reset(seed=1)
        (0, {})
        >>> env.step(2)[2:]
        (True, False, {})
    """

    # A separate dict, so that adding render modes does not change gymnasium.Env's.
    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  gymnasium declares it so

    def __init__(
        self,
        task_distribution: TaskDistribution,
        *,
        feature_scale: float | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.task_distribution = task_distribution
        probe = draw_task(task_distribution, np.random.default_rng(0))
        if places_of(probe) is None:
            check_render_mode(render_mode)
        else:
            check_mode(render_mode)
            self.metadata = {"render_modes": list(RENDER_MODES), "render_fps": RENDER_FPS}
        self.render_mode = render_mode
        self.grid_view = GridView(render_mode)
        self.observation_space: gymnasium.Space[Any] = Discrete(probe.n_states)
        self._coordinates: Coordinates | None = None
        if feature_scale is not None:
            self._coordinates = Coordinates(probe, feature_scale)
            self.observation_space = self._coordinates.space
            self.state_key = self._coordinates.key
        self.action_space = Discrete(probe.n_actions)
        self._n_states, self._n_actions = probe.n_states, probe.n_actions
        self._table = TaskTable.empty(1, probe.n_states * probe.n_actions + 1)
        self._task: TabularMDP | None = None
        self._places: Places | None = None  # the task's, computed when it is first rendered
        self._task_seed: int | None = None
        self._state = -1  # no episode is running
        self._elapsed = 0
        self._seen: int | None = None  # the last state observed, kept when an episode ends

    @property
    def task(self) -> TabularMDP:
        """The current task.

        Raises:
            ResetNeeded: No task has been drawn or set yet.
        """
        if self._task is None:
            raise ResetNeeded("There is no task yet: call reset() or set_task() first.")
        return self._task

    @property
    def task_seed(self) -> int | None:
        """A 64-bit number drawn from the tasks stream with the task; None if there is no task yet.

        Use it to seed further random numbers in this task. They then depend only on the seed and on
        the number of the task, not on what happened before.
        """
        return self._task_seed

    @property
    def state(self) -> int:
        """Index of the current state; -1 if no episode is running."""
        return self._state

    @property
    def elapsed_steps(self) -> int:
        """Number of steps since the episode began."""
        return self._elapsed

    def get_task(self) -> TabularMDP:
        """Return the current task."""
        return self.task

    def sample_tasks(self, n: int) -> list[TabularMDP]:
        """Draw n tasks from the tasks stream; the current task does not change."""
        return [draw_task(self.task_distribution, self.np_random) for _ in range(n)]

    def set_task(self, task: TabularMDP) -> None:
        """Set the task and a new key of its dynamics; call `reset` before the next step.

        Wrappers around this environment are not told: where there is a `ValueAugment` or a
        `MetaEpisode`, call the `set_task` of the outermost one.

        Raises:
            TypeError: `task` is not a TabularMDP.
            ValueError: Its numbers of states and actions do not match the spaces.
        """
        self._check(task)
        self._task_seed = draw_key(self.np_random)
        self._table = self._table.with_task(0, task, self._task_seed)
        self._task = task
        self._places = None
        self._state = -1
        self._seen = None

    def reset_task(self, task: TabularMDP | None = None) -> None:
        """Set the task, or draw the next one if None; call `reset` before the next step.

        Raises:
            TypeError: `task` is not a TabularMDP.
            ValueError: Its numbers of states and actions do not match the spaces.
        """
        self.set_task(draw_task(self.task_distribution, self.np_random) if task is None else task)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode, in a new task if the seed or the options ask for one.

        Args:
            seed: Restarts the random streams and draws a task.
            options: "task": the task to set. "new_task": True draws one. All others are ignored.

        Returns:
            The start state's observation and an empty info.

        Raises:
            TypeError: `options["task"]` is not a TabularMDP.
            ValueError: Its numbers of states and actions do not match the spaces.
        """
        options = options or {}
        task = options.get("task")
        if task is not None:
            self._check(task)  # before anything changes
        super().reset(seed=seed)
        if task is not None or seed is not None or options.get("new_task") or self._task is None:
            self.reset_task(task)
        table = self._table
        self._state = start_state(
            table.rows,
            table.probability,
            table.successor,
            0,
            self._n_states * self._n_actions,
            table.keys,
        )
        self._elapsed = 0
        self._seen = self._state
        if self.grid_view.follows:
            self.render()
        return self._shown(self._state), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step.

        Returns:
            Observation, reward, terminated, False, and an empty info.

        Raises:
            ValueError: `action` is not in the action space.
            ResetNeeded: No episode is running: it terminated, or the task was changed.
        """
        action = operator.index(action)
        if not 0 <= action < self._n_actions:
            raise ValueError(f"`action` must be in [0, {self._n_actions - 1}], got {action}.")
        if self._state < 0:
            raise ResetNeeded("No episode is running: call reset() before step().")
        state, reward, terminated = transition(
            *self._table, 0, self._state * self._n_actions + action
        )
        self._state = -1 if terminated else state
        self._elapsed += 1
        self._seen = state
        if self.grid_view.follows:
            self.render()
        return self._shown(state), reward, terminated, False, {}

    def render(self) -> Any:
        """Render the grid and the agent in the last state observed.

        Returns:
            A string in mode "ansi", an array (height, width, 3) in "rgb_array", None in "human".

        Raises:
            ResetNeeded: No task has been drawn or set yet.
            ValueError: The current task is not on a grid.
            DependencyNotInstalled: Pillow or pygame is missing.
        """
        task = self.task
        if self.render_mode is None:
            return self.grid_view.render((), None, 1.0, self._shown)  # this only warns
        self._places = self._places or places_of(task)
        if self._places is None:
            raise ValueError(
                "`task` must have a grid to be rendered, or two integers as `features` of each "
                f"state, got {task} with neither."
            )
        grid, cells, states = self._places
        return self.grid_view.render(
            grid,
            None if self._seen is None else int(cells[self._seen]),
            float(np.abs(task.reward).max()) or 1.0,
            lambda cell: self._shown(int(states[cell])),
        )

    def close(self) -> None:
        """Close the window of mode "human"."""
        self.grid_view.close()

    def _check(self, task: TabularMDP) -> None:
        check_task("task", task, self._n_states, self._n_actions)
        if self._coordinates is not None:
            self._coordinates.check("task", task)

    def _shown(self, state: int) -> Any:
        """Return the observation of a state."""
        return state if self._coordinates is None else self._coordinates.observations[state].copy()


def draw_task(distribution: TaskDistribution, rng: np.random.Generator) -> TabularMDP:
    """Draw a task; raise TypeError if it is not a TabularMDP."""
    if not callable(distribution):
        raise TypeError(
            "`task_distribution` must be a function from a random generator to a TabularMDP, got "
            f"{distribution!r}. For a single task pass lambda rng: task."
        )
    task = distribution(rng)
    if not isinstance(task, TabularMDP):
        raise TypeError(
            f"`task_distribution` must return a TabularMDP, got {type(task).__name__}. For tasks "
            f"that are gymnasium environments use vamdp.SampledEnv or SampledVectorEnv."
        )
    return task


def draw_key(rng: np.random.Generator) -> int:
    """Draw a 64-bit key for a dynamics stream."""
    # The bit generator's next 64 bits: `integers` returns the same and takes ten times as long.
    return rng.bit_generator.random_raw()


def check_task(name: str, task: object, n_states: int, n_actions: int) -> None:
    """Raise unless `task` is a TabularMDP of these sizes; `name` is for the message."""
    if not isinstance(task, TabularMDP):
        raise TypeError(f"`{name}` must be a TabularMDP, got {type(task).__name__}.")
    if (task.n_states, task.n_actions) != (n_states, n_actions):
        raise ValueError(
            f"`{name}` must have {n_states} states and {n_actions} actions like the environment's "
            f"spaces, got {task.n_states} and {task.n_actions}. Give all tasks the same numbers: a "
            "task may have states that cannot be reached."
        )


def check_render_mode(render_mode: str | None) -> None:
    """Raise TypeError if a render mode is requested and there is no picture.

    It is a TypeError, as for an argument that does not exist, because SB3's make_vec_env first
    passes "rgb_array" and retries without it only after a TypeError.
    """
    if render_mode is not None:
        raise TypeError(
            f"`render_mode` must be None for batches and for tasks that are not on a grid, got "
            f"{render_mode!r}. Give the tasks `features`, row and column, to render them."
        )
