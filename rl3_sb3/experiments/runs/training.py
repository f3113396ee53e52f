"""Train one run, from its configuration or its last checkpoint to its last iteration.

    make_envs -> RegretReward and ShowTask, if wanted -> GymnasiumVecEnv -> ReturnMonitor
              -> TransformerPPO

A run can stop after any iteration: at its end, at a time limit, or on request. It then leaves a
checkpoint. It can also be killed at any moment, and resumes from the last checkpoint. On a CPU, it
ends in both cases with the parameters and the metrics (except the clock's columns) of an
uninterrupted run, bit for bit; `training_state` explains how.

After every `validate_every` iterations the policy is measured on the validation tasks, see
`validation`, and the best one so far is stored.

On several ranks (see `rl3_sb3.ranks`) each steps its share of the environments. Rank 0 reads and
writes the run's files; the other ranks only read checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.runs.end_of_iteration import EndOfIteration
from rl3_sb3.experiments.runs.learning_env import make_learning_env
from rl3_sb3.experiments.runs.metrics import MetricsFile
from rl3_sb3.experiments.runs.model import make_model as make_model
from rl3_sb3.experiments.runs.run_directory import DEFAULT_KEEP, RunDirectory
from rl3_sb3.experiments.runs.start import start
from rl3_sb3.experiments.runs.stop_signals import IterationClock
from rl3_sb3.experiments.runs.tensorboard import TensorBoardFile
from rl3_sb3.experiments.runs.training_state import Stream, get_tasks_streams
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.ppo import TransformerPPO
from rl3_sb3.ranks import (
    from_first_rank,
    gather_over_ranks,
    n_ranks,
    own_share,
    this_rank,
)
from rl3_sb3.update.updates import DivergedError

# Called after every rollout with the steps done and the mean return of the rollout's meta-episodes.
Report = Callable[[int, float], None]


def train(
    directory: RunDirectory,
    config: RunConfig,
    *,
    device: str = "auto",
    time_limit: float = math.inf,
    stop: Callable[[], bool] | None = None,
    save_every: float = 60.0,
    keep: int = DEFAULT_KEEP,
    report: Report | None = None,
) -> TransformerPPO:
    """Train a run until its end, or until it is stopped.

    Interruptions do not change the result.

    Args:
        directory: The run's folder, which already has a configuration. If it has a checkpoint,
            training continues from there.
        config: That configuration.
        device: "auto" uses a CUDA device if there is one.
        time_limit: Seconds from now. An iteration that would probably end later is not started,
            except the first one.
        stop: Called after every iteration; True stops training.
        save_every: Minimum number of seconds between two checkpoints; 0: save after every
            iteration.
        keep: Number of last checkpoints to keep, at least 1, without the best.
        report: Called after every rollout.

    Returns:
        The model as stored in its checkpoint.

    Warns:
        RunWarning: The last checkpoint is damaged, and training continues from the one before.

    Raises:
        InputError: The checkpoints cannot be used, or another process trains here; no file is
            changed then. Or training diverged; the last checkpoint stays.
    """
    clock = IterationClock(time_limit)
    state = None
    writes = this_rank() == 0
    lock = directory.locked() if writes else nullcontext()
    with lock, closing(make_training_env(config)) as env:
        if writes:
            directory.require_going_on()
        file = from_first_rank(directory.checkpoints.newest() if writes else None)
        if file is None:
            model = make_model(config, env, device)
            if config.start_from is not None and writes:  # the other ranks copy rank 0's weights
                directory.config_file.note_start(start(model, config))
        else:
            model = directory.checkpoints.load(file, env, device)
            if model.num_timesteps >= config.total_steps:
                return model
            state = directory.checkpoints.load_state(file)
        metrics = None
        logger = Logger(None, [])
        if writes:
            directory.config_file.note_provenance(str(model.device))
            for folder in (directory.tensorboard, directory.checkpoints.path):
                folder.mkdir(exist_ok=True)
            before = () if state is None else (state.metrics, state.seconds)
            metrics = MetricsFile(directory.metrics_file, *before)
            tensorboard = TensorBoardFile(directory.tensorboard, model.num_timesteps, config)
            logger = Logger(str(directory.path), [metrics, tensorboard])
        model.set_logger(logger)
        if state is not None:
            state.restore(model, env)
        end = EndOfIteration(
            directory=directory,
            config=config,
            metrics=metrics,
            best_return=None if state is None else state.best_return,
            clock=clock,
            stop=stop,
            save_every=save_every,
            keep=keep,
        )
        keeper = _Keeper(end, report)
        try:
            # If its counter must not start again, SB3 counts only the steps of this call.
            n_steps = config.total_steps - model.num_timesteps
            model.learn(n_steps, keeper, reset_num_timesteps=False)
        except _StoppedError:
            pass
        except DivergedError as error:
            good = directory.checkpoints.last_complete() or "none yet"
            raise InputError(f"{error} The last good checkpoint: {good}.") from error
        except Exception as error:  # of the environment: its traceback is the user's
            good = directory.checkpoints.last_complete() or "none yet"
            error.add_note(f"The last good checkpoint: {good}.")
            raise
        finally:
            logger.close()
        return model


def check_ranks(config: RunConfig) -> None:
    """Raise InputError if there are fewer environments than ranks."""
    if config.n_envs < n_ranks():
        raise InputError(
            f"`n_envs` must be at least 1 for each of {n_ranks()} processes, got {config.n_envs}. "
            "Start fewer processes, or train with more environments."
        )


def make_training_env(config: RunConfig) -> VecEnv:
    """Return this rank's training environments, see `make_learning_env`.

    Raises:
        InputError: There are fewer environments than ranks.
    """
    check_ranks(config)
    return make_learning_env(config, len(own_share(range(config.n_envs))))


class _StoppedError(Exception):
    """Ends SB3's loop between two iterations, which has no other way out."""


class _Keeper(BaseCallback):
    """Calls `EndOfIteration` from SB3's loop."""

    reads_steps = False

    def __init__(self, end: EndOfIteration, report: Report | None) -> None:
        super().__init__()
        self._end, self._report = end, report
        self._tasks_streams: Sequence[Stream] | None = None  # at the beginning of this iteration

    def _on_rollout_start(self) -> None:
        if self._tasks_streams is not None and self._end_iteration():
            raise _StoppedError
        self._end.clock.begin()
        self._tasks_streams = get_tasks_streams(self.training_env)

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        assert isinstance(self.model, TransformerPPO), "train() creates no other"
        totals = gather_over_ranks(self.model.rollout_buffer.rewards.sum(axis=1))
        self.logger.record("rollout/signal_mean", float(np.concatenate(totals).mean()))
        if self._report is not None:
            returns = [episode["r"] for episode in self.model.ep_info_buffer or ()]
            self._report(self.model.num_timesteps, float(np.mean(returns)))

    def _on_training_end(self) -> None:
        self._end_iteration()

    def _end_iteration(self) -> bool:
        assert isinstance(self.model, TransformerPPO), "train() creates no other"
        assert self._tasks_streams is not None, "an iteration began"
        return self._end.run(self.model, self._tasks_streams)
