"""Find out how many single-threaded runs fit on this machine at a time.

A container or a batch job may get only a part of the machine. The number of cores is limited by the
process's affinity, and cores and memory by its control groups (Linux, version 2).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

GIB = 2**30

# With the paper's settings a run needs at most 0.9 GiB, with libraries and evaluation (random MDPs
# with H = 500, gridworlds of 13x13). The rest is a reserve for larger ones.
RUN_MEMORY = 1.5 * GIB

_PROC = Path("/proc")
_CONTROL_GROUPS = Path("/sys/fs/cgroup")


def n_cores() -> int:
    """Return the number of cores that this process may use, at least 1."""
    affinity = hasattr(os, "sched_getaffinity")
    found: list[float] = [len(os.sched_getaffinity(0)) if affinity else os.cpu_count() or 1]
    for group in _control_groups():
        quota, _, period = _read(group / "cpu.max").partition(" ")
        if quota.isdigit():
            found.append(int(quota) / int(period))
    return max(1, math.floor(min(found)))


def available_memory() -> float | None:
    """Return the bytes that this process and its children may still use; None if unknown."""
    found = []
    for line in _read(_PROC / "meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            found.append(1024.0 * int(line.split()[1]))
    for group in _control_groups():
        if (limit := _read(group / "memory.max").strip()).isdigit():
            statistics = dict(line.split() for line in _read(group / "memory.stat").splitlines())
            cached = int(statistics.get("inactive_file", 0))  # freed when memory is needed
            found.append(float(limit) - int(_read(group / "memory.current")) + cached)
    return min(found, default=None)


def n_runs_at_a_time(run_memory: float = RUN_MEMORY) -> int:
    """Return the number of runs that fit: one per core if memory allows, and at least one.

    Args:
        run_memory: Bytes of memory per run.
    """
    memory = available_memory()
    by_memory = math.inf if memory is None else memory // run_memory
    return max(1, int(min(n_cores(), by_memory)))


def _control_groups() -> Iterator[Path]:
    """Yield the folders of this process's control group and of its parents."""
    for line in _read(_PROC / "self" / "cgroup").splitlines():
        if line.startswith("0::/"):
            group = _CONTROL_GROUPS / line.removeprefix("0::/")
            yield group
            yield from (each for each in group.parents if each.is_relative_to(_CONTROL_GROUPS))


def _read(file: Path) -> str:
    return file.read_text() if file.is_file() else ""
