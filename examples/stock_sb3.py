"""Stable-Baselines3's own algorithms learn on meta-episodes as they are: PPO, A2C, DQN.

A small network without memory plays bandits: what it needs to know of the past is in the
observation. Printed is the mean total reward on held-out tasks; chance is half of the horizon.

    python examples/stock_sb3.py              # or with one of the names: ppo, a2c, dqn
"""

import sys
from dataclasses import dataclass

from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

import vamdp


@dataclass
class Arguments:
    """What can be changed."""

    horizon: int = 20
    """pulls of a meta-episode"""
    n_envs: int = 8
    """bandits that are played at the same time"""
    n_steps: int = 100_000
    """of training, over all environments"""
    n_tasks: int = 400
    """bandits of the evaluation, none of them seen in training"""
    seed: int = 0
    """of the training; those of the evaluation are 2**31 and above"""


args = Arguments(n_envs=2, n_steps=300, n_tasks=2) if "--smoke" in sys.argv else Arguments()


def meta_episodes(env):
    """SB3 puts its Monitor inside of this: it reports meta-episodes all the same."""
    env = vamdp.ValueAugment(env, task_horizon=1, reward_model="state_action")
    return vamdp.MetaEpisode(env, args.horizon)


algorithms = {
    "ppo": (PPO, {"n_steps": 10 * args.horizon, "batch_size": 200, "gamma": 1.0, "n_epochs": 5}),
    "a2c": (A2C, {"n_steps": args.horizon, "gamma": 1.0, "learning_rate": 2e-3}),
    "dqn": (DQN, {"learning_starts": 100, "gamma": 0.9, "exploration_fraction": 0.3}),
}
for name in [name for name in algorithms if name in sys.argv] or algorithms:
    algorithm, options = algorithms[name]
    for_training, held_out = (
        make_vec_env("vamdp/Bandit-v0", args.n_envs, seed=seed, wrapper_class=meta_episodes)
        for seed in (args.seed, 2**31)
    )
    model = algorithm("MlpPolicy", for_training, seed=args.seed, device="cpu", **options)
    before, _ = evaluate_policy(model, held_out, args.n_tasks, deterministic=False)
    model.learn(args.n_steps)
    held_out.seed(2**31)  # the same tasks again
    after, spread = evaluate_policy(model, held_out, args.n_tasks, deterministic=name == "dqn")
    print(f"{name}: {before:.1f} before, {after:.1f} ± {spread / args.n_tasks**0.5:.1f} after")
