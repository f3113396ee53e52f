"""Replace files atomically: after a kill, a file has either its old or its new content.

    write a temporary file -> fsync -> move it over the old one -> fsync the folder

The content is complete in memory before the first byte is written, so a full disk can only fail the
write. A kill before the move leaves a file whose name begins with a dot and ends in .tmp;
`remove_leftovers` deletes it. A symbolic link stays, and the file it points to is replaced. What is
no file, a device or a pipe such as /dev/stdout, is written to.
"""

from __future__ import annotations

import os
from pathlib import Path

_SUFFIX = ".tmp"


def replace_content(file: Path, content: bytes) -> None:
    """Replace a file, or create it.

    Raises:
        OSError: The disk is full, or permission is missing; the old file is unchanged.
    """
    file = Path(os.path.realpath(file))
    if file.exists() and not file.is_file():
        with file.open("wb") as stream:
            stream.write(content)
        return
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
    """Return the temporary files that killed processes left in a folder.

    Args:
        folder: The folder; it need not exist.
        name: Name of the file that they were writing, or a pattern.
    """
    found = folder.glob(f".{name}.*{_SUFFIX}")
    return [path for path in found if path.name.split(".")[-2].isdigit()]


def remove_leftovers(folder: Path, name: str = "*") -> None:
    """Delete `leftovers`. No other process may be writing there."""
    for leftover in leftovers(folder, name):
        leftover.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a move survive a power cut. Windows has no such call for folders."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
