"""Progress bars of training runs, on standard error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from rl3_sb3.experiments.config import RunConfig


class RunBars:
    """One bar per run.

    Args:
        progress: Where they are drawn.
        configs: The runs.
        n_done: Steps of each that were done before; they do not count for the time remaining.
    """

    def __init__(
        self, progress: Progress, configs: Sequence[RunConfig], n_done: Sequence[int]
    ) -> None:
        self._progress = progress
        self._bars = [
            progress.add_task(config.title, total=config.total_steps, completed=done, reward="-")
            for config, done in zip(configs, n_done, strict=True)
        ]

    def show(self, run: int, n_steps: int, reward: float) -> None:
        """Show steps done and the last rollout's mean total reward."""
        self._progress.update(self._bars[run], completed=n_steps, reward=f"{reward:.1f}")


@contextmanager
def run_bars(
    configs: Sequence[RunConfig], n_done: Sequence[int] | None = None
) -> Iterator[RunBars]:
    """Draw bars until the block ends.

    Args:
        configs: The runs.
        n_done: Steps of each that were done before; None: none.
    """
    with step_progress() as progress:
        yield RunBars(progress, configs, n_done or [0] * len(configs))


def step_progress() -> Progress:
    """Return the bars' place; each needs the field `reward`, and counts training steps."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:,} of {task.total:,} steps"),
        TextColumn("total reward {task.fields[reward]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
    )
