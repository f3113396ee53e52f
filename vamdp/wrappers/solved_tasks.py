"""Keep the optimal values of the tasks being played."""

from collections.abc import Sequence

import numpy as np

from vamdp.mdp.optimal_advantages import Optimum, check_gamma, optimum
from vamdp.mdp.tabular_mdp import TabularMDP


class SolvedTasks:
    """The optimal values of n_tasks tasks, each solved when it first appears in its row.

    Args:
        n_tasks: Number of tasks played side by side.
        gamma: Discount factor, see `vamdp.mdp.optimal_advantages`.
        max_episode_steps: Time limit of episodes in steps; None if there is none.

    Attributes:
        gamma: See above.
        max_episode_steps: See above.
        advantages: (n_tasks, steps left - 1, S, A), see `Optimum`.
        values: (n_tasks, steps left - 1, S).
        gains: (n_tasks, 1).

    Raises:
        ValueError: `gamma` is out of range.
    """

    def __init__(self, n_tasks: int, gamma: float, max_episode_steps: int | None) -> None:
        check_gamma(gamma, max_episode_steps)
        self.gamma = float(gamma)
        self.max_episode_steps = max_episode_steps
        self.advantages = np.empty((n_tasks, 0, 0, 0))
        self.values = np.empty((n_tasks, 0, 0))
        self.gains = np.empty((n_tasks, 1))
        self._tasks: list[TabularMDP | None] = [None] * n_tasks

    def solves_as(self, other: "SolvedTasks") -> bool:
        """Return whether both define the same optimum for a task."""
        same_limit = self.max_episode_steps == other.max_episode_steps
        return same_limit and self.gamma == other.gamma

    def update(self, tasks: Sequence[TabularMDP]) -> None:
        """Replace the tasks, all of one size, and solve the new ones."""
        if tasks == self._tasks:  # the same objects: list equality checks identity first
            return
        shape = (len(tasks), self.max_episode_steps or 1, tasks[0].n_states, tasks[0].n_actions)
        if self.advantages.shape != shape:
            self.advantages, self.values = np.zeros(shape), np.zeros(shape[:-1])
            self._tasks = [None] * len(tasks)
        for i, task in enumerate(tasks):
            if task is not self._tasks[i]:
                room = Optimum(self.advantages[i], self.values[i], self.gains[i])
                optimum(task, self.gamma, self.max_episode_steps, out=room)
                self._tasks[i] = task
