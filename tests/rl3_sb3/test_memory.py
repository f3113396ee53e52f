"""The defaults are a general class's: a user who sets nothing gets a memory that works."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

from rl3_sb3 import TransformerPPO


class Still(gym.ObservationWrapper):
    """CartPole without its two velocities."""

    def __init__(self, env):
        super().__init__(env)
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def observation(self, observation):
        return observation[[0, 2]]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_transformer_learns_to_balance_a_pole_whose_speed_it_must_remember(seed):
    model = TransformerPPO(
        "TransformerPolicy", make_vec_env("CartPole-v1", 8, seed=seed, wrapper_class=Still),
        seed=seed, device="cpu",
    ).learn(150_000)  # fmt: skip
    env = make_vec_env("CartPole-v1", 8, seed=1000 + seed, wrapper_class=Still)
    assert evaluate_policy(model, env, 16)[0] > 450


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["TransformerPolicy", "MarkovPolicy"])
def test_a_pole_that_is_seen_as_a_whole_is_balanced_too(policy):
    env = make_vec_env("CartPole-v1", 8, seed=0)
    model = TransformerPPO(policy, env, seed=0, device="cpu").learn(100_000)
    assert evaluate_policy(model, make_vec_env("CartPole-v1", 8, seed=1000), 16)[0] > 450


def test_the_critic_learns_returns_of_any_size_at_once(make_vec, make_model):
    """Returns of thousands, which Adam's steps alone would take a hundred thousand to reach."""
    env = make_vec([4] * 8)
    step = env.step_wait

    def paid():
        obs, rewards, dones, infos = step()
        return obs, rewards * 0 + 1000, dones, infos

    env.step_wait = paid
    errors = []
    for normalize in (True, False):
        settings = {"n_steps": 8, "n_epochs": 20, "gamma": 1.0}
        model = make_model(env, "LstmPolicy", normalize_returns=normalize, **settings)
        model.learn(8 * 8 * 10)
        rollout = model.rollout_buffer
        errors.append(abs(rollout.values.mean() - rollout.returns.mean()))
    assert errors[0] < 500 < 2000 < errors[1]
