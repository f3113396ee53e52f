"""CliffWalking, Taxi and Blackjack: one agent without a network, three environments.

It tries what the counts call untried for the first half of its steps, and then does what the values
say. A mask of actions that an environment gives in info is respected; Blackjack's observations, a
tuple of numbers, are their own key; HoldSeed keeps Taxi's passenger, who would be another one in
every episode.

    python examples/toy_text.py
"""

import sys
from dataclasses import dataclass

import gymnasium
import numpy as np

import vamdp


@dataclass
class Arguments:
    """What can be changed."""

    steps: int = 10_000
    """in each environment"""
    seed: int = 0
    """of the environments"""


args = Arguments(steps=1000) if "--smoke" in sys.argv else Arguments()
rng = np.random.default_rng(args.seed)
taxi = gymnasium.make("Taxi-v4" if "Taxi-v4" in gymnasium.registry else "Taxi-v3")
environments = {
    "CliffWalking": vamdp.ValueAugment(gymnasium.make("CliffWalking-v1"), task_horizon=100),
    "Taxi": vamdp.ValueAugment(vamdp.HoldSeed(taxi), task_horizon=200),
    "Blackjack": vamdp.ValueAugment(gymnasium.make("Blackjack-v1"), task_horizon=12),
}
for name, env in environments.items():
    observation, info = env.reset(seed=args.seed)
    returns, total = {True: [], False: []}, 0.0
    for t in range(args.steps):
        exploring = t < args.steps / 2
        allowed = np.asarray(info.get("action_mask", np.ones(env.action_space.n)), bool)
        part = (
            -observation[env.layout["count"]] if exploring else observation[env.layout["advantage"]]
        )
        part = np.where(allowed, part, -np.inf)
        observation, reward, terminated, truncated, info = env.step(int(part.argmax()))
        total += reward
        if terminated or truncated:
            returns[exploring].append(total)
            observation, info = env.reset()
            total = 0.0
    tried, done = (np.mean(returns[exploring] or np.nan) for exploring in (True, False))
    print(f"{name:12s} {env.estimator.n_states:3d} states: mean return {tried:.2f} while trying, "
          f"{done:.2f} with the values")  # fmt: skip
