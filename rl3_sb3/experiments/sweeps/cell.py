"""One cell of a sweep: a run that is trained to its end and evaluated, wherever that happens.

`attempt_cell` is the whole work of a cell, the same function in a process of this machine and on a
node of a cluster. All that it knows of the work before lies in the cell's folder, so that a cell
whose worker was killed goes on wherever it is attempted next: training from its newest checkpoint,
evaluation with the distribution that is missing.

    OUT/.driver-1f3a...        made by the command that runs the sweep; `Order.token`
    OUT/random-mdp-h100-rl3-s0/    a cell: the folder of a run, see `run_directory`

The token says three things. That it can be seen means that this machine sees the folder of the
command. Its end means that the command has asked all cells to stop, or has ended; a cell then
finishes its iteration and leaves a checkpoint. And its name, new each time, makes workers stop that
a lost command has left behind.
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
from rl3_sb3.experiments.results.evaluation import Evaluation, evaluate
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.training import train
from rl3_sb3.experiments.settings.run_config import RunConfig

# A worker that was lost with its machine may hold the cell's lock for as long as an NFS server
# believes in the machine (90 seconds), and one that was asked to stop, until its iteration ends.
LOCK_PATIENCE = 180.0


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run of a sweep and its evaluations.

    Attributes:
        name: Of its folder.
        config: Of the run.
        n_tasks: Held-out tasks per evaluation.
        variations: The distributions to evaluate on, by name.
        variant: The name of the settings it has besides; "": the sweep compares none.
    """

    name: str
    config: RunConfig
    n_tasks: int
    variations: tuple[str, ...]
    variant: str = ""

    def evaluation(self, out: Path, variation: str) -> Evaluation | None:
        """Return the stored evaluation of the trained policy; None as long as it is to be made.

        Args:
            out: The sweep's folder.
            variation: One of the cell's.
        """
        try:
            stored = RunDirectory(out / self.name).read_evaluation(variation)
        except InputError:  # damaged; it can be made again
            return None
        if stored is None or stored.n_training_steps < self.config.total_steps:
            return None
        return stored if len(stored.oracle) == self.n_tasks else None

    def missing_variations(self, out: Path) -> list[str]:
        """Return the distributions that it was not yet evaluated on; none: it is complete."""
        return [each for each in self.variations if self.evaluation(out, each) is None]

    def progress(self, out: Path) -> tuple[int, int]:
        """Return the steps of its newest checkpoint, and how many evaluations there are."""
        n_steps = RunDirectory(out / self.name).checkpoints.n_steps()
        return n_steps, len(self.variations) - len(self.missing_variations(out))


@dataclass(frozen=True)
class Order:
    """What a worker is told besides the cell.

    Attributes:
        out: The sweep's folder, absolute.
        token: The file in it that exists as long as cells shall go on.
        save_every: Seconds between two checkpoints.
    """

    out: Path
    token: Path
    save_every: float


class Ending(Enum):
    """How an attempt ended."""

    COMPLETE = "complete"
    STOPPED = "stopped"  # asked to; there is a checkpoint
    UNSEEN = "unseen"  # the worker does not see the token
    FAILED = "failed"  # another attempt would fail too
    LOST = "lost"  # the worker died


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt.

    Attributes:
        ending: How it ended.
        reason: In one line, where it is neither complete nor stopped.
        details: More about it: the traceback.
    """

    ending: Ending
    reason: str = ""
    details: str = ""


def attempt_cell(cell: Cell, order: Order, stop: Callable[[], bool] | None = None) -> Outcome:
    """Do what is left of a cell: train, then evaluate; raises nothing.

    Args:
        cell: What to do.
        order: Where, and until when.
        stop: Asked between iterations; True ends the attempt as the end of the token does.
    """

    def asked() -> bool:
        return not order.token.exists() or (stop is not None and stop())

    if not order.token.exists():
        return Outcome(Ending.UNSEEN, _not_shared(order))
    try:
        th.set_num_threads(1)  # cells share the cores, and results shall not depend on how many
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
        if directory.read_config() != cell.config:
            raise InputError(
                f"`{directory.config_file}` must hold the settings that the sweep gives this "
                "cell, got others: it was changed or prolonged. Move the folder away."
            )
        directory.require_same_tasks(cell.config)
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
