"""tianshou's Collector and PPO on meta-episodes, as they are.

Ran with tianshou 2.0.1, gymnasium 1.4.0, numpy 2.4.6, torch 2.13.0, filelock 3.32.7, Python 3.11;
tianshou 1.x wants gymnasium 0.28. Printed are the Collector's statistics; chance is 10.

    python examples/tianshou_collector.py
"""

import sys
from dataclasses import dataclass

import gymnasium
from tianshou.algorithm import PPO
from tianshou.algorithm.modelfree.reinforce import DiscreteActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.trainer import OnPolicyTrainerParams
from tianshou.utils.net.common import Net
from tianshou.utils.net.discrete import DiscreteActor, DiscreteCritic

import vamdp


@dataclass
class Arguments:
    """What can be changed."""

    n_epochs: int = 10
    """of training, 10 000 steps each"""


args = Arguments(n_epochs=0) if "--smoke" in sys.argv else Arguments()


def make():
    """A bandit of many episodes, one pull each."""
    env = gymnasium.make("vamdp/Bandit-v0")
    env = vamdp.ValueAugment(env, task_horizon=1, reward_model="state_action")
    return vamdp.MetaEpisode(env, horizon=20)


size, actions = make().observation_space.shape, make().action_space
nets = [Net(state_shape=size, hidden_sizes=(64,)) for _ in range(2)]
actor = DiscreteActor(preprocess_net=nets[0], action_shape=actions.n, softmax_output=False)
policy = DiscreteActorPolicy(actor=actor, action_space=actions)
critic, optimizer = DiscreteCritic(preprocess_net=nets[1]), AdamOptimizerFactory(lr=1e-3)
algorithm = PPO(policy=policy, critic=critic, optim=optimizer, gamma=1.0)
collector = Collector(algorithm, DummyVectorEnv([make] * 16), VectorReplayBuffer(100_000, 16))
for when in ("before", "after"):
    found = collector.collect(n_episode=400, reset_before_collect=True, gym_reset_kwargs={})
    mean, error, lengths = found.returns_stat.mean, found.returns_stat.std / 20, set(found.lens)
    print(f"{when} learning: {mean:.1f} ± {error:.1f} in meta-episodes of {lengths} steps")
    if when == "before" and args.n_epochs:
        algorithm.run_training(
            OnPolicyTrainerParams(
                training_collector=collector, max_epochs=args.n_epochs, epoch_num_steps=10_000,
                collection_step_num_env_steps=1600, batch_size=200, update_step_num_repetitions=5,
            )
        )  # fmt: skip
