"""The batched `vamdp.ShowTask`."""

from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space

from vamdp.inner_env import require_vector
from vamdp.seeds import Seeds
from vamdp.vector.batched_steps import Step, final_observations, require_same_step
from vamdp.vector_bases import AnyVectorWrapper
from vamdp.wrappers.known_tasks import BATCH_SEAM, find_simulator
from vamdp.wrappers.task_part import TaskPart, beside


class ShowTask(TaskPart, AnyVectorWrapper):
    """The batched `vamdp.ShowTask`.

    If an episode or meta-episode ended, infos["final_obs"] is a Dict of batches too. Its rows where
    the mask "_final_obs" is True are of the old task; the observation is of the new one.

    The memory is that of `RegretReward`, which shares it.

    Args:
        envs: A `vamdp.TaskVectorEnv`, with any wrappers that do not change actions.
        gamma: See `vamdp.ShowTask`.
        advantage_scale: See `vamdp.ShowTask`.
        gain_scale: See `vamdp.ShowTask`.

    Raises:
        TypeError: `envs` does not know its tasks, or is a single environment.
        ValueError: An argument is out of range, a wrapper inside changes actions, the observations
            have a key "task" already, or `envs` restarts episodes in the next step.
    """

    def __init__(
        self,
        envs: VectorEnv[Any, Any, Any],
        *,
        gamma: float = 0.99,
        advantage_scale: float = 1.0,
        gain_scale: float = 1.0,
    ) -> None:
        require_vector(envs, "ShowTask")
        super().__init__(envs)
        seam = (*BATCH_SEAM, "reached_states")
        self._simulator = find_simulator(envs, seam, {"ShowTask": "one is enough"})
        require_same_step(envs)
        self.single_observation_space = self._set_up(
            envs, envs.single_observation_space, envs.single_action_space, n_tasks=envs.num_envs,
            limit=self._simulator.max_episode_steps, gamma=gamma, advantage_scale=advantage_scale,
            gain_scale=gain_scale,
        )  # fmt: skip
        self.observation_space = batch_space(self.single_observation_space, envs.num_envs)

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Reset the environments, and add the tasks to their observations."""
        observations, infos = self.env.reset(seed=seed, options=options)
        return self._shown(observations), infos

    def step(self, actions: Any) -> Step:
        """Step the environments, and add the tasks to their observations."""
        simulator = self._simulator
        elapsed = simulator.elapsed_steps  # read before the step, which may begin new episodes
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        if "final_obs" in infos:
            # `solved_tasks` still holds the old tasks.
            space = self.env.single_observation_space
            last = final_observations(space, infos, infos["_final_obs"], observations)
            # MetaEpisode terminates at its last step, whether or not an episode does.
            ended = terminated & infos.get("final_info", {}).get("episode_end", True)
            numbers = self._numbers(simulator.reached_states, elapsed + 1, ended)
            infos = {**infos, "final_obs": beside(last, numbers)}
        return self._shown(observations), rewards, terminated, truncated, infos

    def _shown(self, observations: Any) -> dict[str, Any]:
        simulator = self._simulator
        self.solved_tasks.update(simulator.tasks)
        nowhere = np.zeros(self.num_envs, np.bool_)
        numbers = self._numbers(simulator.states, simulator.elapsed_steps, nowhere)
        return beside(observations, numbers)
