"""The environments that a run learns from, as Stable-Baselines3 takes them.

What PPO learns from need not be the reward: `signal` "regret" puts the expected advantage of each
action in the true task in its place (see `vamdp.RegretReward`), and `signal_scale` multiplies
either. The statistics are of the sampled rewards all the same, so that learning curves compare.

Nor need the critic see what the actor sees: with `critic_sees` "task" observations are a `Dict` of
the actor's observation and of what the true task's optimum says (see `vamdp.ShowTask`), which the
critic alone reads. Where the policy acts, it has the environments of `make_envs`.
"""

from __future__ import annotations

import time

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

import vamdp.vector
from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.vec_env import GymnasiumVecEnv

# Where `RegretReward` tells the sampled reward.
_SAMPLED = "reward"


def make_learning_env(config: RunConfig, n_envs: int) -> VecEnv:
    """Return environments that give a run's learning signal, with statistics of the rewards.

    Args:
        config: The run.
        n_envs: How many.
    """
    envs = make_envs(config, n_envs)
    if config.signal == "regret":
        envs = vamdp.vector.RegretReward(envs, gamma=config.gamma)
        keys: tuple[str, ...] = (_SAMPLED,)
    else:
        keys = ()
    if config.critic_sees == "task":
        scale = config.reward_scale
        envs = vamdp.vector.ShowTask(
            envs, gamma=config.gamma, advantage_scale=scale, gain_scale=scale
        )
    return ReturnMonitor(GymnasiumVecEnv(envs, info_keys=keys), config.signal_scale)


def check_environments(config: RunConfig) -> None:
    """Make a run's environments once, so that what is wrong with them is known before it begins.

    Raises:
        InputError: They cannot be made.
    """
    try:
        env = make_learning_env(config, 1)
        env.reset()  # some learners find only now that their options are for other states
        env.close()
    except (TypeError, ValueError) as error:
        raise InputError(f"The environments of {config.domain} cannot be made: {error}") from error


class ReturnMonitor(VecEnvWrapper):
    """Scales the learning signal, and tells the total sampled reward where a meta-episode ends.

    `info["episode"]` has the keys of SB3's own monitors: "r" total reward, "l" steps, "t" seconds
    since the monitor was made.

    Args:
        venv: What is monitored. A reward of another kind comes with the sampled one in
            `info["reward"]`.
        scale: What the rewards are multiplied by.
    """

    def __init__(self, venv: VecEnv, scale: float = 1.0) -> None:
        super().__init__(venv)
        self._scale = scale
        self._began = time.monotonic()
        self._totals = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, np.int64)

    def reset(self) -> VecEnvObs:
        """Reset all environments; the meta-episodes before are dropped."""
        self._totals[:] = 0
        self._lengths[:] = 0
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """Step all environments."""
        observations, rewards, dones, infos = self.venv.step_wait()
        if _SAMPLED in infos[0]:
            self._totals += [info[_SAMPLED] for info in infos]
        else:
            self._totals += rewards
        self._lengths += 1
        seconds = round(time.monotonic() - self._began, 6)
        for i in np.flatnonzero(dones):
            episode = {"r": float(self._totals[i]), "l": int(self._lengths[i]), "t": seconds}
            infos[i] = {**infos[i], "episode": episode}
        self._totals[dones] = 0
        self._lengths[dones] = 0
        if self._scale != 1.0:
            rewards = rewards * np.asarray(self._scale, rewards.dtype)
        return observations, rewards, dones, infos
