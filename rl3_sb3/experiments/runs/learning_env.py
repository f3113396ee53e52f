"""The environments that a run learns from, in Stable-Baselines3's form.

PPO may learn from another signal than the reward: `signal` "regret" replaces it by the expected
advantage of each action in the true task (see `vamdp.RegretReward`), and `signal_scale` multiplies
either one. Statistics are always those of the sampled rewards, so that learning curves can be
compared.

The critic may see more than the actor: with `critic_sees` "task", an observation is a `Dict` of the
actor's observation and the true task's optimal values (see `vamdp.ShowTask`), which only the critic
reads. For evaluation the policy acts in the environments of `make_envs`.
"""

from __future__ import annotations

import time

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

import vamdp.vector
from rl3_sb3.distribution import check_action_space
from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.experiments.errors import InputError, is_of_others
from rl3_sb3.experiments.runs.model import symmetry_of
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.vec_env import GymnasiumVecEnv

# The key under which `RegretReward` stores the sampled reward.
_SAMPLED = "reward"


def make_learning_env(config: RunConfig, n_envs: int) -> VecEnv:
    """Return environments with a run's learning signal, and statistics of its rewards.

    Args:
        config: The run.
        n_envs: Number of environments.
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
    """Make a run's environments once, to report errors before the run begins.

    Errors out of the user's own code pass, with their traceback.

    Raises:
        InputError: The environments cannot be made.
    """
    try:
        env = make_learning_env(config, 2)
        check_action_space(env.action_space)
        env.reset()  # some learners check only now whether their options fit the states
        if config.symmetry_share > 0:
            symmetry_of(config, env)
        env.close()
    except (TypeError, ValueError, RuntimeError) as error:
        if is_of_others(error):
            raise
        raise InputError(f"The environments of {config.domain} cannot be made: {error}") from error


class ReturnMonitor(VecEnvWrapper):
    """Scales the learning signal, and reports the total sampled reward of each meta-episode.

    `info["episode"]` has the keys of SB3's own monitors: "r" total reward, "l" steps, "t" seconds
    since the monitor was created.

    Args:
        venv: The environments to monitor. If their reward is another signal, `info["reward"]` is
            the sampled reward.
        scale: Factor of the signal.
    """

    def __init__(self, venv: VecEnv, scale: float = 1.0) -> None:
        super().__init__(venv)
        self._scale = scale
        self._began = time.monotonic()
        self._totals = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, np.int64)

    def reset(self) -> VecEnvObs:
        """Reset all environments; unfinished meta-episodes are dropped."""
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
