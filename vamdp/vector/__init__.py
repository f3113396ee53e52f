"""The wrappers of `vamdp.wrappers` for a batch of environments that is stepped at once.

Environment i of the batch shows the same bits as the single wrappers around an environment with the
same seed. There is one exception. If an episode ends in the last step of a meta-episode, the
environments inside restart it and are then reset for the next meta-episode. `TaskVectorEnv` reseeds
each task, so nothing changes; other environments have drawn one more start state.

The batch restarts ended episodes within the same step (AutoresetMode.SAME_STEP), and the
environments inside must do the same: with an autoreset one step later, every episode would contain
a step without an action.

Each boundary clears what `vamdp.wrappers` says, in each environment separately.
"""

from vamdp.vector.meta_episode import MetaEpisode
from vamdp.vector.regret_reward import RegretReward
from vamdp.vector.show_task import ShowTask
from vamdp.vector.value_augment import ValueAugment

__all__ = ["MetaEpisode", "RegretReward", "ShowTask", "ValueAugment"]
