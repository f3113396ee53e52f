"""Compare trained agents with the paper's numbers and with classical agents, in the same tasks.

Each trained agent is a cell (see `pretrained.record`). Its row shows the median seed's score, as in
the paper, with the standard error over the tasks, then each seed's mean, and an interval over the
seeds. Differences are paired by task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rl3_sb3.experiments.algorithms import algorithm_of
from rl3_sb3.experiments.domains import CANONICAL
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.scores import ORACLE, PLAYS, mean_and_error
from rl3_sb3.experiments.pretrained.record import CellRecord, FloatArray, read_record
from rl3_sb3.experiments.results.labels import tasks_title
from rl3_sb3.experiments.results.statistics import paired_difference, seeds_interval
from rl3_sb3.experiments.results.table import aligned, mean_label
from rl3_sb3.experiments.results.yardsticks import TASKS, read_yardsticks
from rl3_sb3.experiments.runs.run_directory import RECORD_FILE

LEGEND = (
    "Mean total reward ± standard error over the held-out tasks. Trained agents play with sampled "
    "actions and greedily; the numbers are of the published seed, which has the median score or "
    "the nearest to it, then each seed's mean, and an interval over the seeds once there are "
    "several. Classical agents play one way, shown under `sampled`. Differences to RL² are paired "
    "by task."
)
# The agent whose scores are subtracted from all others', task by task.
SUBTRACTED = "rl2"
NOT_TRAINED = "not trained yet"
SCALES = ("cpu", "paper")


@dataclass(frozen=True, kw_only=True)
class Tasks:
    """Held-out tasks in which agents are compared.

    Attributes:
        domain: A name in `DOMAINS`.
        size: Size of the tasks; None if there is only one.
        horizon: Steps of a meta-episode.
        variation: The task distribution.
    """

    domain: str
    horizon: int
    size: int | None = None
    variation: str = CANONICAL

    @property
    def title(self) -> str:
        """The tasks in words."""
        return tasks_title(self.domain, self.size, self.horizon, self.variation)

    @property
    def yardstick_file(self) -> str:
        """Name of the file with the results of classical agents."""
        return f"{self.domain}{self.size or ''}-{self.horizon}-{self.variation}.json"

    @property
    def yardstick_command(self) -> str:
        """The arguments of `rl3` that write that file, except its path."""
        size = f" --size {self.size}" if self.size else ""
        shifted = "" if self.variation == CANONICAL else f" --variation {self.variation}"
        return f"baselines {self.domain}{size} --horizon {self.horizon}{shifted}"

    def cell(self, algo: str, scale: str) -> str:
        """Return the name of an algorithm's cell that was trained for these tasks."""
        suffix = "" if scale == "cpu" else "-paper"
        return f"{self.domain}{self.size or ''}-{self.horizon}-{algo}{suffix}"


def read_cell(pretrained: Path, tasks: Tasks, algo: str, scale: str) -> CellRecord | None:
    """Return a cell's record, or None if it is not trained or not evaluated in these tasks."""
    folder = pretrained / tasks.cell(algo, scale)
    if not (folder / RECORD_FILE).is_file():
        return None
    record = read_record(folder)
    return record if tasks.variation in record.oracle else None


def read_classical(records: Path, tasks: Tasks) -> dict[str, FloatArray]:
    """Return the total rewards of the classical agents by title; {} if there are no results.

    Raises:
        InputError: The file has other tasks than its name, or other content.
    """
    file = records / tasks.yardstick_file
    if not file.is_file():
        return {}
    stored = read_yardsticks(file)
    for name in TASKS:
        if stored[name] != getattr(tasks, name):
            raise InputError(
                f"`{file.name}` must be of `{name}` {getattr(tasks, name)}, got {stored[name]}. "
                f"Write it again: rl3 {tasks.yardstick_command} --json {file.name}"
            )
    agents = stored["agents"]
    return {title: np.array(entry["returns"], np.float64) for title, entry in agents.items()}


