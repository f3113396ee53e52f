"""Workers on a Ray cluster: one task per attempt, on whichever node has a core and the memory.

Nodes and this machine must see the sweep's folder at the same path, and have the same versions of
everything installed. Ray's own retries are off: `schedule` attempts a lost cell again, and knows
whether it got any further.
"""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Any, Self

import ray
from ray.exceptions import RayError, RayTaskError

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.machine import GIB
from rl3_sb3.experiments.sweeps.cell import Cell, Ending, Order, Outcome, attempt_cell

_SECONDS_TO_CONNECT = 10.0


class RayWorkers:
    """Attempts cells as tasks of a Ray cluster; those still running at the end are cancelled.

    Args:
        address: Of a running cluster, as `ray.init` takes it: "auto", "HOST:PORT", "ray://...".
        order: For every cell.
        run_memory: Bytes to ask for per cell.

    Raises:
        InputError: There is no cluster, or no node has a core and that much memory.
    """

    def __init__(self, address: str, order: Order, run_memory: float) -> None:
        self._order = order
        self._running: dict[Any, Cell] = {}  # by the reference of its outcome
        try:
            _check_reachable(address)
            ray.init(address=address, log_to_driver=False, logging_level="warning")
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(
                f"`--ray` must be the address of a running Ray cluster, got {address!r} "
                f"({error}). Start one with `ray start --head`, or leave out --ray."
            ) from error
        resources = {"num_cpus": 1, "memory": int(run_memory)}
        _check_room(resources["memory"])
        # A process per attempt, as on a single machine: memory is given back.
        self._attempt = ray.remote(**resources, max_retries=0, max_calls=1)(attempt_cell)

    def __enter__(self) -> Self:
        """Return the workers."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Cancel what is left, and leave the cluster; checkpoints stay."""
        for reference in self._running:
            ray.cancel(reference, force=True)
        ray.shutdown()

    def start(self, cell: Cell) -> None:
        """Hand a task over to Ray."""
        self._running[self._attempt.remote(cell, self._order)] = cell

    def wait(self, seconds: float) -> list[tuple[Cell, Outcome]]:
        """See `Workers.wait`."""
        ready, _ = ray.wait(list(self._running), timeout=seconds)
        return [(self._running.pop(reference), _outcome(reference)) for reference in ready]


def _check_reachable(address: str) -> None:
    """Raise OSError where nobody listens; Ray would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), _SECONDS_TO_CONNECT).close()


def _check_room(memory: int) -> None:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(node.get("CPU", 0) >= 1 and node.get("memory", 0) >= memory for node in nodes):
        return
    found = ", ".join(
        f"{node.get('CPU', 0):g} cores with {node.get('memory', 0) / GIB:.1f} GiB" for node in nodes
    )
    raise InputError(
        f"`--memory` must fit on a node with a core, got {memory / GIB:g} GiB and nodes of "
        f"{found or 'nothing'}. Ask for less, or add a node."
    )


def _outcome(reference: Any) -> Outcome:
    try:
        outcome: Outcome = ray.get(reference)
    except RayTaskError as error:  # `attempt_cell` raises nothing: it could not be called
        reason = str(error).strip().splitlines()[-1]
        return Outcome(Ending.FAILED, reason, str(error))
    except RayError as error:
        return Outcome(Ending.LOST, f"{type(error).__name__}: {' '.join(str(error).split())}")
    return outcome
