"""The wrappers that make an MDP a value-augmented one and chain its episodes.

`ValueAugment` learns the task while the agent acts in it, and shows what it learned: advantages,
value and visit counts of the present state (RL3, arXiv 2306.15909, Algorithm 1). `MetaEpisode`
chains the episodes of one task to a budget of H steps and shows what RL2 agents see: the previous
action and reward, and the clocks (Duan et al., arXiv 1611.02779). `HoldSeed` goes inside both,
around an environment that draws a new layout at every reset, and makes the layout the task.
`RegretReward` goes outside these: it replaces the reward that a training algorithm is paid.
`ShowTask` goes outside all: it shows the true task to a critic.

What each boundary clears:

    an episode's end     the episode clock
    a new task           the learned model, counts, values; previous action and reward; both clocks

A task begins with ``reset(seed=...)``, with ``reset(options={"new_task": True})`` or
``{"task": ...}``, with ``reset_task``, and with every reset of a `MetaEpisode`. A bare ``reset()``
of a `ValueAugment` starts the next episode of the same task. An environment that draws its layout
at every reset has no tasks: `check_tasks` plays it and says so.
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