def comparison_table(
    tasks: Tasks,
    algos: Sequence[str],
    *,
    scale: str,
    pretrained: Path,
    records: Path,
    published: Mapping[tuple[str, int, str], tuple[float, float]],
    reference: str,
) -> str:
    """Return a table of trained agents, between the classical ones and the oracle.

    Args:
        tasks: The tasks in which they are compared.
        algos: The trained agents.
        scale: Training at the scale "cpu" or "paper".
        pretrained: Folder of the cells.
        records: Folder of the classical agents' results.
        published: The paper's numbers by algorithm, H and variation.
        reference: Classical agent by whose mean all others are divided.

    Raises:
        InputError: Two of the agents played different tasks.
    """
    classical = read_classical(records, tasks)
    cells = {algo: read_cell(pretrained, tasks, algo, scale) for algo in algos}
    oracle = classical.get(ORACLE)
    _check_same(tasks, [cell for cell in cells.values() if cell is not None], oracle)
    best = float(np.mean(classical[reference])) if reference in classical else np.nan
    rows = [_classical_row(title, returns, best) for title, returns in classical.items()]
    own = [_row(algo, cell, tasks, cells, published, best) for algo, cell in cells.items()]
    last = rows[-1:] if oracle is not None else []
    first = rows[: len(rows) - len(last)]
    header = ["agent", "paper", "sampled", "greedy", f"sampled, of {reference}"]
    header += [f"minus {algorithm_of(SUBTRACTED).title}, {play}" for play in PLAYS]
    return aligned([*header, "seeds, sampled", "95 % over seeds"], [*first, *own, *last])


def _check_same(tasks: Tasks, cells: Sequence[CellRecord], oracle: FloatArray | None) -> None:
    """Raise InputError unless all played the same tasks, which the oracle's totals identify.

    Where totals are unknown, they must be unknown for all.
    """
    first = tasks.yardstick_file
    for cell in cells:
        own = cell.oracle[tasks.variation]
        if oracle is None:
            first, oracle = cell.name, own
        # Records are rounded.
        if own.shape != oracle.shape or not np.allclose(own, oracle, atol=1e-2, equal_nan=True):
            raise InputError(
                f"`{cell.name}` must have played the tasks of {first}, got others: one of them is "
                "from another version. Write it again."
            )


def _classical_row(title: str, returns: FloatArray, best: float) -> list[str]:
    mean, error = mean_and_error(returns)
    return [title, "", mean_label(mean, error), "", _fraction(mean, best), "", "", "", ""]


def _row(
    algo: str,
    cell: CellRecord | None,
    tasks: Tasks,
    cells: Mapping[str, CellRecord | None],
    published: Mapping[tuple[str, int, str], tuple[float, float]],
    best: float,
) -> list[str]:
    title = algorithm_of(algo).title
    printed = published.get((algo, tasks.horizon, tasks.variation))
    paper = "" if printed is None else mean_label(*printed)
    if cell is None:
        return [title, paper, NOT_TRAINED, "", "", "", "", "", ""]
    returns = cell.exported_run.returns[tasks.variation]
    mean, error = mean_and_error(returns["sampled"])
    means = cell.means(tasks.variation, "sampled")
    low, high = seeds_interval(means)
    return [
        title,
        paper,
        mean_label(mean, error),
        mean_label(*mean_and_error(returns["greedy"])),
        _fraction(mean, best),
        *(_difference(algo, returns, cells.get(SUBTRACTED), tasks, play) for play in PLAYS),
        ", ".join(f"{mean:.1f}" for mean in means),
        "" if np.isnan(low) else f"{low:.1f} to {high:.1f}",
    ]


def _fraction(mean: float, best: float) -> str:
    return f"{mean / best:.3f}" if best > 0 else ""


def _difference(
    algo: str,
    returns: Mapping[str, FloatArray],
    other: CellRecord | None,
    tasks: Tasks,
    play: str,
) -> str:
    if algo == SUBTRACTED or other is None:
        return ""
    theirs = other.exported_run.returns[tasks.variation]
    mean, error = paired_difference(returns[play], theirs[play])
    return f"{mean:+.1f} ± {error:.1f}"
