"""Show the progress of a running sweep on standard error.

There is one bar for all cells, one for each running cell, and a line for each that ends. Without a
terminal, there is a line per minute instead of the bars. Progress is read from the cells' folders,
so it looks the same wherever they run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.progress import Progress, TaskID

from rl3_sb3.experiments.runs.metrics import last_row
from rl3_sb3.experiments.runs.progress import SignsOfLife, print_plainly, reward_label
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.sweeps.cell import Cell, Ending, Outcome


class SweepBars:
    """A `Watcher` that draws bars.

    Args:
        progress: The bars, see `step_progress`.
        cells: All cells of the sweep.
        out: The sweep's folder.
    """

    def __init__(self, progress: Progress, cells: Sequence[Cell], out: Path) -> None:
        self._progress, self._out = progress, out
        self._n_steps = {cell.name: cell.progress(out)[0] for cell in cells}
        self._n_cells = len(cells)
        self._n_complete = sum(not cell.missing_variations(out) for cell in cells)
        self._bars: dict[str, TaskID] = {}  # of running cells
        self._total = sum(cell.config.total_steps for cell in cells)
        self._all = progress.add_task("", total=self._total, reward="")
        self._signs = SignsOfLife(progress.console, progress.get_time)
        self.look()

    def begins(self, cell: Cell) -> None:
        """Add a bar."""
        self._bars[cell.name] = self._progress.add_task(
            cell.name,
            total=cell.config.total_steps,
            completed=self._n_steps[cell.name],
            reward="",
        )

    def ends(self, cell: Cell, outcome: Outcome, *, again: bool) -> None:
        """Remove the bar and print how the attempt ended."""
        self._progress.remove_task(self._bars.pop(cell.name))
        n_steps = self._n_steps[cell.name] = cell.progress(self._out)[0]
        self._n_complete += outcome.ending is Ending.COMPLETE
        text = f"{outcome.ending.value}: {cell.name}"
        if outcome.ending is Ending.COMPLETE:
            text += f" ({self._n_complete} of {self._n_cells} cells)"
        elif outcome.reason:
            text += f": {outcome.reason}"
        if again:
            text += f"; it continues from {n_steps:,} steps"
        print_plainly(self._progress.console, text)

    def look(self) -> None:
        """Read the progress of the running cells."""
        for name, bar in self._bars.items():
            row = last_row(RunDirectory(self._out / name).metrics_file)
            # A cell that still waits for the cluster keeps its earlier progress.
            if row is not None:
                self._n_steps[name], reward = row
                self._progress.update(
                    bar, completed=self._n_steps[name], reward=reward_label(reward)
                )
        cells, n_steps = f"{self._n_complete} of {self._n_cells} cells", sum(self._n_steps.values())
        self._progress.update(self._all, completed=n_steps, description=cells)
        self._signs.say_if_due(f"{cells}, {n_steps:,} of {self._total:,} steps")
