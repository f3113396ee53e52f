"""Records of measurements: what was found, and what one must know to find it again.

A record is a small JSON file beside the script that measured it. Nobody types one by hand.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from rl3_sb3.experiments.provenance import commit_of, hardware, top_of
from rl3_sb3.experiments.runs.atomic_file import replace_content


class Start(NamedTuple):
    """When a measurement began, and with which code.

    Attributes:
        command: What was called, the script's place counted from the repository's root.
        commit: Of the script's repository, with "+" where tracked files were changed; "" without.
        seconds: Of the wall clock.
        cpu_seconds: That the process had used.
    """

    command: str
    commit: str
    seconds: float
    cpu_seconds: float


def start_record() -> Start:
    """Note what is known before a measurement: code may change while it runs."""
    script = Path(sys.argv[0]).resolve()
    root = top_of(script.parent)
    name = script.name if root is None else script.relative_to(root).as_posix()
    command = " ".join(["python", name, *sys.argv[1:]])
    return Start(command, commit_of(script.parent), time.perf_counter(), time.process_time())


def write_record(file: Path, start: Start, **content: Any) -> dict[str, Any]:
    """Write what was measured and how.

    Args:
        file: Where to; an older record is replaced, folders are made.
        start: What `start_record` noted before the measurement.
        **content: What was measured, as JSON takes it.

    Returns:
        The record: `command` and `commit`, wall and CPU time in `seconds` and `cpu_seconds`,
        `hardware`, then the content.
    """
    record = {
        "command": start.command,
        "commit": start.commit,
        "seconds": round(time.perf_counter() - start.seconds, 1),
        "cpu_seconds": round(time.process_time() - start.cpu_seconds, 1),
        "hardware": hardware(),
        **content,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_content(file, (json.dumps(record, indent=1) + "\n").encode())
    return record
