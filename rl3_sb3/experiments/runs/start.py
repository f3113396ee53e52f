"""Where a run starts from: the networks of a published agent, a run, or an exported policy."""

from __future__ import annotations

import hashlib
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch as th

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.runs.learning_env import make_learning_env
from rl3_sb3.experiments.runs.model import make_model
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.policy_files.folder import DESCRIPTION_FILE, load_policy
from rl3_sb3.ppo import TransformerPPO
from rl3_sb3.sequence_policy import SequencePolicy

# With other divisors, the same numbers of an observation mean other values.
_SCALES = ("value_scale", "count_scale", "reward_scale")
# Other networks belong to other ones.
_SHAPING = ("domain", "algo", "size", "horizon", "policy")
# With another of these, a critic's values are of other returns.
_OF_RETURNS = ("signal", "signal_scale", "gamma", "critic_sees")


def check_start(config: RunConfig) -> dict[str, Any] | None:
    """Check what a run would start from, before it begins; return what `start` returns.

    Raises:
        InputError: See `start`.
    """
    if config.start_from is None:
        return None
    config = replace(config, n_envs=2)
    with closing(make_learning_env(config, 2)) as env:
        return start(make_model(config, env, "cpu"), config)


def start(model: TransformerPPO, config: RunConfig) -> dict[str, Any]:
    """Give a new model the networks of the policy in the folder `config.start_from`.

    That is the folder of an exported policy, or one that has it in `policy/`. If the folder has a
    run's settings too, the scales of observations must be the run's. The critic is taken over only
    if the settings say that it estimates the same returns.

    Args:
        model: The model, which has not been trained.
        config: Its run.

    Returns:
        What identifies that policy: `n_steps` for which it had been trained, the checksum of its
        `weights`, and whether its critic was taken over too (`with_critic`).

    Raises:
        InputError: There is no policy, it cannot be read, or it does not fit the model.
    """
    assert config.start_from is not None, "else there is nothing to start from"
    path = Path(config.start_from)
    earlier = _settings_in(path)
    if earlier is not None:
        _require_same_scales(config, earlier)
    policy = _policy_in(path, model.device)
    try:
        with_critic = model.start_from(policy, critic=_same_returns(config, earlier))
    except ValueError as error:
        reason = str(error) if earlier is None else _differences(config, earlier) or str(error)
        raise InputError(f"`start_from` must fit the run, got {path}: {reason}") from error
    weights = hashlib.sha256()
    for name, tensor in policy.state_dict().items():
        weights.update(name.encode() + tensor.cpu().numpy().tobytes())
    return {
        "n_steps": model.n_steps_before,
        "weights": weights.hexdigest(),
        "with_critic": with_critic,
    }


def _policy_in(path: Path, device: th.device) -> SequencePolicy:
    try:
        return load_policy(path if _is_policy(path) else RunDirectory(path).policy_folder, device)
    except (OSError, ValueError) as error:
        raise InputError(
            "`start_from` must be the folder of a published agent, a run or an exported policy, "
            f"got {path}: {error}{_hint(path)}"
        ) from error


def _hint(path: Path) -> str:
    """Return a question if only the folder of the published agent was left out."""
    published = Path("pretrained", path.name)
    with suppress(OSError, ValueError):  # no name of a file
        if not path.exists() and published.is_dir():
            return f" Did you mean {published}?"
    return ""


def _settings_in(path: Path) -> RunConfig | None:
    """Return the settings of the run in a folder or around its policy; None if there are none."""
    try:
        folders = (path, path.resolve().parent) if _is_policy(path) else (path,)
        files = [RunDirectory(folder).config_file for folder in folders]
        found = next((file for file in files if file.exists()), None)
    except (OSError, ValueError):  # no name of a file: `_policy_in` says so
        return None
    return None if found is None else found.read()


def _is_policy(path: Path) -> bool:
    return (path / DESCRIPTION_FILE).is_file()


def _require_same_scales(config: RunConfig, earlier: RunConfig) -> None:
    for name in _SCALES:
        own, other = getattr(config, name), getattr(earlier, name)
        if own != other:
            raise InputError(
                f"`{name}` must be {other} as in the run that `start_from` names, "
                f"{config.start_from}, got {own}: its networks would misread the observations. "
                f"Pass {name}={other}."
            )


def _differences(config: RunConfig, earlier: RunConfig) -> str:
    """Return in words what makes the networks of two runs differ; "" if they should fit."""
    own, other = config.flat(), earlier.flat()
    names = [
        name
        for name in own
        if (name in _SHAPING or name.startswith("policy.")) and own[name] != other.get(name)
    ]
    given = " and ".join(f"{name} {other.get(name, 'left out')}" for name in names)
    return given and f"it is of {given}, here {' and '.join(str(own[name]) for name in names)}."


def _same_returns(config: RunConfig, earlier: RunConfig | None) -> bool:
    if earlier is None:
        return False
    return all(getattr(config, name) == getattr(earlier, name) for name in _OF_RETURNS)
