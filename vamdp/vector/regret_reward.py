"""The batched `vamdp.RegretReward`."""

from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from vamdp.inner_env import discrete_actions, require_vector
from vamdp.vector.batched_steps import Step, require_same_step
from vamdp.vector_bases import AnyVectorWrapper
from vamdp.wrappers.known_tasks import BATCH_SEAM, TRAINING_ONLY, find_simulator
from vamdp.wrappers.solved_tasks import SolvedTasks
from vamdp.wrappers.task_access import TaskAccess


class RegretReward(TaskAccess, AnyVectorWrapper):
    """The batched `vamdp.RegretReward`.

    infos["reward"] has the sampled rewards of all environments, (num_envs,), in every step. If an
    episode ended, infos["final_info"] has them too. Both have the mask "_reward".

    The optimal values of all tasks are kept: 8 bytes per state, action and step of the time limit,
    plus 8 per state and step. 131 frozen lakes of 8x8 with a limit of 200 take 67 MB; gridworlds,
    which have no limit, less than 1 MB.

    Args:
        envs: A `vamdp.TaskVectorEnv`, with any wrappers that do not change actions.
        gamma: See `vamdp.RegretReward`.

    Raises:
        TypeError: `envs` does not know its tasks, or is a single environment.
        ValueError: `gamma` is out of range, a wrapper inside changes actions, or `envs` restarts
            episodes in the next step.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any], *, gamma: float = 0.99) -> None:
        require_vector(envs, "RegretReward")
        super().__init__(envs)
        self._simulator = find_simulator(envs, BATCH_SEAM, TRAINING_ONLY)
        require_same_step(envs)
        self._first_action = int(discrete_actions(envs.single_action_space).start)
        self._limit: int | None = self._simulator.max_episode_steps
        self.solved_tasks = SolvedTasks(envs.num_envs, gamma, self._limit)
        self.gamma = float(gamma)
        self._rows = np.arange(envs.num_envs)

    def _task_changed(self) -> None:
        """Do nothing: every step checks whether the tasks are the solved ones."""

    def step(self, actions: Any) -> Step:
        """Step all environments; the rewards are the actions' advantages in the states before."""
        simulator = self._simulator
        # Read before the step, which may begin the next episodes or tasks.
        tasks, states, elapsed = simulator.tasks, simulator.states, simulator.elapsed_steps
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        self.solved_tasks.update(tasks)
        places: Any = 0 if self._limit is None else self._limit - 1 - elapsed
        chosen = np.asarray(actions) - self._first_action
        advantages = self.solved_tasks.advantages[self._rows, places, states, chosen]
        infos = {**infos, "reward": rewards, "_reward": np.ones(self.num_envs, np.bool_)}
        if "final_info" in infos:
            mask = infos["_final_info"].copy()
            infos["final_info"] = {**infos["final_info"], "reward": rewards, "_reward": mask}
        return observations, advantages, terminated, truncated, infos
