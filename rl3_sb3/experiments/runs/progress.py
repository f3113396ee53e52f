"""Progress of training runs, on standard error: bars on a terminal, now and then a line elsewhere.

A log file, a cluster's output and CI show no bars; there a line is the sign of life, at most one a
minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from rl3_sb3.experiments.settings.run_config import RunConfig

_SECONDS_BETWEEN_LINES = 60


class SignsOfLife:
    """Lines where bars cannot be drawn, at most one a minute.

    Args:
        console: Where the bars would be.
        get_time: Seconds since some moment.
    """

    def __init__(self, console: Console, get_time: Callable[[], float] = time.monotonic) -> None:
        self._console, self._get_time = console, get_time
        self._last = get_time()

    def say_if_due(self, text: str) -> None:
        """Print the text if a minute has passed since the last, and this is no terminal."""
        now = self._get_time()
        has_bars = self._console.is_terminal and not self._console.is_dumb_terminal
        if not has_bars and now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            print_plainly(self._console, text)


def print_plainly(console: Console, text: str) -> None:
    """Print a line as it is: rich would find markup and emoji in it, and break it."""
    console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)


class RunBar:
    """The bar of one run.

    Args:
        progress: Where it is drawn.
        config: The run.
        n_done: Steps that were done before; they do not count for the time remaining.
    """

    def __init__(self, progress: Progress, config: RunConfig, n_done: int) -> None:
        self._progress, self._config = progress, config
        self._bar = progress.add_task(
            config.title, total=config.total_steps, completed=n_done, reward=""
        )
        self._signs = SignsOfLife(progress.console, progress.get_time)

    def show(self, n_steps: int, reward: float) -> None:
        """Show steps done and the last rollout's mean total reward."""
        self._progress.update(self._bar, completed=n_steps, reward=reward_label(reward))
        self._signs.say_if_due(
            f"{self._config.title}: {n_steps:,} of {self._config.total_steps:,} steps, "
            f"total reward {reward:.1f}"
        )


def reward_label(reward: float) -> str:
    """Return what a bar says of the last rollout's mean total reward."""
    return f"reward {reward:.1f}"


@contextmanager
def run_bar(config: RunConfig, n_done: int) -> Iterator[RunBar]:
    """Draw a run's bar until the block ends; see `RunBar`."""
    with step_progress() as progress:
        yield RunBar(progress, config, n_done)


def step_progress() -> Progress:
    """Return the bars' place; each needs the field `reward`, a text, and counts training steps."""
    # As short as to leave the times room on 80 columns.
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,} of {task.total:,} steps"),
        TextColumn("{task.fields[reward]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
    )
