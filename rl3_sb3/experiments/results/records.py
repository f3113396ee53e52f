"""Write records of measurements: the result, and everything needed to repeat it.

A record is a small JSON file next to the script that measured it. It is never written by hand.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.files.atomic_file import replace_content
from rl3_sb3.experiments.provenance import commit_of, hardware, top_of

# What measurements write: a second one in the same checkout is still of committed code.
_WRITTEN = (":(exclude,glob)**/records/*.json", ":(exclude,glob)docs/figures/**")


class Start(NamedTuple):
    """When a measurement began, and with which code.

    Attributes:
        command: The command, with the script's path from the repository's root.
        commit: Commit of the script's repository, with "+" if tracked files other than records
            and figures have changed; "" if there is none.
        seconds: Time of the clock, in seconds.
        cpu_seconds: CPU time that the process had used, in seconds.
    """

    command: str
    commit: str
    seconds: float
    cpu_seconds: float


def start_record() -> Start:
    """Collect what is known before a measurement, because code may change while it runs."""
    script = Path(sys.argv[0]).resolve()
    root = top_of(script.parent)
    name = script.name if root is None else script.relative_to(root).as_posix()
    command = " ".join(["python", name, *sys.argv[1:]])
    commit = commit_of(script.parent, ".", *_WRITTEN)
    return Start(command, commit, time.perf_counter(), time.process_time())


def write_record(file: Path, start: Start, **content: Any) -> dict[str, Any]:
    """Write the result of a measurement and how it was made.

    Args:
        file: The file to write; an older record is replaced, and folders are created.
        start: The result of `start_record` before the measurement.
        **content: The measured values, of types that JSON supports.

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


def read_measured(file: Path, *names: str) -> dict[str, Any]:
    """Return a record from `write_record`.

    Args:
        file: Its file.
        names: What it must contain.

    Raises:
        InputError: There is no such file, or it has other content.
    """
    try:
        record = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"`--record` must be a file that --measure writes, got {file}: {error}. Measure again."
        ) from error
    missing = [n for n in names if not isinstance(record, dict) or n not in record]
    if missing:
        raise InputError(
            f"`--record` must be a file that --measure writes, got {file} without "
            f"{', '.join(missing)}. Measure again."
        )
    return dict(record)
