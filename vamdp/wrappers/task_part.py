"""What the single and the batched `ShowTask` have in common: the part "task"."""

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

#: The key of what is added to an observation, and of an observation that is no Dict.
TASK, OBSERVATION = "task", "observation"


class TaskPart(TaskAccess):
    """Knows the present tasks' optima and writes them as the part "task".

    Attributes:
        advantage_scale: what advantages and values are divided by.
        gain_scale: what the gain is divided by.
        task_layout: name of a number in the part "task" -> its slice.
        layout: name of a part -> its slice in the flat observation followed by the part "task",
            whose numbers are called "task_advantage" and so on. Only where the observation inside
            is flat and has a layout.
        layout_space: the space of a single observation; where there is a layout.
        action_parts: names of the parts with one entry per action; where there is a layout.
        solved_tasks: the optima; those of a RegretReward inside that solves the tasks alike.
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
        """Check the arguments of the constructor; return the space of a single observation."""
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
        """Say where the parts lie, if that is known of the flat observation inside."""
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
        """Discount factor of the optima."""
        return self.solved_tasks.gamma

    def _task_changed(self) -> None:
        """Every observation looks which task it is of."""

    def _numbers(
        self,
        states: npt.NDArray[np.int64],
        elapsed: npt.NDArray[np.int64],
        ended: npt.NDArray[np.bool_],
    ) -> npt.NDArray[np.float32]:
        """The part "task" (n_tasks, A + 2) in these states of the solved tasks.

        Args:
            states: indices (n_tasks,).
            elapsed: steps since the episodes began (n_tasks,).
            ended: where the episode is over (n_tasks,); its state is not looked at.
        """
        solved = self.solved_tasks
        n_actions = self.task_layout["advantage"].stop
        numbers = np.zeros((len(states), n_actions + 2), np.float32)
        left = np.ones_like(elapsed)
        if solved.max_episode_steps is not None:
            left = solved.max_episode_steps - elapsed
        # What follows an end is a fresh start: worth 0 by definition, and nothing is to be chosen.
        runs = ~ended & (left > 0)
        where = self._rows[runs], left[runs] - 1, states[runs]
        numbers[runs, :n_actions] = solved.advantages[where] / self.advantage_scale
        numbers[runs, n_actions] = solved.values[where] / self.advantage_scale
        numbers[:, n_actions + 1] = solved.gains[:, 0] / self.gain_scale
        return numbers


def beside(observation: Any, task: npt.NDArray[np.float32]) -> dict[str, Any]:
    """An observation, or a batch of them, and its part "task" as a Dict."""
    if isinstance(observation, dict):
        return {**observation, TASK: task}
    return {OBSERVATION: observation, TASK: task}
