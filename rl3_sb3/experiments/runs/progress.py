"""Show the progress of training runs on standard error: bars on a terminal, lines elsewhere.

A log file, a cluster's output and CI cannot show bars. There, a line at most once a minute shows
that the run is alive.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from rl3_sb3.experiments.settings.run_config import RunConfig

_SECONDS_BETWEEN_LINES = 60
_MILLION = 1_000_000
# The remaining time follows from the speed in these last seconds, which should hold two iterations.
_SECONDS_OF_SPEED = 3600.0


class SignsOfLife:
    """Prints lines where bars cannot be drawn, at most one a minute.

    Args:
        console: The console of the bars.
        get_time: Returns the time in seconds.
    """

    def __init__(self, console: Console, get_time: Callable[[], float] = time.monotonic) -> None:
        self._console, self._get_time = console, get_time
        self._last = get_time()

    def say_if_due(self, text: str) -> None:
        """Print the text if a minute has passed since the last, and this is not a terminal."""
        now = self._get_time()
        has_bars = self._console.is_terminal and not self._console.is_dumb_terminal
        if not has_bars and now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            print_plainly(self._console, text)


def print_plainly(console: Console, text: str) -> None:
    """Print a line without rich's markup, emoji and line breaks."""
    console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)


class RunBar:
    """The bar of one run.

    Args:
        progress: The bars that it belongs to.
        config: The run.
        n_done: Steps done earlier; they do not count for the remaining time.
    """

    def __init__(self, progress: Progress, config: RunConfig, n_done: int) -> None:
        self._progress, self._config = progress, config
        self._bar = progress.add_task(
            config.title, total=config.total_steps, completed=n_done, reward=""
        )
        self._signs = SignsOfLife(progress.console, progress.get_time)

    def show(self, n_steps: int, reward: float) -> None:
        """Show the steps done and the last rollout's mean total reward."""
        self._progress.update(self._bar, completed=n_steps, reward=reward_label(reward))
        self._signs.say_if_due(
            f"{self._config.title}: {n_steps:,} of {self._config.total_steps:,} steps, "
            f"total {reward_label(reward)}"
        )


def reward_label(reward: float) -> str:
    """Return a bar's text for the last rollout's mean total reward."""
    return f"reward {reward:.{1 if abs(reward) >= 10 else 2}f}"


@contextmanager
def run_bar(config: RunConfig, n_done: int) -> Iterator[RunBar]:
    """Draw a run's bar within a `with` block; see `RunBar`."""
    with step_progress() as progress:
        yield RunBar(progress, config, n_done)


def step_progress() -> Progress:
    """Return bars. Each needs the text field `reward`, and counts training steps."""
    # The other columns are short, so that the times fit into 80 columns.
    return Progress(
        _Name(Column()),
        BarColumn(),
        _Steps(Column(no_wrap=True)),
        TextColumn("{task.fields[reward]}"),
        _Times(Column(no_wrap=True)),
        console=Console(stderr=True),
        speed_estimate_period=_SECONDS_OF_SPEED,
    )


@contextmanager
def play_bar(total: int) -> Iterator[tuple[Callable[[str], None], Callable[[], None]]]:
    """Draw a bar of agents that play, on a terminal only, within a `with` block.

    Args:
        total: Steps of all agents together.

    Returns:
        A function to call with the name of the agent that plays next, and one to call after each
        step.
    """
    console = Console(stderr=True)
    columns = (_Name(Column()), BarColumn(), _Times(Column(no_wrap=True)))
    shown = console.is_terminal and not console.is_dumb_terminal
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        bar = progress.add_task("", total=total)
        yield lambda name: progress.update(bar, description=name), lambda: progress.advance(bar)


class _Name(ProgressColumn):
    """The bar's name, which is cut on a narrow terminal."""

    def render(self, task: Task) -> Text:
        return Text(task.description, no_wrap=True, overflow="ellipsis")


class _Steps(ProgressColumn):
    """Steps done and their total."""

    def render(self, task: Task) -> Text:
        return Text(steps_label(int(task.completed), int(task.total or 0)))


class _Times(ProgressColumn):
    """Elapsed time, and an estimate of the remaining time."""

    def render(self, task: Task) -> Text:
        if task.finished:
            return Text(time_label(task.finished_time))
        return Text(f"{time_label(task.elapsed)}, {time_label(task.time_remaining)} left")


def steps_label(n_done: int, n_all: int) -> str:
    """Return how many steps are done, in millions if there are that many.

    Example:
        >>> steps_label(12_800, 64_000), steps_label(12_800, 163_840_000)
        ('12,800 of 64,000 steps', '0.01 of 163.84 M steps')
    """
    if n_all < _MILLION:
        return f"{n_done:,} of {n_all:,} steps"
    return f"{n_done / _MILLION:.2f} of {n_all / _MILLION:.2f} M steps"


def time_label(seconds: float | None) -> str:
    """Return a duration as a short text; "--" if it is unknown.

    Example:
        >>> [time_label(s) for s in (None, 61, 3 * 3600 + 240, 125.5 * 3600)]
        ['--', '1:01', '3h04', '125h']
    """
    if seconds is None:
        return "--"
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if not hours:
        return f"{minute}:{second:02d}"
    return f"{hours}h{minute:02d}" if hours < 100 else f"{hours}h"
