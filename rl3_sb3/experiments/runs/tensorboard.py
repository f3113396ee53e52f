"""Write a run's metrics and settings for TensorBoard, without steps lost in a kill."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import HParam, TensorBoardOutputFormat
from torch.utils.tensorboard.writer import SummaryWriter

from rl3_sb3.experiments.errors import RunWarning
from rl3_sb3.experiments.runs.metrics import RETURN
from rl3_sb3.experiments.runs.validation import VALIDATION_RETURN
from rl3_sb3.experiments.settings.run_config import RunConfig


class TensorBoardFile(TensorBoardOutputFormat):
    """Writes a new event file into a run's folder.

    Earlier files may contain steps after the checkpoint from which the run continues. These steps
    are trained again, so TensorBoard is told to drop them.

    TensorBoard's tab HParams compares runs by their settings, next to their last mean total reward
    and that of the last validation. It reads the settings only once: for a prolonged run it shows
    the original number of iterations.

    Args:
        folder: Folder of the event files.
        n_steps: Training steps of the checkpoint, 0 at the beginning.
        config: The run's configuration.
    """

    def __init__(self, folder: Path, n_steps: int, config: RunConfig) -> None:
        self._folder = folder
        # The parent's constructor would open another writer, which drops nothing.
        self.writer = SummaryWriter(str(folder), purge_step=n_steps + 1)
        self._is_closed = False
        settings = {name: _plain(value) for name, value in config.flat().items()}
        metrics = [RETURN]
        if 0 < config.validate_every <= config.iterations:
            metrics.append(VALIDATION_RETURN)
        # Their values are those of the scalars with the same names.
        hparams = HParam(settings, dict.fromkeys(metrics, 0.0))
        self.write({"hparams": hparams}, {"hparams": ()}, n_steps)

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        """Write a row; SB3's logger calls this.

        Warns:
            RunWarning: The files cannot be written any more, which is no reason to stop training.
        """
        if self._is_closed:
            return
        try:
            # The writer's own thread would find out too late, and print a traceback.
            if not self._folder.is_dir():
                raise FileNotFoundError("it was removed")
            super().write(key_values, key_excluded, step)
        except OSError as error:
            self._is_closed = True
            warnings.warn(
                f"{self._folder} cannot be written any more ({error}). Training goes on without "
                "it; all numbers are in metrics.csv.",
                RunWarning,
                stacklevel=2,
            )

    def close(self) -> None:
        """Close the file."""
        if not self._is_closed:
            super().close()


def _plain(value: Any) -> bool | int | float | str:
    """Return a setting in a type that TensorBoard accepts, as a text if necessary."""
    return value if isinstance(value, bool | int | float | str) else str(value)
