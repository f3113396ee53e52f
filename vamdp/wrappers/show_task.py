"""Show the true task beside the observation, for a privileged critic."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from vamdp.inner_env import require_single
from vamdp.seeds import plain_seed
from vamdp.wrappers.known_tasks import SINGLE_SEAM, find_simulator, time_limit
from vamdp.wrappers.task_part import TaskPart, beside


class ShowTask(TaskPart, gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Adds the optimal values of the true task in the current state to each observation.

    An observation becomes the Dict {"observation": the old one, "task": numbers}; a Dict gets the
    additional key "task". The numbers, float32, are

        "advantage"  (A,) A(s, .) / advantage_scale: 0 for the best actions, negative for others
        "value"      (1,) h(s) / advantage_scale: the state's value above that of a fresh start
        "gain"       (1,) g / gain_scale: the reward per step of the best policy

    They refer to the task played forever with restarts, see `vamdp.mdp.optimal_advantages`.
    Together they determine Q and V: `(1 - gamma) V = g + (1 - gamma) h` and `Q = V + A`.

    **This is privileged information of the training simulator, and only for the critic.** An actor
    that sees it has nothing to explore, and is useless where the task is unknown. A critic may see
    it: a baseline that depends on the task, but not on the action, leaves the policy gradient
    unbiased and removes the noise of not knowing the task (Pinto et al., Asymmetric actor critic
    for image-based robot learning, 2018; Baisero and Amato, Unbiased asymmetric reinforcement
    learning under partial observability, 2022; Lambrechts et al., A theoretical justification for
    asymmetric actor-critic algorithms, 2025). In `rl3_sb3`, pass
    ``TransformerPPO(..., policy_kwargs={"critic_only": "task"})``. The trained policy then acts in
    environments without this wrapper.

    The numbers refer to the same state, remaining steps and task as the observation: after an inner
    restart to the new episode, after a meta-episode's last step to the old task. If that step ended
    an episode, also by a TimeLimit, advantage and value are 0, as for a fresh start.

    Put this wrapper outermost, also outside of `RegretReward`; with the same gamma, both share
    their solutions. Episodes must end only where the task says so, or at a TimeLimit.

    Args:
        env: An environment that knows its task as a TabularMDP: `vamdp.TaskEnv`, with any wrappers
            that do not change actions.
        gamma: Discount factor of the training algorithm, in [0, 1]; below 1 if episodes have no
            time limit.
        advantage_scale: Divisor of advantages and values, above 0.
        gain_scale: Divisor of the gain, above 0.

    Raises:
        TypeError: `env` does not know its task, or is a vector environment.
        ValueError: An argument is out of range, a wrapper inside changes actions, or the
            observations have a key "task" already.

    Example:
        >>> import gymnasium, vamdp
        >>> env = vamdp.ShowTask(gymnasium.make("vamdp/Bandit-v0", n_arms=2))
        >>> observation, info = env.reset(seed=0)
        >>> env.unwrapped.task.reward[:2].round(2)
        array([0.64, 0.27])
        >>> observation["task"].round(2).tolist()
        [0.0, -0.37..., 0.0, 0.63...]
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        *,
        gamma: float = 0.99,
        advantage_scale: float = 1.0,
        gain_scale: float = 1.0,
    ) -> None:
        require_single(env, "ShowTask")
        RecordConstructorArgs.__init__(
            self, gamma=gamma, advantage_scale=advantage_scale, gain_scale=gain_scale
        )
        gymnasium.Wrapper.__init__(self, env)
        self._simulator = find_simulator(env, SINGLE_SEAM, {"ShowTask": "one is enough"})
        self.observation_space = self._set_up(
            env, env.observation_space, env.action_space, n_tasks=1, limit=time_limit(env),
            gamma=gamma, advantage_scale=advantage_scale, gain_scale=gain_scale,
        )  # fmt: skip

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Reset the environment, and add the task to its observation."""
        observation, info = self.env.reset(seed=plain_seed(seed), options=options)
        return self._shown(observation, ended=False), info

    def step(self, action: Any) -> tuple[dict[str, Any], Any, bool, bool, dict[str, Any]]:
        """Step the environment, and add the task to its observation."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        # A MetaEpisode terminates at its last step, whether or not an episode does.
        ended = bool(terminated and info.get("episode_end", True))
        return self._shown(observation, ended=ended), reward, terminated, truncated, info

    def _shown(self, observation: Any, *, ended: bool) -> dict[str, Any]:
        simulator = self._simulator
        self.solved_tasks.update([simulator.task])
        (task,) = self._numbers(
            np.array([simulator.state]), np.array([simulator.elapsed_steps]), np.array([ended])
        )
        return beside(observation, task)
