"""A run's model that can be asked for rollouts and updates one at a time, without `learn`."""

from __future__ import annotations

from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.logger import configure

from rl3_sb3 import TransformerPPO
from rl3_sb3.experiments.runs.training import make_model, make_training_env
from rl3_sb3.experiments.settings.run_config import RunConfig


def trainable(config: RunConfig) -> TransformerPPO:
    """Return the model with its environments, silent and on the CPU; see `collect`."""
    model = make_model(config, make_training_env(config), "cpu")
    model.set_logger(configure(None, []))
    model._setup_learn(10**9)
    return model


def collect(model: TransformerPPO) -> None:
    """Collect one rollout; `model.train()` then learns from it."""
    assert model.env is not None, "`trainable` gave it environments"
    callback = CallbackList([])
    callback.init_callback(model)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
