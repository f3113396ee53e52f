"""CartPole, whose observations are four real numbers: cut into bins, learn.

The position gets a single bin, since the pole falls sooner than the cart leaves. What lies outside
of the bounds belongs to the outermost bins. An agent without a network keeps the pole up longer and
longer, in one meta-episode; a random one keeps it for 22 steps.

    python examples/cartpole_discretised.py
"""

import sys
from dataclasses import dataclass

import gymnasium
import numpy as np

import vamdp


@dataclass
class Arguments:
    """What can be changed."""

    horizon: int = 10_000
    """steps of the meta-episode"""
    bins: tuple[int, ...] = (1, 4, 8, 6)
    """of position, velocity, angle and angular velocity"""
    seed: int = 0
    """of the environment and of the agent"""


args = Arguments(horizon=500) if "--smoke" in sys.argv else Arguments()
rng = np.random.default_rng(args.seed)

high = np.array([2.4, 3.0, 0.21, 3.0])
bins = vamdp.StateBins(args.bins, -high, high)
env = gymnasium.make("CartPole-v1")
env = vamdp.ValueAugment(env, task_horizon=100, state_key=bins, gamma=0.97, smoothing=0.01)
env = vamdp.MetaEpisode(env, args.horizon)

observation, info = env.reset(seed=args.seed)
ends = [0]
for t in range(args.horizon):
    advantage, count = (observation[env.layout[part]] for part in ("advantage", "count"))
    untried = count.min() == 0 or rng.random() < 0.02
    action = int(np.argmin(count) if untried else np.argmax(advantage))
    observation, reward, terminated, truncated, info = env.step(action)
    if info["episode_end"]:
        ends.append(t + 1)

for part in np.array_split(np.diff(ends), 5):
    print(f"{len(part)} episodes of {part.mean():.0f} steps on average")
