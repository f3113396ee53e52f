"""A learning signal without the noise of rewards, transitions and tasks."""

from operator import index
from typing import Any

import gymnasium
from gymnasium.utils import RecordConstructorArgs

from vamdp.inner_env import discrete_actions, require_single
from vamdp.wrappers.known_tasks import SINGLE_SEAM, TRAINING_ONLY, find_simulator, time_limit
from vamdp.wrappers.solved_tasks import SolvedTasks
from vamdp.wrappers.task_access import TaskAccess


class RegretReward(TaskAccess, gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Pays the expected advantage of each action in the true task instead of the sampled reward.

    The reward is `A(s, a) = Q(s, a) - V(s)`: 0 for the best action, less for all others. Q and V
    are the optimum of the task played for ever with restarts, see
    `vamdp.mdp.optimal_advantages`. Only the reward changes. Observations are as before, with the
    sampled reward in a `MetaEpisode`'s "previous_reward"; ``info["reward"]`` has it too.

    **Why the best policy stays the same.** Since `A(s, a) = E[r + gamma V(s')] - V(s)`, where a
    restart is a move like any other, the V of successive steps cancel. Along every policy

        E sum(t < H) gamma^t A(s_t, a_t) = E sum(t < H) gamma^t r_t - E V(s_0) + gamma^H E V(s_H),

    the performance difference lemma (Kakade and Langford, Approximately optimal approximate
    reinforcement learning, 2002, lemma 6.1). `V(s_0)`, the optimum, does not depend on the policy;
    so, but for the last term, both sums have the same best policy, for an agent that knows the task
    and for one that has to find it out.

    **What a cut at step H costs** is that last term: the signal values the state of step H as if
    the task went on. It is the same number for every policy where H falls on a restart, as always
    in bandits, and in random MDPs if the time limit divides H. Else it prefers good last states
    with the weight gamma^H, 0.08 for gamma = 0.99 and H = 250. The same holds for gamma = 1, which
    needs a time limit, with the gain of H steps as the optimum, and values relative to a start.

    **It is privileged information of the training simulator.** No such reward exists where the task
    is unknown. Train with it; evaluate by the environment's rewards.

    It goes outside `ValueAugment` and `MetaEpisode`, which would learn from it or show it. A task
    is solved in the first step that is taken in it. Episodes must end only where the task says so,
    or at a TimeLimit.

    Args:
        env: an environment that knows its task as a TabularMDP: `vamdp.TaskEnv` with any wrappers
            that leave actions alone.
        gamma: discount factor, the training algorithm's; in [0, 1], below 1 where episodes have no
            time limit.

    Raises:
        TypeError: `env` does not know its task, or is a vector environment.
        ValueError: `gamma` is out of range, or a wrapper inside changes actions.

    Example:
        >>> import gymnasium, vamdp
        >>> env = vamdp.RegretReward(gymnasium.make("vamdp/Bandit-v0", n_arms=2))
        >>> observation, info = env.reset(seed=0)
        >>> env.unwrapped.task.reward[:2].round(2)
        array([0.64, 0.27])
        >>> observation, reward, terminated, truncated, info = env.step(1)
        >>> round(reward, 2), info
        (-0.37, {'reward': 0.0})
    """

    def __init__(self, env: gymnasium.Env[Any, Any], *, gamma: float = 0.99) -> None:
        require_single(env, "RegretReward")
        RecordConstructorArgs.__init__(self, gamma=gamma)
        gymnasium.Wrapper.__init__(self, env)
        self._simulator = find_simulator(env, SINGLE_SEAM, TRAINING_ONLY)
        self._first_action = int(discrete_actions(env.action_space).start)
        self._limit = time_limit(env)
        self.solved_tasks = SolvedTasks(1, gamma, self._limit)
        self.gamma = float(gamma)

    def _task_changed(self) -> None:
        """Every step looks whether the task is the solved one."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step; the reward is the action's advantage in the state before it."""
        simulator = self._simulator
        # Before the step: afterwards the next episode or task may have begun.
        task, state, elapsed = simulator.task, simulator.state, simulator.elapsed_steps
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.solved_tasks.update([task])
        # An episode that is played on beyond its limit stays in its last step.
        place = 0 if self._limit is None else max(self._limit - elapsed, 1) - 1
        chosen = index(action) - self._first_action
        advantage = float(self.solved_tasks.advantages[0, place, state, chosen])
        return observation, advantage, terminated, truncated, {**info, "reward": reward}
