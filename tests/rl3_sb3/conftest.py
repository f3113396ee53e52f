from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rl3_sb3 import GymnasiumVecEnv, TransformerPPO

# The tests share a machine with others, and small networks gain nothing from threads.
th.set_num_threads(1)

SMALL = {"d_model": 16, "n_layers": 2, "n_heads": 2, "d_ff": 32, "input_hidden": 24}
SIZES: dict[str, dict[str, int]] = {
    "TransformerPolicy": SMALL,
    "LstmPolicy": {"hidden": 16, "n_layers": 2, "input_hidden": 24},
    "MarkovPolicy": {},
}


class ScriptedEnv(gym.Env[Any, Any]):
    """Random observations and episodes of a scripted length.

    The reward is the observation's first entry plus the (first) action, so that it is never zero
    and depends on both.
    """

    def __init__(
        self,
        length: int = 6,
        truncates: bool = False,
        box_actions: bool = False,
        dict_obs: bool = False,
        obs_dim: int = 4,
        horizon: int | None = None,
        masked: bool = False,
    ) -> None:
        box = spaces.Box(-np.inf, np.inf, (obs_dim,), np.float32)
        small = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.observation_space = spaces.Dict({"b": box, "a": small}) if dict_obs else box
        self.action_space = (
            spaces.Box(-1, 1, (2,), np.float32) if box_actions else spaces.Discrete(3)
        )
        self.length, self.truncates = length, truncates
        self.n_resets = 0
        if masked:  # forbids the action of the smallest of three entries
            self.action_masks = lambda: np.arange(3) != np.argmin(self.obs[:3])
        if horizon is not None:
            self.horizon = horizon

    def observe(self) -> Any:
        if isinstance(self.observation_space, spaces.Dict):
            return {
                "b": self.np_random.standard_normal(4, dtype=np.float32),
                "a": self.np_random.standard_normal(2, dtype=np.float32),
            }
        return self.np_random.standard_normal(self.observation_space.shape, dtype=np.float32)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        self.options = options
        self.obs = self.observe()
        self.n_resets += 1
        return self.obs, {"start": self.n_resets}

    def step(self, action: Any) -> Any:
        first = self.obs["b"] if isinstance(self.obs, dict) else self.obs
        reward = float(first[0] + np.ravel(action)[0])
        self.t += 1
        over = self.t == self.length
        self.obs = self.observe()
        return self.obs, reward, over and not self.truncates, over and self.truncates, {"t": self.t}

    def double(self, x: int) -> int:
        return 2 * x * self.length


MakeVec = Callable[..., GymnasiumVecEnv]


@pytest.fixture
def make_env() -> type[ScriptedEnv]:
    return ScriptedEnv


@pytest.fixture
def make_vec() -> MakeVec:
    """Environments of these lengths, side by side."""

    def make(lengths: list[int], mode: Any = AutoresetMode.SAME_STEP, **kwargs: Any) -> Any:
        fns = [lambda n=n: ScriptedEnv(n, **kwargs) for n in lengths]
        return GymnasiumVecEnv(SyncVectorEnv(fns, autoreset_mode=mode))

    return make


@pytest.fixture
def make_model() -> Callable[..., TransformerPPO]:
    def make(env: Any, policy: str = "TransformerPolicy", **kwargs: Any) -> TransformerPPO:
        if policy in SIZES:
            kwargs["policy_kwargs"] = {**SIZES[policy], **kwargs.get("policy_kwargs", {})}
        defaults = {"batch_size": 12, "n_epochs": 2, "seed": 0, "device": "cpu"}
        return TransformerPPO(policy, env, **{**defaults, **kwargs})

    return make
