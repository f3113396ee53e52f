"""The folder of one training run, and how it survives interruptions.

    config.json            settings of the run, and the versions of what ran it
    metrics.csv            one row per iteration
    tensorboard/           the same for TensorBoard
    checkpoint.zip         the model after the last saved iteration, with its optimizer; to train on
    policy/                its policy alone, as anyone can load it without trust; to evaluate
    evaluation.json        what the agents got in the held-out tasks
    evaluation-ood.json    the same for the variation "ood"; others alike

Files are written beside their place and then moved there, so that an interruption leaves the old
file or the new one, never half of one. What cannot be read is reported and left alone.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from stable_baselines3.common.vec_env import VecEnv

from rl3_sb3.experiments.config import RunConfig
from rl3_sb3.experiments.domains import CANONICAL
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation import Evaluation
from rl3_sb3.ppo import TransformerPPO

_PACKAGES = ("vamdp", "torch", "stable-baselines3", "gymnasium", "numpy", "numba")


class RunDirectory:
    """Reads and writes the files of a run.

    Args:
        path: The folder; it need not exist yet.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.json"
        self.metrics_file = self.path / "metrics.csv"
        self.tensorboard = self.path / "tensorboard"
        self.checkpoint_file = self.path / "checkpoint.zip"
        self.policy_folder = self.path / "policy"

    def evaluation_file(self, variation: str) -> Path:
        """Return where the evaluation of this distribution lies."""
        suffix = "" if variation == CANONICAL else f"-{variation}"
        return self.path / f"evaluation{suffix}.json"

    # ---------------------------------------------------------------- configuration

    def begin(self, config: RunConfig) -> None:
        """Make the folder and store the settings.

        Raises:
            InputError: There is a file of this name, or a folder with other contents.
        """
        if self.path.is_file() or (self.path.is_dir() and any(self.path.iterdir())):
            raise InputError(
                f"`--out` must be a new folder, an empty one or a run's, got {self.path}, which "
                "has no config.json. Choose another one."
            )
        self.path.mkdir(parents=True, exist_ok=True)
        self._write_json(self.config_file, {"run": config.to_dict(), "versions": _versions()})

    def read_config(self) -> RunConfig:
        """Return the stored settings.

        Raises:
            InputError: There are none, or they cannot be read.
        """
        if not self.config_file.is_file():
            raise InputError(
                f"`DIR` must be the folder of a run, got {self.path}, which has no config.json. "
                "Pass the --out of an earlier `rl3 train`."
            )
        values = self._read_json(self.config_file)
        return RunConfig.from_dict(values.get("run", {}), source=str(self.config_file))

    # ---------------------------------------------------------------- checkpoint

    def save_checkpoint(self, model: TransformerPPO) -> None:
        """Replace the checkpoint and the exported policy.

        Raises:
            InputError: The policy cannot be exported: training has diverged.
        """
        replace_file(self.checkpoint_file, model.save)
        config = self.read_config()
        try:
            model.export(self.policy_folder, environment=config.sentence)
        except ValueError as error:
            raise InputError(str(error)) from error

    def load_checkpoint(self, env: VecEnv, device: str) -> TransformerPPO:
        """Return the stored model on these environments.

        Raises:
            InputError: There is none, it is damaged, or it was made for other observations.
        """
        file = self.checkpoint_file
        if not file.is_file():
            raise InputError(
                f"`DIR` must hold a checkpoint, got {self.path} without {file.name}. "
                "Train first: `rl3 train` writes it."
            )
        try:
            return TransformerPPO.load(file, env, device=device)
        except (ValueError, KeyError) as error:
            raise InputError(
                f"`{file}` must be a complete checkpoint of the run in {self.config_file.name}, "
                f"got one that cannot be used: {error} Restore both files from a copy, or train "
                "into another folder."
            ) from error

    # ---------------------------------------------------------------- evaluations

    def write_evaluation(self, evaluation: Evaluation) -> Path:
        """Replace the evaluation of this distribution and return its file."""
        file = self.evaluation_file(evaluation.variation)
        self._write_json(file, evaluation.to_dict())
        return file

    def read_evaluation(self, variation: str) -> Evaluation | None:
        """Return the stored evaluation of this distribution; None if there is none.

        Raises:
            InputError: It cannot be read.
        """
        file = self.evaluation_file(variation)
        if not file.is_file():
            return None
        values = self._read_json(file)
        try:
            return Evaluation.from_dict(values)
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"`{file}` must be an evaluation, got a file in which {error} is missing. "
                "Write it again with `rl3 evaluate`."
            ) from error

    # ---------------------------------------------------------------- JSON

    def _write_json(self, file: Path, values: Mapping[str, Any]) -> None:
        text = json.dumps(values, indent=2) + "\n"
        replace_file(file, lambda temporary: temporary.write_text(text, encoding="utf-8"))

    def _read_json(self, file: Path) -> dict[str, Any]:
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(
                f"`{file}` must be complete JSON, got a damaged file ({error}). "
                "Restore it from a copy, or choose another folder."
            ) from error
        if not isinstance(values, dict):
            raise InputError(f"`{file}` must hold a JSON object, got {type(values).__name__}.")
        return values


def replace_file(file: Path, write: Callable[[Path], Any]) -> None:
    """Write a file beside its place and move it there."""
    temporary = file.with_name(f".{file.stem}.{os.getpid()}{file.suffix}")
    try:
        write(temporary)
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions
