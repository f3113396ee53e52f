"""Trajectories of runs, relabelled or played in other tasks."""

import numpy as np
import torch as th

import vamdp
from rl3_sb3 import GymnasiumVecEnv, Symmetry
from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.rollout.buffer import SequenceBatch

N_ENVS, H = 4, 23


def token(observations):
    """What the critic reads, (n_envs, C): the actor's part first, see `rl3_sb3.tokens`."""
    if not isinstance(observations, dict):
        return observations
    return np.concatenate([observations["observation"], observations["task"]], axis=1)


def tokens_of(config, tasks, actions):
    """Tokens (n_envs, H, C) and rewards (n_envs, H) of a meta-episode with these actions."""
    envs = make_envs(config, N_ENVS)
    if config.critic_sees == "task":
        envs = vamdp.vector.ShowTask(envs)
    symmetry = Symmetry.of(GymnasiumVecEnv(envs))
    seen, rewards = [token(envs.reset(seed=11, options={"task": tasks})[0])], []
    for t in range(H):
        observations, reward, *_ = envs.step(actions[:, t])
        seen.append(token(observations))
        rewards.append(reward)
    return np.stack(seen[:-1], axis=1), np.stack(rewards, axis=1), symmetry


def relabelled(relabelling, tokens, actions):
    """The relabelled tokens and actions of trajectories."""
    n_actions = relabelling.symmetry.n_actions
    nothing = th.zeros(actions.shape)
    batch = SequenceBatch(
        th.as_tensor(tokens),
        th.as_tensor(actions),
        th.zeros(*actions.shape, n_actions),
        nothing,
        nothing,
        nothing,
        None,
    )
    batch = relabelling.of(batch, np.arange(len(actions)))
    return batch.tokens.numpy(), batch.actions.numpy()
