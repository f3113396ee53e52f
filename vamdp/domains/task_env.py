"""A distribution of tasks as one Gymnasium environment."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Discrete

from vamdp.domains.coordinates import Coordinates
from vamdp.domains.dynamics import TaskTable, _start, _transition
from vamdp.domains.grids.places import Places, places_of
from vamdp.domains.grids.view import RENDER_FPS, RENDER_MODES, GridView, check_mode
from vamdp.mdp.tabular_mdp import TabularMDP

TaskDistribution = Callable[[np.random.Generator], TabularMDP]


class TaskEnv(gymnasium.Env[Any, Any]):
    """Steps a task drawn from a distribution, until told to draw the next.

    Observations and actions are the indices of the task's states and actions; with `feature_scale`,
    observations are the states' coordinates. An episode ends with `terminated` where the task says
    so; a time limit is `gymnasium.wrappers.TimeLimit`'s, which
    `gymnasium.make` adds.

    Which task. `reset(seed=s)` starts both streams of random numbers anew (see
    `vamdp.domains.dynamics`) and draws a task; `reset()` goes on with the present one, or draws the
    first; `reset(options={"new_task": True})` draws the next and `reset(options={"task": mdp})`
    sets one, which wins over everything else. `reset_task` and `set_task` do the same between
    episodes: they end the running one, so that a `reset()` must follow. Tasks depend on the seed
    and on how many were drawn and set before, never on the actions.

    Args:
        task_distribution: Draws a task from a generator. All its tasks must have the same numbers
            of states and actions. It is called once on construction, with a generator of its own,
            to learn them.
        feature_scale: None shows indices. A number shows `task.features` divided by it, float32 of
            shape (d,); they must be whole numbers and the same in all tasks. The environment then
            has a `state_key`, which `vamdp.ValueAugment` finds.
        render_mode: None, or for tasks on a grid "ansi", "rgb_array" or "human"; see
            `vamdp.domains.grids.view`. Such are tasks with a `grid`, and those whose `features` are
            two whole numbers, row and column, see `vamdp.domains.grids.places`. Inside a
            `vamdp.ValueAugment`, whose `render` is called, the picture has its values too.

    Attributes:
        grid_view: How the grid is shown; its `show_counts` may be set.

    Raises:
        TypeError: The distribution is not callable or returns no TabularMDP, or there is a render
            mode for tasks that are on no grid.
        ValueError: The tasks' features cannot be shown, or there is no such render mode.

    Example:
        >>> from vamdp.domains import Bandits
        >>> env = TaskEnv(Bandits(n_arms=3))
        >>> env.reset(seed=1)
        (0, {})
        >>> env.step(2)[2:]
        (True, False, {})
    """

    # An object of its own: whoever renders adds to it without touching gymnasium.Env's.
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
        self._places: Places | None = None  # of the task, once it was rendered
        self._task_seed: int | None = None
        self._state = -1  # no episode is running
        self._elapsed = 0
        self._seen: int | None = None  # the last state shown, which remains when an episode ends

    @property
    def task(self) -> TabularMDP:
        """The present task.

        Raises:
            ResetNeeded: None was drawn or set yet.
        """
        if self._task is None:
            raise ResetNeeded("There is no task yet: call reset() or set_task() first.")
        return self._task

    @property
    def task_seed(self) -> int | None:
        """A number of 64 bits that the tasks stream gave with the task; None: there is no task yet.

        Whoever needs random numbers of its own in this task starts them from it. They then depend
        on the seed and on which task it is, and on nothing that happened before.
        """
        return self._task_seed

    @property
    def state(self) -> int:
        """Index of the present state; -1 where no episode is running."""
        return self._state

    @property
    def elapsed_steps(self) -> int:
        """Steps since the episode began."""
        return self._elapsed

    def get_task(self) -> TabularMDP:
        """Return the present task."""
        return self.task

    def sample_tasks(self, n: int) -> list[TabularMDP]:
        """Draw n tasks from the tasks stream; the present task stays."""
        return [draw_task(self.task_distribution, self.np_random) for _ in range(n)]

    def set_task(self, task: TabularMDP) -> None:
        """Set the task and key its dynamics anew; call `reset` before the next step.

        Raises:
            TypeError: `task` is not a TabularMDP.
            ValueError: It has other numbers of states or actions than the spaces.
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
            ValueError: It has other numbers of states or actions than the spaces.
        """
        self.set_task(draw_task(self.task_distribution, self.np_random) if task is None else task)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode, in a new task if the seed or the options ask for one.

        Args:
            seed: Starts the streams anew and draws a task.
            options: "task": the task to set; "new_task": True draws one. Others are not looked at.

        Returns:
            The start state's observation and an empty info.

        Raises:
            TypeError: The given task is not a TabularMDP.
            ValueError: It has other numbers of states or actions than the spaces.
        """
        options = options or {}
        task = options.get("task")
        if task is not None:
            self._check(task)  # before anything changes
        super().reset(seed=seed)
        if task is not None or seed is not None or options.get("new_task") or self._task is None:
            self.reset_task(task)
        table = self._table
        self._state = _start(
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
        state, reward, terminated = _transition(
            *self._table, 0, self._state * self._n_actions + action
        )
        self._state = -1 if terminated else state
        self._elapsed += 1
        self._seen = state
        if self.grid_view.follows:
            self.render()
        return self._shown(state), reward, terminated, False, {}

    def render(self) -> Any:
        """Show the grid and the agent, where the episode ended if it did.

        Returns:
            A string in mode "ansi", an array (height, width, 3) in "rgb_array", None in "human".

        Raises:
            ResetNeeded: No task was drawn or set yet.
            ValueError: The present task is on no grid.
            DependencyNotInstalled: Pillow or pygame is missing.
        """
        task = self.task
        if self.render_mode is None:
            return self.grid_view.render((), None, 1.0, self._shown)  # which warns
        self._places = self._places or places_of(task)
        if self._places is None:
            raise ValueError(
                "`task` must have a grid to be rendered, or two whole numbers as `features` of "
                f"each state, got {task} with neither."
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
        """What is seen of a state."""
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
    # The bit generator's next 64 bits: `integers` would deliver the same in ten times the time.
    return rng.bit_generator.random_raw()


def check_task(name: str, task: object, n_states: int, n_actions: int) -> None:
    """Raise unless `task` fits spaces of these sizes."""
    if not isinstance(task, TabularMDP):
        raise TypeError(f"`{name}` must be a TabularMDP, got {type(task).__name__}.")
    if (task.n_states, task.n_actions) != (n_states, n_actions):
        raise ValueError(
            f"`{name}` must have {n_states} states and {n_actions} actions as the environment's "
            f"spaces, got {task.n_states} and {task.n_actions}. Let all tasks have as many: states "
            "that a task does not need may stay out of reach."
        )


def check_render_mode(render_mode: str | None) -> None:
    """Raise TypeError unless it is None, where there is no picture.

    As for an argument that does not exist: SB3's make_vec_env asks for "rgb_array" first, and goes
    without it only after a TypeError.
    """
    if render_mode is not None:
        raise TypeError(
            f"`render_mode` must be None for batches and for tasks that are on no grid, got "
            f"{render_mode!r}. Tasks whose `features` are row and column have pictures."
        )
