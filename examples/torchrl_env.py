"""TorchRL takes meta-episodes as one of its environments: check_env_specs passes.

Ran with torchrl 0.14.1 and tensordict 0.14.3 (gymnasium 1.4.0, numpy 2.4.6, torch 2.13.0, Python
3.11). The agent without a network takes an arm that has the best advantage, or any arm while some
are untried: what TorchRL's policies see is enough to beat chance, half of the horizon.

    pip install torchrl==0.14.1
    python examples/torchrl_env.py
"""

import sys
from dataclasses import dataclass

import gymnasium
import torch
from tensordict.nn import TensorDictModule
from torchrl.envs import GymWrapper, SerialEnv, check_env_specs

import vamdp


@dataclass
class Arguments:
    """What can be changed."""

    horizon: int = 20
    """pulls of a meta-episode"""
    n_envs: int = 200
    """bandits that are played at the same time"""


args = Arguments(n_envs=3) if "--smoke" in sys.argv else Arguments()


def make(flatten=False):
    """A bandit of many episodes, one pull each; a Dict becomes one key for each part."""
    env = gymnasium.make("vamdp/Bandit-v0")
    env = vamdp.ValueAugment(env, task_horizon=1, reward_model="state_action")
    return GymWrapper(vamdp.MetaEpisode(env, args.horizon, flatten=flatten))


def choose(advantage, count):
    """The untried arms first, then the best; one-hot, as TorchRL has it."""
    best = torch.where(count == 0, torch.inf, advantage).argmax(-1)
    return torch.nn.functional.one_hot(best, advantage.shape[-1])


for flatten in (True, False):
    check_env_specs(make(flatten))
envs = SerialEnv(args.n_envs, make)
envs.set_seed(0)
agent = TensorDictModule(choose, in_keys=["advantage", "count"], out_keys=["action"])
for name, policy in (("random", None), ("greedy", agent)):
    played = envs.rollout(10 * args.horizon, policy)  # stops at the end of the meta-episodes
    total = played["next", "reward"].sum(1)
    print(f"{name}: total reward {total.mean():.1f} in {played.shape[1]} steps")
    assert played["next", "terminated"][:, -1].all()
