"""The part "task" of an observation, for the single and the batched `ShowTask`."""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from vamdp.argument_checks import check_scale
from vamdp.inner_batch import find_layout
from vamdp.inner_env import discrete_actions, find_owner
from vamdp.wrappers.solved_tasks import SolvedTasks
from vamdp.wrappers.task_access import TaskAccess

#: The key of the new part, and the key of an old observation that was not a Dict.
TASK, OBSERVATION = "task", "observation"


class TaskPart(TaskAccess):
    """Keeps the optimal values of the current tasks, and writes them as the part "task".

    Attributes:
        advantage_scale: Divisor of advantages and values.
        gain_scale: Divisor of the gain.
        task_layout: Name of a number in the part "task" -> its slice.
        layout: Name of a part -> its slice of the flat observation followed by the part "task",
            whose numbers are called "task_advantage" and so on. Exists only if the observation
            inside is flat and has a layout; the same holds for the next two.
        layout_space: The space of a single observation.
        action_parts: Names of the parts with one entry per action.
        solved_tasks: The optimal values, shared with a RegretReward inside that has the same gamma
            and time limit.
    """

    def _set_up(
        self,
        env: Any,
        space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        n_tasks: int,
        limit: int | None,
        gamma: float,
        advantage_scale: float,
        gain_scale: float,
    ) -> spaces.Dict:
        """Check the constructor's arguments; return the space of a single observation."""
        check_scale("advantage_scale", advantage_scale)
        check_scale("gain_scale", gain_scale)
        self.advantage_scale, self.gain_scale = float(advantage_scale), float(gain_scale)
        n_actions = int(discrete_actions(action_space).n)
        self.task_layout = {
            "advantage": slice(0, n_actions),
            "value": slice(n_actions, n_actions + 1),
            "gain": slice(n_actions + 1, n_actions + 2),
        }
        self._rows = np.arange(n_tasks)
        self.solved_tasks = SolvedTasks(n_tasks, gamma, limit)
        owner = find_owner(env, "solved_tasks")
        if owner is not None and owner.solved_tasks.solves_as(self.solved_tasks):
            self.solved_tasks = owner.solved_tasks
        high = np.full(n_actions + 2, np.inf, np.float32)
        high[:n_actions] = 0.0
        box = spaces.Box(np.full_like(high, -np.inf), high, dtype=np.float32)
        if not isinstance(space, spaces.Dict):
            shown = spaces.Dict({OBSERVATION: space, TASK: box})
            self._lay_out(env, space, shown)
            return shown
        if TASK in space.spaces:
            raise ValueError(
                f'`env.observation_space` must have no key "{TASK}", got {space}. Give it another '
                "name."
            )
        return spaces.Dict({**space.spaces, TASK: box})

    def _lay_out(self, env: Any, space: gymnasium.Space[Any], shown: spaces.Dict) -> None:
        """Set `layout` and what belongs to it, if the flat observation inside has a layout."""
        layout, layout_space, action_parts = find_layout(env)
        if layout is None or space != layout_space or not isinstance(space, spaces.Box):
            return
        n = space.shape[0]
        self.layout = dict(layout)
        for name, part in self.task_layout.items():
            self.layout[f"{TASK}_{name}"] = slice(n + part.start, n + part.stop)
        self.layout_space = shown
        self.action_parts = None
        if action_parts is not None:
            self.action_parts = (*action_parts, f"{TASK}_advantage")

    @property
    def gamma(self) -> float:
        """Discount factor of the optimal values."""
        return self.solved_tasks.gamma

    def _task_changed(self) -> None:
        """Do nothing: every observation checks which task it belongs to."""

    def _numbers(
        self,
        states: npt.NDArray[np.int64],
        elapsed: npt.NDArray[np.int64],
        ended: npt.NDArray[np.bool_],
    ) -> npt.NDArray[np.float32]:
        """Return the part "task" (n_tasks, A + 2) in these states of the solved tasks.

        Args:
            states: Indices of the states (n_tasks,).
            elapsed: Steps since the episodes began (n_tasks,).
            ended: True where the episode is over (n_tasks,); the state is ignored there.
        """
        solved = self.solved_tasks
        n_actions = self.task_layout["advantage"].stop
        numbers = np.zeros((len(states), n_actions + 2), np.float32)
        left = np.ones_like(elapsed)
        if solved.max_episode_steps is not None:
            left = solved.max_episode_steps - elapsed
        # A fresh start follows the end of an episode: its value is 0, and there is no choice.
        runs = ~ended & (left > 0)
        where = self._rows[runs], left[runs] - 1, states[runs]
        numbers[runs, :n_actions] = solved.advantages[where] / self.advantage_scale
        numbers[runs, n_actions] = solved.values[where] / self.advantage_scale
        numbers[:, n_actions + 1] = solved.gains[:, 0] / self.gain_scale
        return numbers


def beside(observation: Any, task: npt.NDArray[np.float32]) -> dict[str, Any]:
    """Return an observation, or a batch of them, with its part "task", as a Dict."""
    if isinstance(observation, dict):
        return {**observation, TASK: task}
    return {OBSERVATION: observation, TASK: task}
