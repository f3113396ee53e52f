"""NaN and infinity stop training, and are named."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3.common.vec_env import DummyVecEnv

from rl3_sb3.update.updates import DivergedError

from .parts import EACH


class Broken(gym.Wrapper):
    """Gives NaN in its fifth step, which may be the last of an episode."""

    def __init__(self, env, what):
        super().__init__(env)
        self.what, self.steps = what, 0

    def step(self, action):
        obs, reward, *rest = self.env.step(action)
        self.steps += 1
        if self.steps == 5:
            obs, reward = (obs, np.nan) if self.what == "reward" else (obs * np.nan, reward)
        return obs, reward, *rest


@pytest.mark.parametrize(
    ("what", "length", "step"),
    [("reward", 8, 4), ("observation", 8, 5), ("observation after the action", 5, 4)],
)
def test_an_environment_that_gives_no_number_is_named(make_env, make_model, what, length, step):
    env = DummyVecEnv([lambda: make_env(8), lambda: Broken(make_env(length, truncates=True), what)])
    model = make_model(env, n_steps=8)
    before = model.policy.parameters_to_vector()
    message = rf"the {what} .*nan.* in environment 1 at step {step} \(from 0\) of the rollout"
    with pytest.raises(ValueError, match=message):
        model.learn(16)
    np.testing.assert_array_equal(model.policy.parameters_to_vector(), before)


@EACH
def test_training_that_is_no_longer_finite_stops_at_once(make_vec, make_model, policy):
    def rate(progress):
        return 1e-3 if progress > 0.5 else 1e30

    model = make_model(make_vec([4] * 3), policy, n_steps=4, learning_rate=rate, target_kl=None)
    with pytest.raises(DivergedError, match=r"iteration 2, after 24 steps.*`learning_rate`"):
        model.learn(48)


def test_parameters_that_are_not_finite_stop_training_even_if_losses_are(make_vec, make_model):
    model = make_model(make_vec([4] * 3), n_steps=4, n_epochs=1, batch_size=1000, target_kl=None)
    model.learn(12)
    with th.no_grad():  # a position that no episode reaches is in no loss
        model.policy.critic.register_parameter("unused", th.nn.Parameter(th.tensor([np.nan])))
    with pytest.raises(DivergedError, match=r"norm of all parameters = nan in iteration 2"):
        model.learn(12, reset_num_timesteps=False)
