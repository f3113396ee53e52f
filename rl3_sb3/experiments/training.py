"""One training run: from its configuration, or on from its checkpoint, to its last iteration.

    batched tasks -> ValueAugment -> MetaEpisode -> GymnasiumVecEnv -> VecMonitor -> TransformerPPO

A run can stop after any iteration: at its end, at a time limit, by an interruption. Between
iterations every environment is about to begin a new task, so the checkpoint is the model alone. A
continued run draws new tasks; it is not yet, bit for bit, the run that was never interrupted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv, VecMonitor

from rl3_sb3.experiments.config import RunConfig
from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.experiments.metrics import MetricsFile
from rl3_sb3.experiments.run_directory import RunDirectory
from rl3_sb3.ppo import TransformerPPO
from rl3_sb3.vec_env import GymnasiumVecEnv

# Called after every rollout with the steps done and the mean return of its meta-episodes.
Report = Callable[[int, float], None]

_SECONDS_BETWEEN_CHECKPOINTS = 60.0

# The next iteration may take this much longer than the longest one so far. The first does not count
# once there is another: it compiles.
_MARGIN = 1.2


def train(
    directory: RunDirectory,
    config: RunConfig,
    *,
    device: str = "auto",
    time_limit: float = math.inf,
    report: Report | None = None,
) -> TransformerPPO:
    """Train a run to its end, or until its time is over.

    Args:
        directory: Holds the run's configuration already. If it has a checkpoint, training goes on
            from there.
        config: That configuration.
        device: "auto" takes a CUDA device if there is one.
        time_limit: Seconds from now. No iteration begins that would probably end later; the first
            one always does.
        report: Called after every rollout.

    Returns:
        The model as its checkpoint holds it.

    Raises:
        InputError: The checkpoint cannot be used; no file is changed then.
    """
    deadline = time.monotonic() + time_limit
    env = make_training_env(config)
    try:
        if directory.checkpoint_file.exists():
            model = directory.load_checkpoint(env, device)
        else:
            model = make_model(config, env, device)
            directory.save_checkpoint(model)
        n_done = model.num_timesteps
        if n_done >= config.total_steps:
            return model
        model.set_random_seed(config.environment_seed(n_done))
        directory.tensorboard.mkdir(exist_ok=True)
        metrics = MetricsFile(directory.metrics_file, n_done)
        tensorboard = TensorBoardOutputFormat(str(directory.tensorboard))
        logger = Logger(str(directory.path), [metrics, tensorboard])
        model.set_logger(logger)
        keeper = _Keeper(directory, deadline, report)
        try:
            # SB3 counts the steps of this call when the counter is not to start again.
            model.learn(config.total_steps - n_done, keeper, reset_num_timesteps=False)
        finally:
            logger.close()
        model.num_timesteps = keeper.n_steps_trained
        directory.save_checkpoint(model)
        return model
    finally:
        env.close()


def make_training_env(config: RunConfig) -> VecEnv:
    """Return the run's training environments as SB3 takes them, with statistics."""
    envs = make_envs(config, config.n_envs)
    return VecMonitor(GymnasiumVecEnv(envs, info_keys=()))


def make_model(config: RunConfig, env: VecEnv, device: str) -> TransformerPPO:
    """Return an untrained model with the run's settings."""
    return TransformerPPO(
        "MarkovPolicy" if config.algo == "rl3-markov" else "TransformerPolicy",
        env,
        learning_rate=config.learning_rate,
        batch_size=config.batch_size,
        n_epochs=config.n_epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip_range,
        ent_coef=LinearSchedule(config.ent_coef, config.final_ent_coef, 1.0),
        target_kl=config.target_kl,
        vf_coef=config.vf_coef,
        # The mean return of a row in the metrics is then that of the whole rollout.
        stats_window_size=config.n_envs,
        seed=config.environment_seed(0),
        device=device,
    )


class _Keeper(BaseCallback):
    """Saves checkpoints between iterations, and stops before the deadline.

    Attributes:
        n_steps_trained: Steps of the iterations that are complete, their update included.
    """

    def __init__(self, directory: RunDirectory, deadline: float, report: Report | None) -> None:
        super().__init__()
        self.n_steps_trained = 0
        self._directory = directory
        self._deadline = deadline
        self._report = report
        self._seconds: list[float] = []  # of each iteration
        self._started: float | None = None
        self._saved = time.monotonic()
        self._stop = False

    def _on_rollout_start(self) -> None:
        now = time.monotonic()
        self.n_steps_trained = self.model.num_timesteps
        if self._started is not None:
            self._seconds.append(now - self._started)
            longest = max(self._seconds[1:] or self._seconds)
            self._stop = now + _MARGIN * longest > self._deadline
        self._started = now
        if not self._stop and now - self._saved > _SECONDS_BETWEEN_CHECKPOINTS:
            assert isinstance(self.model, TransformerPPO), "train() makes no other"
            self._directory.save_checkpoint(self.model)
            self._saved = now

    def _on_step(self) -> bool:
        # Only here can SB3 be told to stop; the step just taken is not trained on.
        return not self._stop

    def _on_rollout_end(self) -> None:
        if self._report is not None:
            returns = [episode["r"] for episode in self.model.ep_info_buffer or ()]
            self._report(self.model.num_timesteps, float(np.mean(returns)))

    def _on_training_end(self) -> None:
        if not self._stop:
            self.n_steps_trained = self.model.num_timesteps
