"""Environments that forbid actions."""

import hashlib

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import DummyVecEnv

from rl3_sb3 import GymnasiumVecEnv

THREE = spaces.Discrete(3)
EACH = pytest.mark.parametrize("policy", ["TransformerPolicy", "LstmPolicy", "MarkovPolicy"])
ROADS = pytest.mark.parametrize("road", ["info", "method"])
NO_OTHER = [True, True, True]


def mask_of(observation):
    """Which actions an observation allows: its largest entries', at least one."""
    mask = np.asarray(observation)[:3] > 0.2
    mask[int(np.argmax(observation[:3]))] = True
    return mask


class Masked(gym.Env):
    """Random observations that say which actions are allowed; others are an error.

    Args:
        length: Of an episode.
        road: How masks are told: by "info", by "method", or "not".
        truncates: Whether a time limit ends it.
        gives: observation -> mask, or None for none.
    """

    def __init__(self, length, road="info", truncates=False, gives=mask_of, strict=True):
        self.observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float32)
        self.action_space = THREE
        self.length, self.truncates, self.gives = length, truncates, gives
        self.road, self.strict = road, strict
        if road == "method":
            self.action_masks = lambda: self.gives(self.observation)

    def _observe(self):
        self.observation = self.np_random.standard_normal(4, dtype=np.float32)
        info = {}
        if self.road == "info":
            mask = self.gives(self.observation)
            is_usual = isinstance(mask, np.ndarray) and mask.dtype == bool
            info["action_mask"] = mask.astype(np.int8) if is_usual else mask  # Taxi's are int8
        return self.observation, info

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self._observe()

    def step(self, action):
        if self.strict and self.road != "not":
            mask = self.gives(self.observation)
            assert mask is None or mask[action], f"{action} is forbidden"
        reward = float(self.observation[0] * action + 0.1)
        self.t += 1
        over = self.t == self.length
        observation, info = self._observe()
        if over and "action_mask" in info and not self.truncates:  # nothing need be allowed then
            info["action_mask"] = np.zeros(3, np.int8)
        return observation, reward, over and not self.truncates, over and self.truncates, info


def vec(kind, lengths, **kwargs):
    """The same environments side by side, in one of three ways."""
    fns = [lambda n=n: Masked(n, **kwargs) for n in lengths]
    if kind == "dummy":
        return DummyVecEnv(fns)
    mode = AutoresetMode.SAME_STEP if kind == "same-step" else AutoresetMode.DISABLED
    return GymnasiumVecEnv(SyncVectorEnv(fns, autoreset_mode=mode), info_keys=())


def collected(model):
    model.set_logger(configure(None, []))
    _, callback = model._setup_learn(1)
    assert model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
    return model


def bits(model):
    return hashlib.sha256(model.policy.parameters_to_vector().tobytes()).hexdigest()
