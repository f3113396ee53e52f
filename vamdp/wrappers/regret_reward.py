"""A training reward without the noise of sampled rewards, transitions and tasks."""

from operator import index
from typing import Any

import gymnasium
from gymnasium.utils import RecordConstructorArgs

from vamdp.inner_env import discrete_actions, require_single
from vamdp.wrappers.known_tasks import SINGLE_SEAM, TRAINING_ONLY, find_simulator, time_limit
from vamdp.wrappers.solved_tasks import SolvedTasks
from vamdp.wrappers.task_access import TaskAccess


class RegretReward(TaskAccess, gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Replaces the sampled reward by the action's advantage in the true task.

    The reward is `A(s, a) = Q(s, a) - V(s)`: 0 for the best action, negative for others. Q and V
    are optimal in the task played forever with restarts, see `vamdp.mdp.optimal_advantages`. Only
    the reward changes: a `MetaEpisode` inside still shows the sampled one as "previous_reward", and
    ``info["reward"]`` has it too.

    **Why the best policy stays the same.** Since `A(s, a) = E[r + gamma V(s')] - V(s)`, where a
    restart is a transition like any other, the V of successive steps cancel. For every policy

        E sum(t < H) gamma^t A(s_t, a_t) = E sum(t < H) gamma^t r_t - E V(s_0) + gamma^H E V(s_H),

    the performance difference lemma (Kakade and Langford, Approximately optimal approximate
    reinforcement learning, 2002, lemma 6.1). The optimal `V(s_0)` does not depend on the policy.
    Apart from the last term, both sums therefore have the same best policy, both for an agent that
    knows the task and for one that must explore it.

    **What the cut at step H costs** is that last term: the signal values the state at step H as if
    the task went on. The term is the same for every policy if a restart falls on step H, as always
    in bandits, and in random MDPs if the time limit divides H. Otherwise the signal prefers good
    last states, with the weight gamma^H: 0.08 for gamma = 0.99 and H = 250. With gamma = 1, which
    needs a time limit, the same holds with the gain of H steps in place of V(s_0), and with values
    relative to a start.

    **This is privileged information of the training simulator.** No such reward exists where the
    task is unknown. Use it for training; evaluate with the environment's rewards.

    Put this wrapper outside of `ValueAugment` and `MetaEpisode`, which would otherwise learn from
    this reward or show it. A task is solved at its first step. Episodes must end only where the
    task says so, or at a TimeLimit.

    Args:
        env: An environment that knows its task as a TabularMDP: `vamdp.TaskEnv`, with any wrappers
            that do not change actions.
        gamma: Discount factor of the training algorithm, in [0, 1]; below 1 if episodes have no
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
        """Do nothing: every step checks whether the task is the solved one."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step the environment; the reward is the action's advantage in the state before it."""
        simulator = self._simulator
        # Read before the step, which may begin the next episode or task.
        task, state, elapsed = simulator.task, simulator.state, simulator.elapsed_steps
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.solved_tasks.update([task])
        # An episode that is continued beyond its limit stays in its last step.
        place = 0 if self._limit is None else max(self._limit - elapsed, 1) - 1
        chosen = index(action) - self._first_action
        advantage = float(self.solved_tasks.advantages[0, place, state, chosen])
        return observation, advantage, terminated, truncated, {**info, "reward": reward}
