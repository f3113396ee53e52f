"""MiniGrid with the layout as the task: meta-train RL2 or RL3 on mazes that stay for a while.

The agent sees where it stands and looks, never the walls: it must find the way, then remember it.

    python examples/minigrid_layouts.py --algorithm rl3 --steps 1000000 --seed 0 --out rl3.csv
"""

import argparse

import gymnasium
import minigrid  # noqa: F401  registers its environments; pip install minigrid
import numpy as np
from gymnasium.wrappers import TransformAction, TransformObservation
from stable_baselines3.common.vec_env import VecMonitor

import vamdp
from rl3_sb3 import GymnasiumVecEnv, TransformerPPO

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--algorithm", choices=["rl2", "rl3"], default="rl3")
parser.add_argument("--steps", type=int, default=1_000_000, help="of all environments together")
parser.add_argument("--seed", type=int, default=0, help="of the networks and of the layouts")
parser.add_argument("--out", help="CSV file: steps, mean return of a rollout's meta-episodes")
parser.add_argument("--smoke", action="store_true", help="a few seconds only")
args = parser.parse_args()
n_envs, horizon, steps = (4, 20, 160) if args.smoke else (64, 200, args.steps)


def maze():
    """A maze that shows (x, y, direction); the actions are left, right and forward."""
    env = gymnasium.make("MiniGrid-SimpleCrossingS9N2-v0", size=7, max_steps=75, agent_view_size=3)
    at, poses = env.unwrapped, gymnasium.spaces.MultiDiscrete([7, 7, 4])
    env = TransformObservation(env, lambda image: np.array([*at.agent_pos, at.agent_dir]), poses)
    return vamdp.HoldSeed(TransformAction(env, int, gymnasium.spaces.Discrete(3)))


same_step = gymnasium.vector.AutoresetMode.SAME_STEP
envs = gymnasium.vector.SyncVectorEnv([maze] * n_envs, autoreset_mode=same_step)
if args.algorithm == "rl3":
    envs = vamdp.vector.ValueAugment(envs, task_horizon=75, gamma=0.95, state_key=tuple)
envs = VecMonitor(GymnasiumVecEnv(vamdp.vector.MetaEpisode(envs, horizon, task_horizon=75)))
# The paper's, but for lambda and the size of a rollout.
options = {"n_epochs": 8, "ent_coef": 0.01, "target_kl": 0.01, "max_grad_norm": None}
options |= {"normalize_returns": False, "gae_lambda": 0.9, "n_steps": horizon, "batch_size": 1600}
network = {"positions": "learned", "critic_weight_decay": 1e-2, "adam_eps": 1e-7}
options |= {"policy_kwargs": network, "stats_window_size": n_envs, "seed": args.seed}
model = TransformerPPO("TransformerPolicy", envs, **options)
curve = ["steps,mean_return"]
while model.num_timesteps < steps:
    model.learn(n_envs * horizon, reset_num_timesteps=False)
    returns = [episode["r"] for episode in model.ep_info_buffer]
    curve.append(f"{model.num_timesteps},{np.mean(returns):.3f}")
    print(curve[-1], flush=True)
if args.out:
    np.savetxt(args.out, curve, "%s")
