"""The metrics of a run for TensorBoard, without steps that a kill undid."""

from __future__ import annotations

from pathlib import Path

from stable_baselines3.common.logger import TensorBoardOutputFormat
from torch.utils.tensorboard.writer import SummaryWriter


class TensorBoardFile(TensorBoardOutputFormat):
    """Writes one more event file into a run's folder.

    The files before it may hold steps after the checkpoint that the run goes on from. They are
    trained anew, and TensorBoard is told to drop what it read of them.

    Args:
        folder: Of the event files.
        n_steps: Training steps of the checkpoint, 0 at the beginning.
    """

    def __init__(self, folder: Path, n_steps: int) -> None:
        # The parent's constructor would open a writer of its own, which purges nothing.
        self.writer = SummaryWriter(str(folder), purge_step=n_steps + 1)
        self._is_closed = False
