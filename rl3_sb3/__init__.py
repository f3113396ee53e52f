"""Policies with memory for Stable-Baselines3, and the RL3 experiments built on them.

The modules and folders here are a general extension of SB3: `TransformerPPO` trains on any
environment whose episodes fit its context, and `GymnasiumVecEnv` lets SB3 use Gymnasium's vector
environments. They do not depend on `vamdp`; `rl3_sb3.experiments` joins the two.

Names are imported when first used, so that the command line can report that torch is missing. The
policies are those of `rl3_sb3.policy.POLICIES`.
"""

from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rl3_sb3.action_masks import ActionMasks as ActionMasks
    from rl3_sb3.experiments.domains import Domain as Domain
    from rl3_sb3.experiments.domains import register_domain as register_domain
    from rl3_sb3.networks.check import check_network as check_network
    from rl3_sb3.networks.transformer import CausalTransformer as CausalTransformer
    from rl3_sb3.policy import *  # noqa: F403 # the policies
    from rl3_sb3.policy_files.folder import export_policy as export_policy
    from rl3_sb3.policy_files.folder import load_policy as load_policy
    from rl3_sb3.policy_files.record import TrainingRecord as TrainingRecord
    from rl3_sb3.policy_files.strict_json import PolicyFileError as PolicyFileError
    from rl3_sb3.ppo import TransformerPPO as TransformerPPO
    from rl3_sb3.ranks import joined_ranks as joined_ranks
    from rl3_sb3.ranks import own_share as own_share
    from rl3_sb3.ranks import this_rank as this_rank
    from rl3_sb3.rollout.buffer import SequenceRolloutBuffer as SequenceRolloutBuffer
    from rl3_sb3.sequence_policy import SequencePolicy as SequencePolicy
    from rl3_sb3.update.symmetry import Symmetry as Symmetry
    from rl3_sb3.update.transformation import Transformation as Transformation
    from rl3_sb3.vec_env import GymnasiumVecEnv as GymnasiumVecEnv

_MODULES = {
    "ActionMasks": "action_masks",
    "CausalTransformer": "networks.transformer",
    "Domain": "experiments.domains",
    "GymnasiumVecEnv": "vec_env",
    "PolicyFileError": "policy_files.strict_json",
    "SequencePolicy": "sequence_policy",
    "SequenceRolloutBuffer": "rollout.buffer",
    "Symmetry": "update.symmetry",
    "TrainingRecord": "policy_files.record",
    "Transformation": "update.transformation",
    "TransformerPPO": "ppo",
    "check_network": "networks.check",
    "export_policy": "policy_files.folder",
    "joined_ranks": "ranks",
    "load_policy": "policy_files.folder",
    "own_share": "ranks",
    "register_domain": "experiments.domains",
    "register_policy": "policy",
    "this_rank": "ranks",
}


def _policies() -> dict[str, Any]:
    policies: dict[str, Any] = import_module(f"{__name__}.policy").POLICIES
    return {name: policy for name, policy in policies.items() if name.isidentifier()}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    if name == "__all__":  # read by `from rl3_sb3 import *`
        return sorted([*_MODULES, *_policies()])
    if name.endswith("Policy") and name in _policies():
        return _policies()[name]
    known = f"; its policies are {', '.join(_policies())}" if name.endswith("Policy") else ""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{known}")


def __dir__() -> list[str]:
    # The public names, without what this file imports for itself.
    names = {*_MODULES, *(name for name in globals() if name.startswith("__"))}
    with suppress(ImportError):  # without torch
        names |= {*_policies()}
    return sorted(names)
