"""Make the training record of a model, for its exported policy."""

import warnings
from collections.abc import Mapping
from typing import Any

from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from rl3_sb3.policy_files.record import TrainingRecord
from rl3_sb3.rollout.rollout_length import environment_id

_HYPER_PARAMETERS = (
    "learning_rate",
    "n_steps",
    "n_envs",
    "batch_size",
    "n_epochs",
    "gamma",
    "gae_lambda",
    "clip_range",
    "normalize_advantage",
    "normalize_returns",
    "ent_coef",
    "vf_coef",
    "max_grad_norm",
    "target_kl",
)


def training_record(
    model: OnPolicyAlgorithm,
    *,
    environment: str | None,
    description: str,
    results: Mapping[str, Any] | None,
) -> TrainingRecord:
    """Return the record of a model's training; the arguments are those of `export`.

    Warns:
        UserWarning: The environment normalises observations with statistics that are not exported.
    """
    if model.get_vec_normalize_env() is not None:
        warnings.warn(
            "`env` is a VecNormalize, whose statistics are not exported: the policy acts as "
            "trained only on observations normalised with them. Publish the file of "
            "`VecNormalize.save` too, and mention it in `description`.",
            stacklevel=3,
        )
    return TrainingRecord(
        algorithm=type(model).__name__,
        environment=environment_id(model.env) if environment is None else environment,
        description=description,
        n_steps=model.num_timesteps + getattr(model, "n_steps_before", 0),
        seed=model.seed,
        hyper_parameters={n: _first_and_last(getattr(model, n)) for n in _HYPER_PARAMETERS},
        results=results or {},
    )


def _first_and_last(value: Any) -> Any:
    """Return a number unchanged, and a schedule as its first and last value if they differ."""
    if not callable(value):
        return value
    first, last = float(value(1.0)), float(value(0.0))
    return first if first == last else [first, last]
