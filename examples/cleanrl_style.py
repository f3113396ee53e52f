"""PPO in one file, in CleanRL's style, on the batched wrappers: every step of it is in view.

Printed is the mean total reward of ten rollouts; a random agent gets half of the horizon.

    python examples/cleanrl_style.py
"""

import sys
from dataclasses import dataclass

import gymnasium
import torch
from torch import nn
from torch.distributions import Categorical

import vamdp


@dataclass
class Arguments:
    """What can be changed."""

    horizon: int = 20
    """pulls of a meta-episode, and steps of a rollout"""
    n_envs: int = 128
    """bandits that are played at the same time"""
    n_rollouts: int = 100
    """each with an update"""


args = Arguments(n_envs=8, n_rollouts=20) if "--smoke" in sys.argv else Arguments()
torch.manual_seed(0)
envs = gymnasium.make_vec("vamdp/Bandit-v0", args.n_envs, vectorization_mode="vector_entry_point")
envs = vamdp.vector.ValueAugment(envs, task_horizon=1, reward_model="state_action")
envs = vamdp.vector.MetaEpisode(envs, args.horizon)
(size,), n_actions = envs.single_observation_space.shape, envs.single_action_space.n
actor = nn.Sequential(nn.Linear(size, 64), nn.Tanh(), nn.Linear(64, n_actions))
critic = nn.Sequential(nn.Linear(size, 64), nn.Tanh(), nn.Linear(64, 1), nn.Flatten(-2))
optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=3e-3)
x_next, returns = torch.as_tensor(envs.reset(seed=0)[0]), []
for _ in range(args.n_rollouts):
    steps = []
    for _ in range(args.horizon):  # the last step begins the next meta-episodes
        x, policy = x_next, Categorical(logits=actor(x_next).detach())
        a = policy.sample()
        x_next, reward = map(torch.as_tensor, envs.step(a.numpy())[:2])
        steps.append((x, a, policy.log_prob(a), reward.float()))
    x, a, old_log_prob, reward = map(torch.stack, zip(*steps, strict=True))
    returns.append(reward.sum(0).mean().item())
    to_go = reward.flip(0).cumsum(0).flip(0)  # to the end: beyond it there is nothing
    for _ in range(10):
        error = to_go - critic(x)
        advantage = (error.detach() - error.mean().item()) / (error.std().item() + 1e-8)
        ratio = (Categorical(logits=actor(x)).log_prob(a) - old_log_prob).exp()
        surrogate = torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
        optimizer.zero_grad()
        (error.square().mean() / 2 - surrogate.mean()).backward()
        optimizer.step()
    if len(returns) % 10 == 0:
        print(f"after {len(returns)} rollouts: total reward {sum(returns[-10:]) / 10:.1f}")
