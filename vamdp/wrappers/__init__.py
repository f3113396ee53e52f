"""Wrappers that turn an MDP into a value-augmented MDP and chain its episodes.

From the inside out:

- `HoldSeed` makes the layout the task, for an environment that draws a new one at every reset.
- `ValueAugment` learns the task while the agent acts in it, and shows the estimates: advantages,
  value and visit counts of the current state (RL3, arXiv 2306.15909, Algorithm 1).
- `MetaEpisode` chains the episodes of one task up to a budget of H steps, and shows the inputs of
  RL2 agents: previous action and reward, and the clocks (Duan et al., arXiv 1611.02779).
- `RegretReward` replaces the reward that the training algorithm gets.
- `ShowTask` shows the true task to a critic.

What each boundary clears:

    an episode's end     the episode clock
    a new task           the learned model, counts, values; previous action and reward; both clocks

A task begins with ``reset(seed=...)``, with ``reset(options={"new_task": True})`` or
``{"task": ...}``, with ``reset_task``, and with every reset of a `MetaEpisode`. A bare ``reset()``
of a `ValueAugment` starts the next episode of the same task. If an environment draws its layout at
every reset, it has no lasting tasks; `check_tasks` detects that.
"""

from vamdp.wrappers.hold_seed import HoldSeed
from vamdp.wrappers.meta_episode import MetaEpisode
from vamdp.wrappers.regret_reward import RegretReward
from vamdp.wrappers.show_task import ShowTask
from vamdp.wrappers.task_check import TaskCheck, check_tasks
from vamdp.wrappers.value_augment import ValueAugment

__all__ = [
    "HoldSeed",
    "MetaEpisode",
    "RegretReward",
    "ShowTask",
    "TaskCheck",
    "ValueAugment",
    "check_tasks",
]
