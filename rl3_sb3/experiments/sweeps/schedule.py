"""Which cell is attempted next, and what follows from how an attempt ended.

    complete    next one
    lost        the worker died: again, from the cell's checkpoint; given up after three attempts in
                a row that got no further, because what kills it (memory, say) would go on to
    stopped     alone, because somebody stopped that worker: again. With the whole sweep: no more
    failed      no more in this call; the others go on

Where attempts happen is the business of `Workers`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Protocol

from rl3_sb3.experiments.sweeps.cell import Cell, Ending, Order, Outcome

MAX_FRUITLESS_ATTEMPTS = 3

_SECONDS_BETWEEN_LOOKS = 1.0


class Workers(Protocol):
    """Attempts cells with `attempt_cell`, each in a process of its own."""

    def start(self, cell: Cell) -> None:
        """Begin an attempt, now or as soon as there is room."""

    def wait(self, seconds: float) -> list[tuple[Cell, Outcome]]:
        """Return the attempts that have ended; if there is none, wait for one so long."""


class Watcher(Protocol):
    """Is told what happens."""

    def begins(self, cell: Cell) -> None:
        """An attempt begins."""

    def ends(self, cell: Cell, outcome: Outcome, *, again: bool) -> None:
        """It has ended; `again`: there will be another one."""

    def look(self) -> None:
        """A second has passed."""


def run_cells(
    cells: Sequence[Cell],
    order: Order,
    workers: Workers,
    watcher: Watcher,
    *,
    n_at_a_time: int,
    asked: Callable[[], bool],
) -> dict[str, Outcome]:
    """Work until all cells are complete or have failed, or until asked to stop.

    Args:
        cells: Those that are complete already are passed over.
        order: Its token is taken back when asked to stop.
        workers: Who attempts cells.
        watcher: Who is told.
        n_at_a_time: How many attempts at the same time, at least 1.
        asked: True: stop all cells after their iteration.

    Returns:
        How those ended that failed, by the cell's name.
    """
    waiting = deque(cell for cell in cells if cell.missing_variations(order.out))
    progress: dict[str, tuple[int, int]] = {}  # of the running cells, when the attempt began
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
