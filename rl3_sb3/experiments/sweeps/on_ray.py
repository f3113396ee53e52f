"""Workers on a Ray cluster: one task per attempt, on any node with a free core and enough memory.

Nodes and this machine must see the sweep's folder at the same path, and have the same versions of
all packages installed. Ray's own retries are disabled: `schedule` retries a lost cell, and knows
whether it made progress.
"""

from __future__ import annotations

import socket
from importlib import import_module
from types import TracebackType
from typing import Any, Self

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.machine import GIB
from rl3_sb3.experiments.sweeps.cell import Cell, Ending, Order, Outcome, attempt_cell

_SECONDS_TO_CONNECT = 10.0


class RayWorkers:
    """Attempts cells as tasks of a Ray cluster; those still running at the end are cancelled.

    Args:
        address: Address of a running cluster for `ray.init`: "auto", "HOST:PORT", "ray://...".
        order: The order for every cell.
        run_memory: Bytes to request per cell.

    Raises:
        InputError: There is no cluster, or no node has a core and this much memory.
    """

    def __init__(self, address: str, order: Order, run_memory: float) -> None:
        self._order = order
        # Imported here, because few users have it, and importing it starts threads.
        self._ray: Any = import_module("ray")
        self._running: dict[Any, Cell] = {}  # by the reference of the outcome
        try:
            _check_reachable(address)
            self._ray.init(address=address, log_to_driver=False, logging_level="warning")
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(
                f"`--ray` must be the address of a running Ray cluster, got {address!r} "
                f"({error}). Start one with `ray start --head`, or leave out --ray."
            ) from error
        _check_room(self._ray.nodes(), int(run_memory))
        # One process per attempt, as on a single machine, so that memory is freed.
        task = self._ray.remote(num_cpus=1, memory=int(run_memory), max_retries=0, max_calls=1)
        self._attempt = task(attempt_cell)

    def __enter__(self) -> Self:
        """Return the workers."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Cancel the running tasks, and leave the cluster; checkpoints stay."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._ray.shutdown()

    def start(self, cell: Cell) -> None:
        """Submit a task to Ray."""
        self._running[self._attempt.remote(cell, self._order)] = cell

    def wait(self, seconds: float) -> list[tuple[Cell, Outcome]]:
        """See `Workers.wait`."""
        ready, _ = self._ray.wait(list(self._running), timeout=seconds)
        return [(self._running.pop(reference), self._outcome(reference)) for reference in ready]

    def _outcome(self, reference: Any) -> Outcome:
        try:
            outcome: Outcome = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            # `attempt_cell` never raises, so it could not be called.
            reason = str(error).strip().splitlines()[-1]
            return Outcome(Ending.FAILED, reason, str(error))
        except self._ray.exceptions.RayError as error:
            first_sentence = " ".join(str(error).split()).partition(". ")[0]
            reason = f"{type(error).__name__}: {first_sentence}"
            return Outcome(Ending.LOST, reason, str(error))
        return outcome


def _check_reachable(address: str) -> None:
    """Raise OSError if nothing listens at the address; Ray would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), _SECONDS_TO_CONNECT).close()


def _check_room(nodes: list[dict[str, Any]], memory: int) -> None:
    """Raise InputError if no node has a core and the memory: a cell would wait for ever."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    rooms = [(node.get("CPU", 0), node.get("memory", 0)) for node in alive]
    if any(n_cores >= 1 and room >= memory for n_cores, room in rooms):
        return
    found = ", ".join(f"{n_cores:g} cores with {room / GIB:.1f} GiB" for n_cores, room in rooms)
    raise InputError(
        f"`--memory` must fit on a node with a core, got {memory / GIB:g} GiB and nodes of "
        f"{found or 'nothing'}. Ask for less, or add a node."
    )
