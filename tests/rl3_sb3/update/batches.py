"""Minibatches and models for tests of relabelled actions."""

import torch as th
from gymnasium import spaces

from rl3_sb3.distribution import action_distribution
from rl3_sb3.rollout.buffer import SequenceBatch

THREE = spaces.Discrete(3)
N_ENTRIES = 8


def random_batch(n_sequences=5, T=4, seed=0, mask=None):
    """Steps of a behaviour that is no function of the tokens."""
    generator = th.Generator().manual_seed(seed)
    tokens = th.randn(n_sequences, T, N_ENTRIES, generator=generator)
    params = th.randn(n_sequences, T, 3, generator=generator)
    actions = th.randint(3, (n_sequences, T), generator=generator)
    advantages, returns = th.randn(2, n_sequences, T, generator=generator)
    log_probs = action_distribution(THREE, params).log_prob(actions)
    return SequenceBatch(tokens, actions, params, log_probs, advantages, returns, mask)


def learned(make_vec, make_model, symmetry, lengths=(4, 3, 7, 5)):
    env = make_vec(list(lengths), obs_dim=N_ENTRIES)
    model = make_model(env, n_steps=8, batch_size=12, symmetry=symmetry, learning_rate=3e-3)
    model.learn(2 * 8 * len(lengths))
    return model
