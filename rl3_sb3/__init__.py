"""A transformer policy for Stable-Baselines3, and the RL3 experiments built on it.

The modules beside this file are a general extension of SB3: `TransformerPPO` trains on any
environment whose episodes fit its context, and `GymnasiumVecEnv` lets SB3 use Gymnasium's vector
environments. They know nothing of `vamdp`; `rl3_sb3.experiments` joins the two.
"""

from rl3_sb3.buffer import SequenceRolloutBuffer
from rl3_sb3.markov import MarkovPolicy
from rl3_sb3.policy import TransformerPolicy
from rl3_sb3.ppo import TransformerPPO
from rl3_sb3.transformer import CausalTransformer
from rl3_sb3.vec_env import GymnasiumVecEnv

__all__ = [
    "CausalTransformer",
    "GymnasiumVecEnv",
    "MarkovPolicy",
    "SequenceRolloutBuffer",
    "TransformerPPO",
    "TransformerPolicy",
]
