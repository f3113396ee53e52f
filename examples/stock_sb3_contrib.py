"""sb3-contrib's RecurrentPPO and MaskablePPO on meta-episodes: rewards before learning and after.

python examples/stock_sb3_contrib.py      # or with one of the names: recurrent, maskable
"""

import sys
from dataclasses import dataclass

import gymnasium
import sb3_contrib.common.maskable.evaluation as masked
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_contrib.common.wrappers import ActionMasker
from stable_baselines3.common import env_util, evaluation

import vamdp


@dataclass
class Arguments:
    """What can be changed."""

    n_steps: int = 100_000
    """of training, over 8 environments"""
    n_evaluations: int = 100
    """meta-episodes of an evaluation; of the bandits, none is seen in training"""


args = Arguments(1600, 2) if "--smoke" in sys.argv else Arguments()


def bandit():
    """Chance is 10. Without ValueAugment this is RL2, which learns more slowly."""
    env = gymnasium.make("vamdp/Bandit-v0")
    env = vamdp.ValueAugment(env, task_horizon=1, reward_model="state_action")
    return vamdp.MetaEpisode(env, horizon=20)


def taxi():
    """Actions that the state forbids are neither planned with nor taken; chance is -197."""
    env = gymnasium.make("Taxi-v4" if "Taxi-v4" in gymnasium.registry else "Taxi-v3")
    env = ActionMasker(env, lambda env: env.unwrapped.action_mask(env.unwrapped.s))
    env = vamdp.ValueAugment(env, task_horizon=200, gamma=0.95, value_scale=10.0)
    return vamdp.MetaEpisode(env, horizon=200, reward_scale=10.0)


lstm = {"batch_size": 400, "n_epochs": 5, "learning_rate": 1e-3}
plain = {"batch_size": 200, "n_epochs": 10, "learning_rate": 2e-3}
for name, algorithm, policy, env, evaluate, options in (
    ("recurrent", RecurrentPPO, "MlpLstmPolicy", bandit, evaluation.evaluate_policy, lstm),
    ("maskable", MaskablePPO, "MlpPolicy", taxi, masked.evaluate_policy, plain),
):
    if name in sys.argv or not {"recurrent", "maskable"} & set(sys.argv):
        for_training, held_out = (env_util.make_vec_env(env, 8, seed=s) for s in (0, 2**31))
        model = algorithm(policy, for_training, n_steps=200, seed=0, device="cpu", **options)
        before, _ = evaluate(model, held_out, args.n_evaluations, deterministic=False)
        model.learn(args.n_steps)
        held_out.seed(2**31)  # the same tasks again
        after, spread = evaluate(model, held_out, args.n_evaluations, deterministic=False)
        spread /= args.n_evaluations**0.5
        print(f"{name}: {before:.1f} before, {after:.1f} ± {spread:.1f} after")
