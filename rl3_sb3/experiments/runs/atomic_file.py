"""Files that are replaced as a whole: after a kill there is the old content or the new one.

    write beside the place -> fsync -> move over the place -> fsync the folder

The content is in memory before the first byte is written, so that a full disk fails in `write` and
nowhere else. A kill before the move leaves a file that begins with a dot and ends in .tmp;
`remove_leftovers` takes it away.
"""

from __future__ import annotations

import os
from pathlib import Path

_SUFFIX = ".tmp"


def replace_content(file: Path, content: bytes) -> None:
    """Replace a file, or make it.

    Raises:
        OSError: There is no room, or no right; the old file is unchanged.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}{_SUFFIX}")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(file.parent)


def leftovers(folder: Path, name: str = "*") -> list[Path]:
    """Return what killed processes left half written in a folder.

    Args:
        folder: It need not exist.
        name: Of the file that they were writing, or a pattern.
    """
    found = folder.glob(f".{name}.*{_SUFFIX}")
    return [path for path in found if path.name.split(".")[-2].isdigit()]


def remove_leftovers(folder: Path, name: str = "*") -> None:
    """Remove `leftovers`; no other process may be writing there."""
    for leftover in leftovers(folder, name):
        leftover.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a move outlive a power cut; Windows has no such call for folders."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
