"""Meta-train RL3 on bandits: value estimates in the observation, a transformer, PPO.

Prints the mean total reward of each iteration's meta-episodes. A random agent gets half of the
horizon.

    python examples/train_bandits.py
"""

import sys
from dataclasses import dataclass

import gymnasium
import torch
from stable_baselines3.common.vec_env import VecMonitor

import vamdp
from rl3_sb3 import GymnasiumVecEnv, TransformerPPO


@dataclass
class Arguments:
    """What can be changed."""

    horizon: int = 50
    """pulls of a meta-episode"""
    n_envs: int = 128
    """bandits that are played at the same time"""
    iterations: int = 50
    """rollouts, each of one meta-episode per bandit"""


# On a CPU: two threads, beside another process, can take 30 times as long as one.
torch.set_num_threads(1)

args = Arguments(n_envs=8, iterations=2) if "--smoke" in sys.argv else Arguments()

envs = gymnasium.make_vec("vamdp/Bandit-v0", args.n_envs, vectorization_mode="vector_entry_point")
envs = vamdp.vector.ValueAugment(envs, task_horizon=1, reward_model="state_action")
envs = vamdp.vector.MetaEpisode(envs, args.horizon)
envs = VecMonitor(GymnasiumVecEnv(envs))

model = TransformerPPO("TransformerPolicy", envs, n_steps=args.horizon, batch_size=1600, seed=0)
for _ in range(args.iterations):
    model.learn(args.n_envs * args.horizon, reset_num_timesteps=False)
    returns = [episode["r"] for episode in model.ep_info_buffer]
    print(f"{model.num_timesteps:8d} steps: total reward {sum(returns) / len(returns):.1f}")
