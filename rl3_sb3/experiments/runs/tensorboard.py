"""The metrics of a run for TensorBoard, without steps that a kill undid, and its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import HParam, TensorBoardOutputFormat
from torch.utils.tensorboard.writer import SummaryWriter

from rl3_sb3.experiments.runs.metrics import RETURN
from rl3_sb3.experiments.runs.validation import VALIDATION_RETURN
from rl3_sb3.experiments.settings.run_config import RunConfig


class TensorBoardFile(TensorBoardOutputFormat):
    """Writes one more event file into a run's folder.

    The files before it may hold steps after the checkpoint that the run goes on from. They are
    trained anew, and TensorBoard is told to drop what it read of them.

    TensorBoard's tab HParams compares runs by their settings. Beside these it shows the newest mean
    total reward, and that of the newest validation. It reads the settings once: of a prolonged run
    it shows the iterations that it began with.

    Args:
        folder: Of the event files.
        n_steps: Training steps of the checkpoint, 0 at the beginning.
        config: The run's.
    """

    def __init__(self, folder: Path, n_steps: int, config: RunConfig) -> None:
        # The parent's constructor would open a writer of its own, which purges nothing.
        self.writer = SummaryWriter(str(folder), purge_step=n_steps + 1)
        self._is_closed = False
        settings = {name: _plain(value) for name, value in config.flat().items()}
        metrics = [RETURN]
        if 0 < config.validate_every <= config.iterations:
            metrics.append(VALIDATION_RETURN)
        # Their values are those of the scalars with these names.
        hparams = HParam(settings, dict.fromkeys(metrics, 0.0))
        self.write({"hparams": hparams}, {"hparams": ()}, n_steps)


def _plain(value: Any) -> bool | int | float | str:
    """Return a setting as TensorBoard takes it, as a text if need be."""
    return value if isinstance(value, bool | int | float | str) else str(value)
