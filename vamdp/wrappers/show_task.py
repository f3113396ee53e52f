"""The true task beside the observation, for a critic that knows it."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from vamdp.inner_env import plain_seed, require_single
from vamdp.wrappers.known_tasks import SINGLE_SEAM, find_simulator, time_limit
from vamdp.wrappers.task_part import TaskPart, beside


class ShowTask(TaskPart, gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Shows, beside each observation, what the optimum of the true task says of the present state.

    An observation becomes the Dict {"observation": as it was, "task": numbers}; a Dict gets the key
    "task" in addition. The numbers, float32, are

        "advantage"  (A,) A(s, .) / advantage_scale, 0 for the best actions, less for all others
        "value"      (1,) h(s) / advantage_scale, what the state is worth above a fresh start
        "gain"       (1,) g / gain_scale, what the best policy gets per step

    of the task played for ever with restarts, see `vamdp.mdp.optimal_advantages`: together they are
    all of Q and V, as `(1 - gamma) V = g + (1 - gamma) h` and `Q = V + A`.

    **It is privileged information of the training simulator, and for the critic alone.** An actor
    that sees it plays a game without anything to find out, and is worth nothing where the task is
    unknown. A critic may see it: a baseline that depends on the task, but not on the action, leaves
    the policy gradient unbiased and takes away the noise of not knowing the task (Pinto et al.,
    Asymmetric actor critic for image-based robot learning, 2018; Baisero and Amato, Unbiased
    asymmetric reinforcement learning under partial observability, 2022; Lambrechts et al., A
    theoretical justification for asymmetric actor-critic algorithms, 2025). In `rl3_sb3`:
    ``TransformerPPO(..., policy_kwargs={"critic_only": "task"})``. Its policy then acts in
    environments without this wrapper.

    The numbers are of the state, the steps left and the task that the observation is of: after an
    inner restart of the new episode's, after a meta-episode's last step of the old task's. Where
    that step ended an episode, advantage and value are 0, as of a fresh start; likewise at a
    TimeLimit.

    It goes outside all, a `RegretReward` too, which then shares its solutions if gamma is the same.
    Episodes must end only where the task says so, or at a TimeLimit.

    Args:
        env: an environment that knows its task as a TabularMDP: `vamdp.TaskEnv` with any wrappers
            that leave actions alone.
        gamma: discount factor, the training algorithm's; in [0, 1], below 1 where episodes have no
            time limit.
        advantage_scale: what advantages and values are divided by, above 0.
        gain_scale: what the gain is divided by, above 0.

    Raises:
        TypeError: `env` does not know its task, or is a vector environment.
        ValueError: an argument is out of range, a wrapper inside changes actions, or there is
            "task" in the observations already.

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
        """Reset; see the environment."""
        observation, info = self.env.reset(seed=plain_seed(seed), options=options)
        return self._shown(observation, ended=False), info

    def step(self, action: Any) -> tuple[dict[str, Any], Any, bool, bool, dict[str, Any]]:
        """Step; see the environment."""
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
