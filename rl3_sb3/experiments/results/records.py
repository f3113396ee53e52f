"""Records of measurements: what was found, and what one must know to find it again.

A record is a small JSON file beside the script that measured it. Nobody types one by hand.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rl3_sb3.experiments.machine import n_cores
from rl3_sb3.experiments.runs.atomic_file import replace_content

_PROCESSORS = Path("/proc/cpuinfo")


def write_record(file: Path, *, started: float, **content: Any) -> dict[str, Any]:
    """Write what was measured and how.

    Args:
        file: Where to; an older record is replaced, folders are made.
        started: `time.perf_counter()` when the measurement began.
        **content: What was measured, as JSON takes it.

    Returns:
        The record: `command`, `commit` (None outside of git, with "+" where tracked files were
        changed), wall and CPU `seconds` and `cpu_seconds`, `hardware`, then the content.
    """
    script = Path(sys.argv[0]).resolve()
    root = _git(script.parent, "rev-parse", "--show-toplevel")
    name = str(script.relative_to(root)) if root else script.name
    record = {
        "command": " ".join(["python", name, *sys.argv[1:]]),
        "commit": _commit(script.parent),
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time(), 1),
        "hardware": f"{_processor()}, {n_cores()} cores",
        **content,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_content(file, (json.dumps(record, indent=1) + "\n").encode())
    return record


def _commit(folder: Path) -> str | None:
    commit = _git(folder, "rev-parse", "--short", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+" if commit and changed else commit


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git says, or None where there is no git or no repository."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _processor() -> str:
    if _PROCESSORS.is_file():
        for line in _PROCESSORS.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
