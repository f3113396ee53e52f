"""One cell of a sweep: a run that is trained to its end and evaluated, on any machine.

`attempt_cell` does all the work of a cell, in a process on this machine or on a node of a cluster.
All it needs to know about earlier work is in the cell's folder. If a worker is killed, the next
attempt, wherever it runs, resumes training from the last checkpoint and makes the missing
evaluations.

    OUT/.driver-1f3a...        created by the command that runs the sweep; `Order.token`
    OUT/random-mdp-h100-rl3-s0/    a cell: the folder of a run, see `run_directory`

The token has three purposes. If a machine can see it, the machine sees the command's folder. If it
disappears, the command has asked all cells to stop, or has ended; a cell then finishes its
iteration and leaves a checkpoint. And as its name is new each time, workers of an earlier, lost
command stop.
"""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import torch as th

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.evaluation import evaluate
from rl3_sb3.experiments.evaluation.scores import Evaluation
from rl3_sb3.experiments.named import attribute_of
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.training import train
from rl3_sb3.experiments.settings.run_config import RunConfig

# If a worker's machine died, its lock is held until the NFS server's lease ends (90 seconds). If it
# was asked to stop, the lock is held until its iteration ends.
LOCK_PATIENCE = 180.0


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run of a sweep and its evaluations.

    Attributes:
        name: Name of its folder.
        config: Configuration of the run.
        n_tasks: Number of held-out tasks per evaluation.
        variations: Names of the task distributions to evaluate on.
        variant: Name of its variant of the settings; "" if the sweep has no variants.
    """

    name: str
    config: RunConfig
    n_tasks: int
    variations: tuple[str, ...]
    variant: str = ""

    def has_begun(self, out: Path) -> bool:
        """Return whether its run has begun in the sweep's folder `out`."""
        return RunDirectory(out / self.name).config_file.exists()

    def evaluation(self, out: Path, variation: str) -> Evaluation | None:
        """Return the stored evaluation of the fully trained policy; None if it is missing.

        Args:
            out: The sweep's folder.
            variation: One of the cell's variations.
        """
        try:
            stored = RunDirectory(out / self.name).read_evaluation(variation)
        except InputError:  # damaged: it will be made again
            return None
        if stored is None or stored.n_training_steps < self.config.total_steps:
            return None
        return stored if len(stored.oracle) == self.n_tasks else None

    def missing_variations(self, out: Path) -> list[str]:
        """Return the variations without an evaluation; [] if the cell is complete."""
        return [each for each in self.variations if self.evaluation(out, each) is None]

    def progress(self, out: Path) -> tuple[int, int]:
        """Return the steps of the last complete checkpoint, and the number of evaluations."""
        n_steps = RunDirectory(out / self.name).checkpoints.n_steps()
        return n_steps, len(self.variations) - len(self.missing_variations(out))


@dataclass(frozen=True)
class Order:
    """Instructions for a worker, the same for all cells.

    Attributes:
        out: The sweep's folder, absolute.
        token: The file in it that exists as long as cells should continue.
        save_every: Seconds between two checkpoints.
        own_code: The sweep's tasks and learners that are named as MODULE:NAME, after the setting
            that names them. A worker imports all of them, because a module may register others by
            name.
    """

    out: Path
    token: Path
    save_every: float
    own_code: tuple[tuple[str, str], ...] = ()


class Ending(Enum):
    """How an attempt ended."""

    COMPLETE = "complete"
    STOPPED = "stopped"  # on request; there is a checkpoint
    UNSEEN = "unseen"  # the worker does not see the token
    FAILED = "failed"  # another attempt would fail too
    LOST = "lost"  # the worker died


@dataclass(frozen=True)
class Outcome:
    """The result of an attempt.

    Attributes:
        ending: How it ended.
        reason: The reason in one line, unless it is complete or stopped.
        details: The traceback.
    """

    ending: Ending
    reason: str = ""
    details: str = ""


def attempt_cell(cell: Cell, order: Order, stop: Callable[[], bool] | None = None) -> Outcome:
    """Do the rest of a cell's work: train, then evaluate. This never raises an error.

    Args:
        cell: The cell.
        order: Where to work, and until when.
        stop: Called between iterations; True ends the attempt, as if the token were gone.
    """

    def asked() -> bool:
        return not order.token.exists() or (stop is not None and stop())

    if not order.token.exists():
        return Outcome(Ending.UNSEEN, _not_shared(order))
    try:
        for setting, name in order.own_code:
            attribute_of(setting, name)
        th.set_num_threads(1)  # cells share the cores, and results must not depend on their number
        done = _work(cell, order, asked)
    except InputError as error:
        return Outcome(Ending.FAILED, str(error))
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return Outcome(Ending.FAILED, reason, traceback.format_exc())
    return Outcome(Ending.COMPLETE if done else Ending.STOPPED)


def _not_shared(order: Order) -> str:
    return (
        f"`--out` must be a folder that every node sees at the same path, got {order.out}, where "
        f"{socket.gethostname()} does not see {order.token.name}. Choose one on a filesystem that "
        "all nodes mount."
    )


def _work(cell: Cell, order: Order, asked: Callable[[], bool]) -> bool:
    """Return whether the cell is complete."""
    if not cell.missing_variations(order.out):
        return True
    directory = RunDirectory(order.out / cell.name)
    if not directory.config_file.exists():
        directory.begin(cell.config)
    with directory.locked(LOCK_PATIENCE):
        if directory.config_file.read() != cell.config:
            raise InputError(
                f"`{directory.config_file.path}` must hold the settings that the sweep gives this "
                "cell, got others: it was changed or prolonged. Move the folder away."
            )
        directory.config_file.require_same_tasks(cell.config)
        model = train(directory, cell.config, device="cpu", stop=asked, save_every=order.save_every)
        if model.num_timesteps < cell.config.total_steps:
            return False
        for variation in cell.missing_variations(order.out):
            if asked():
                return False
            evaluation = evaluate(
                cell.config,
                model.policy,
                n_training_steps=model.num_timesteps,
                n_tasks=cell.n_tasks,
                variation=variation,
            )
            directory.write_evaluation(evaluation)
    return True
