"""The learning signal of `vamdp.RegretReward` for a batch."""

from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper

from vamdp.inner_env import discrete_actions, require_vector
from vamdp.mdp.optimal_advantages import check_gamma, optimal_advantages
from vamdp.mdp.tabular_mdp import TabularMDP
from vamdp.vector.batched_steps import Step, require_same_step
from vamdp.wrappers.known_tasks import BATCH_SEAM, find_simulator
from vamdp.wrappers.task_access import TaskAccess


class RegretReward(TaskAccess, VectorWrapper[Any, Any, Any, Any, Any]):
    """The batched `vamdp.RegretReward`.

    infos["reward"] has the sampled rewards of all environments, (num_envs,), in every step; where
    an episode ended infos["final_info"] has them too. Their masks are "_reward".

    The advantages of all tasks are kept, 8 bytes for each state, action and step of the time limit:
    54 MB for 131 lakes of 8x8 with a limit of 200, below 1 MB for gridworlds, which have none.

    Args:
        envs: a `vamdp.TaskVectorEnv` with any wrappers that leave actions alone.
        gamma: see `vamdp.RegretReward`.

    Raises:
        TypeError: `envs` does not know its tasks, or is a single environment.
        ValueError: `gamma` is out of range, a wrapper inside changes actions, or `envs` restarts
            in the next step.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any], *, gamma: float = 0.99) -> None:
        require_vector(envs, "RegretReward")
        super().__init__(envs)
        self._simulator = find_simulator(envs, BATCH_SEAM)
        require_same_step(envs)
        self._first_action = int(discrete_actions(envs.single_action_space).start)
        self._limit: int | None = self._simulator.max_episode_steps
        check_gamma(gamma, self._limit)
        self.gamma = float(gamma)
        self._rows = np.arange(envs.num_envs)
        self._solved: list[TabularMDP | None] = [None] * envs.num_envs
        self._advantages = np.empty((0, 0, 0, 0))  # (num_envs, steps left - 1, S, A)

    def _task_changed(self) -> None:
        """Every step looks whether the tasks are the solved ones."""

    def step(self, actions: Any) -> Step:
        """Take one step everywhere; the rewards are the actions' advantages before it."""
        simulator = self._simulator
        # Before the step: afterwards the next episodes or tasks may have begun.
        tasks, states, elapsed = simulator.tasks, simulator.states, simulator.elapsed_steps
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        if tasks != self._solved:  # compares identities, in C
            self._solve(tasks)
        places: Any = 0 if self._limit is None else self._limit - 1 - elapsed
        chosen = np.asarray(actions) - self._first_action
        advantages = self._advantages[self._rows, places, states, chosen]
        infos = {**infos, "reward": rewards, "_reward": np.ones(self.num_envs, np.bool_)}
        if "final_info" in infos:
            mask = infos["_final_info"].copy()
            infos["final_info"] = {**infos["final_info"], "reward": rewards, "_reward": mask}
        return observations, advantages, terminated, truncated, infos

    def _solve(self, tasks: list[TabularMDP]) -> None:
        """Solve the tasks that are new in their row."""
        if not self._advantages.size:
            shape = (len(tasks), self._limit or 1, tasks[0].n_states, tasks[0].n_actions)
            self._advantages = np.zeros(shape)
        for i, task in enumerate(tasks):
            if task is not self._solved[i]:
                optimal_advantages(task, self.gamma, self._limit, out=self._advantages[i])
                self._solved[i] = task
