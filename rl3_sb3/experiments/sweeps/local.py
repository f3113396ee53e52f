"""Workers on this machine: one spawned process per attempt, with one thread of torch."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, NamedTuple, Self

from rl3_sb3.experiments.sweeps.cell import Cell, Ending, Order, Outcome, attempt_cell


class _Attempt(NamedTuple):
    cell: Cell
    process: SpawnProcess


class LocalWorkers:
    """Attempts cells in processes of this machine; those still running at the end are killed.

    Args:
        order: The order for every cell.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        # Spawned, not forked: a child forked from a process that used torch's threads can hang.
        self._context = multiprocessing.get_context("spawn")
        self._running: dict[Connection, _Attempt] = {}

    def __enter__(self) -> Self:
        """Return the workers."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kill the running processes; checkpoints stay."""
        for _, process in self._running.values():
            process.kill()
            process.join()

    def start(self, cell: Cell) -> None:
        """Start a process for this cell."""
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_attempt, args=(theirs, cell, self._order), name=cell.name, daemon=True
        )
        with _interrupts_held_back():
            process.start()
        theirs.close()  # otherwise the pipe would stay open after the process's death
        self._running[ours] = _Attempt(cell, process)

    def wait(self, seconds: float) -> list[tuple[Cell, Outcome]]:
        """See `Workers.wait`."""
        ready: Any = multiprocessing.connection.wait(list(self._running), seconds)
        return [self._end(connection) for connection in ready]

    def _end(self, connection: Connection) -> tuple[Cell, Outcome]:
        cell, process = self._running.pop(connection)
        try:
            outcome: Outcome | None = connection.recv()
        except (EOFError, OSError):
            outcome = None
        connection.close()
        process.join()
        return cell, outcome or Outcome(Ending.LOST, _why(process.exitcode))


def _why(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"its process was killed by signal {-exit_code} ({signal.strsignal(-exit_code)})"
    return f"its process ended with status {exit_code}"


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Start processes that ignore Ctrl-C, within a `with` block; this process gets it afterwards.

    A started process can only set its own signal handlers after it has imported torch.
    """
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # starting it within the block would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _attempt(connection: Connection, cell: Cell, order: Order) -> None:
    """Attempt a cell; this runs in the spawned process."""
    terminated = False

    def note(*_: object) -> None:
        nonlocal terminated
        terminated = True

    # Ctrl-C reaches all processes of a terminal, and some batch systems terminate a job's processes
    # together. The command decides what the first signal means, and passes it on through the token.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, note)
    command = multiprocessing.parent_process()
    assert command is not None, "this process was spawned"
    outcome = attempt_cell(cell, order, lambda: terminated or not command.is_alive())
    with suppress(BrokenPipeError):  # the command was killed; the work is in the cell's folder
        connection.send(outcome)
