"""A transformer policy for Stable-Baselines3, and the RL3 experiments built on it.

The modules beside this file are a general extension of SB3: `TransformerPPO` trains on any
environment whose episodes fit its context, and `GymnasiumVecEnv` lets SB3 use Gymnasium's vector
environments. They know nothing of `vamdp`; `rl3_sb3.experiments` joins the two.

Names are imported at their first use: the command line must be able to say that torch is missing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rl3_sb3.markov import MarkovPolicy
    from rl3_sb3.networks.transformer import CausalTransformer
    from rl3_sb3.policy import TransformerPolicy
    from rl3_sb3.policy_files.folder import export_policy, load_policy
    from rl3_sb3.policy_files.record import TrainingRecord
    from rl3_sb3.policy_files.strict_json import PolicyFileError
    from rl3_sb3.ppo import TransformerPPO
    from rl3_sb3.ranks import joined_ranks, own_share, this_rank
    from rl3_sb3.rollout.buffer import SequenceRolloutBuffer
    from rl3_sb3.vec_env import GymnasiumVecEnv

__all__ = [
    "CausalTransformer",
    "GymnasiumVecEnv",
    "MarkovPolicy",
    "PolicyFileError",
    "SequenceRolloutBuffer",
    "TrainingRecord",
    "TransformerPPO",
    "TransformerPolicy",
    "export_policy",
    "joined_ranks",
    "load_policy",
    "own_share",
    "this_rank",
]

_MODULES = {
    "CausalTransformer": "networks.transformer",
    "GymnasiumVecEnv": "vec_env",
    "MarkovPolicy": "markov",
    "PolicyFileError": "policy_files.strict_json",
    "SequenceRolloutBuffer": "rollout.buffer",
    "TrainingRecord": "policy_files.record",
    "TransformerPPO": "ppo",
    "TransformerPolicy": "policy",
    "export_policy": "policy_files.folder",
    "joined_ranks": "ranks",
    "load_policy": "policy_files.folder",
    "own_share": "ranks",
    "this_rank": "ranks",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
