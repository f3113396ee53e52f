"""The checkpoints of a run: the last few, and the best one.

    checkpoints/step-000000032700.zip    after this many training steps; the last has the most
    checkpoints/best.zip                 the one with the best validation return

Each is an archive in SB3's format (`TransformerPPO.load` reads it) with an additional file,
training_state.json. It is written in one atomic move, and only then are older ones deleted: after
the first save there is always a complete checkpoint. If the last one is damaged, the one before it
is used, which is why two are kept by default.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from stable_baselines3.common.vec_env import VecEnv

from rl3_sb3.checkpoint_file import require_complete_checkpoint
from rl3_sb3.experiments.errors import InputError, RunWarning
from rl3_sb3.experiments.files.atomic_file import remove_leftovers, replace_content
from rl3_sb3.experiments.runs.training_state import TrainingState
from rl3_sb3.ppo import TransformerPPO

_STATE = "training_state.json"
_STEM = "step-"


class Checkpoints:
    """Reads and writes the checkpoints of a run.

    Args:
        path: The folder of the checkpoints; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.best_file = path / "best.zip"

    def files(self) -> list[Path]:
        """Return all but the best, the last first, complete or not."""
        return sorted(self.path.glob(f"{_STEM}*.zip"), key=_n_steps, reverse=True)

    def n_steps(self) -> int:
        """Return the training steps of the last complete one, from its name; 0 without one."""
        file = self.last_complete()
        return 0 if file is None else _n_steps(file)

    def last_complete(self) -> Path | None:
        """Return the last complete checkpoint; None if there is none, or all are damaged."""
        return _first_complete(self.files())

    def newest(self) -> Path | None:
        """Return the last complete checkpoint to continue from; None if there are no checkpoints.

        Warns:
            RunWarning: A later one is damaged.

        Raises:
            InputError: All are damaged.
        """
        files = self.files()
        complete = _first_complete(files)
        if complete is None and files:
            raise InputError(
                f"`{files[0]}` must be a complete checkpoint, got a truncated or damaged file, "
                "and there is no other. Restore it from a copy, or train into another folder."
            )
        if complete is not None and complete != files[0]:
            names = ", ".join(str(file) for file in files[: files.index(complete)])
            warnings.warn(
                f"{names} is damaged: continuing from {complete.name}, the one before.",
                RunWarning,
                stacklevel=2,
            )
        return complete

    def load(self, file: Path, env: VecEnv, device: str) -> TransformerPPO:
        """Return a stored model with these environments.

        Raises:
            InputError: The file is damaged, or was made for other observations.
        """
        try:
            return TransformerPPO.load(file, env, device=device)
        except (ValueError, KeyError) as error:
            raise InputError(
                f"`{file}` must be a complete checkpoint of the run in config.json, got one that "
                f"cannot be used: {error} Restore both files from a copy, or train into another "
                "folder."
            ) from error

    def load_state(self, file: Path) -> TrainingState:
        """Return the training state stored with the model.

        Raises:
            InputError: The checkpoint was saved without one.
        """
        with zipfile.ZipFile(file) as archive:
            if _STATE not in archive.namelist():
                raise InputError(
                    f"`{file}` must hold {_STATE} to continue training, got a model alone. It can "
                    "still be evaluated; train into another folder."
                )
            return TrainingState.from_json(archive.read(_STATE).decode())

    def save(self, model: TransformerPPO, state: TrainingState | None, keep: int) -> None:
        """Write a checkpoint and delete the ones that are too old.

        Args:
            model: The model to save.
            state: The training state. Without it, the model can only be evaluated.
            keep: Number of checkpoints to keep, at least 1, without the best.
        """
        self.path.mkdir(exist_ok=True)
        remove_leftovers(self.path)
        n_steps = model.num_timesteps
        replace_content(self.path / f"{_STEM}{n_steps:012d}.zip", _archive(model, state))
        # A file with more steps must be damaged, or training would have continued from it. It does
        # not count here; training overwrites it when it gets there.
        older = [file for file in self.files() if _n_steps(file) <= n_steps]
        for file in older[keep:]:
            file.unlink()

    def save_best(self, model: TransformerPPO, state: TrainingState) -> None:
        """Replace the best checkpoint."""
        self.path.mkdir(exist_ok=True)
        replace_content(self.best_file, _archive(model, state))


def _archive(model: TransformerPPO, state: TrainingState | None) -> bytes:
    buffer = io.BytesIO()
    model.save(buffer)
    if state is not None:
        with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_STATE, state.to_json())
    return buffer.getvalue()


def _first_complete(files: Iterable[Path]) -> Path | None:
    for file in files:
        with suppress(ValueError):
            require_complete_checkpoint(file)
            return file
    return None


def _n_steps(file: Path) -> int:
    number = file.stem.removeprefix(_STEM)
    return int(number) if number.isdigit() else 0
