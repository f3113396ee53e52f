"""The wrappers of `vamdp.wrappers` over a batch that is stepped at once.

Environment i of the batch shows bit for bit what the single wrappers around the environment with
its seed show. (With one exception: where an episode ends in a meta-episode's last step, the
environments below have restarted already and are then reset for the next one. `TaskVectorEnv` keys
each task's randomness anew; foreign environments have drawn one start more.)

The batch restarts ended episodes within the same step (AutoresetMode.SAME_STEP), and
so must the environments below: an autoreset one step later would put a step without an action into
every episode.

The boundaries clear what `vamdp.wrappers` says, for each environment by itself.
"""

from vamdp.vector.meta_episode import MetaEpisode
from vamdp.vector.regret_reward import RegretReward
from vamdp.vector.show_task import ShowTask
from vamdp.vector.value_augment import ValueAugment

__all__ = ["MetaEpisode", "RegretReward", "ShowTask", "ValueAugment"]
