"""One policy, trained by several processes that share the environments: data-parallel PPO.

    torchrun --nproc-per-node 2 examples/several_processes.py
    torchrun --nproc-per-node 2 examples/several_processes.py --smoke      (seconds)

Started with plain python it trains alone, on the same tasks.
"""

import argparse
import os

import gymnasium
import torch
from stable_baselines3.common.vec_env import VecMonitor

import vamdp
from rl3_sb3 import GymnasiumVecEnv, TransformerPPO, joined_ranks, own_share, this_rank

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--smoke", action="store_true", help="only show that it runs")
parser.add_argument("--device", default="auto", help="auto takes a GPU per process, if there are")
args = parser.parse_args()

N_ENVS, HORIZON = (8, 10) if args.smoke else (128, 50)  # environments of all processes together
torch.set_num_threads(1)  # processes compute side by side

with joined_ranks(args.device) as device:
    n_own = len(own_share(range(N_ENVS)))
    envs = gymnasium.make_vec("vamdp/Bandit-v0", n_own, vectorization_mode="vector_entry_point")
    envs = vamdp.vector.ValueAugment(envs, task_horizon=1, reward_model="state_action")
    envs = vamdp.vector.MetaEpisode(envs, horizon=HORIZON)
    envs = VecMonitor(GymnasiumVecEnv(envs))

    # batch_size and all counters mean the steps of all processes; only rank 0 logs.
    model = TransformerPPO("TransformerPolicy", envs, batch_size=1600, seed=0, device=device)
    model.verbose = int(this_rank() == 0)
    model.learn((2 if args.smoke else 47) * N_ENVS * HORIZON)
    if this_rank() == 0:
        rewards = [episode["r"] for episode in model.ep_info_buffer]  # of all processes
        print(
            f"{model.num_timesteps} steps, mean total reward {sum(rewards) / len(rewards):.1f}",
            flush=True,
        )

if "WORLD_SIZE" in os.environ:  # launched: a thread of gloo can abort an interpreter that ends
    os._exit(0)
