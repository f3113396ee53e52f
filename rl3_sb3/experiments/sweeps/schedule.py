"""Decide which cell is attempted next, from how earlier attempts ended.

    complete    the next cell
    lost        the worker died: try again, from the cell's checkpoint. Give up after three attempts
                in a row without progress, because the cause (such as memory) would remain
    stopped     a single worker was stopped by someone: try again. The whole sweep: no more attempts
    failed      no more attempts in this call; the other cells continue

`Workers` decide where attempts run.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Protocol

from rl3_sb3.experiments.sweeps.cell import Cell, Ending, Order, Outcome

MAX_FRUITLESS_ATTEMPTS = 3

_SECONDS_BETWEEN_LOOKS = 1.0


class Workers(Protocol):
    """Attempts cells with `attempt_cell`, each in its own process."""

    def start(self, cell: Cell) -> None:
        """Begin an attempt, now or as soon as there is room."""

    def wait(self, seconds: float) -> list[tuple[Cell, Outcome]]:
        """Return the attempts that have ended; if there is none, wait for one this long."""


class Watcher(Protocol):
    """Is informed about the attempts."""

    def begins(self, cell: Cell) -> None:
        """Called when an attempt begins."""

    def ends(self, cell: Cell, outcome: Outcome, *, again: bool) -> None:
        """Called when an attempt has ended; `again`: there will be another one."""

    def look(self) -> None:
        """Called about once a second."""


def run_cells(
    cells: Sequence[Cell],
    order: Order,
    workers: Workers,
    watcher: Watcher,
    *,
    n_at_a_time: int,
    asked: Callable[[], bool],
) -> dict[str, Outcome]:
    """Run until all cells are complete or have failed, or until asked to stop.

    Args:
        cells: The cells; complete ones are skipped.
        order: The order; its token is withdrawn when asked to stop.
        workers: The workers that attempt cells.
        watcher: The watcher to inform.
        n_at_a_time: Number of attempts at the same time, at least 1.
        asked: Returns True to stop all cells after their current iteration.

    Returns:
        Name of each failed cell -> its outcome.
    """
    waiting = deque(cell for cell in cells if cell.missing_variations(order.out))
    progress: dict[str, tuple[int, int]] = {}  # of running cells, when their attempt began
    fruitless: Counter[str] = Counter()
    failed: dict[str, Outcome] = {}
    while waiting or progress:
        stopping = asked()
        if stopping:
            order.token.unlink(missing_ok=True)
            waiting.clear()
        while waiting and len(progress) < n_at_a_time:
            cell = waiting.popleft()
            progress[cell.name] = cell.progress(order.out)
            watcher.begins(cell)
            workers.start(cell)
        for cell, outcome in workers.wait(_SECONDS_BETWEEN_LOOKS) if progress else ():
            got_further = cell.progress(order.out) != progress.pop(cell.name)
            fruitless[cell.name] = 0 if got_further else fruitless[cell.name] + 1
            interrupted = outcome.ending in (Ending.LOST, Ending.STOPPED)
            may_go_on = interrupted and fruitless[cell.name] < MAX_FRUITLESS_ATTEMPTS
            again = may_go_on and not stopping
            if again:
                waiting.appendleft(cell)
            elif outcome.ending is Ending.FAILED or not (
                stopping or outcome.ending is Ending.COMPLETE
            ):
                failed[cell.name] = outcome
            watcher.ends(cell, outcome, again=again)
        watcher.look()
    return failed
