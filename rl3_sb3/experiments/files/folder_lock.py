"""Lock a folder, so that only one process at a time works there.

The lock is `flock` on a file in the folder. The kernel releases it when the process ends in any
way: a killed process never blocks the next one, and the file may stay. While the lock is held, the
file names the holder, for the error that other processes get.

Limits. The lock is advisory: it stops only processes that ask for it. On NFS, the Linux client
passes it on to the server, so it holds between machines; if a machine dies, its lock is free after
the server's lease (NFSv4: 90 seconds by default). Lustre needs the mount option `flock`; with
`localflock` the lock holds within one machine only. If the filesystem has no locks, work continues
with a warning. On Windows there is no `flock`, and nothing is locked. A forked child shares the
lock and can keep it after its parent has ended; a spawned child does not.
"""

from __future__ import annotations

import errno
import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from rl3_sb3.experiments.errors import InputError, RunWarning

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment] # checked below

LOCK_NAME = "lock"

_SECONDS_BETWEEN_TRIES = 0.2

# The errors of filesystems without locks.
_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class FolderLock:
    """Keeps other processes out of a folder.

    Args:
        folder: The folder; it must exist when the lock is taken.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._depth = 0

    @contextmanager
    def held(self, patience: float = 0.0) -> Iterator[None]:
        """Hold the lock until the block ends; a nested block has no effect.

        Args:
            patience: Seconds to wait for another holder.

        Warns:
            RunWarning: The filesystem has no locks.

        Raises:
            InputError: Another process, or another lock object, holds the lock.
        """
        if self._depth > 0:
            yield
            return
        # Without a buffer, whose text `close` would try to write once more.
        with (self._folder / LOCK_NAME).open("a+b", buffering=0) as stream:
            self._take(stream, patience)
            self._depth += 1
            try:
                _write(stream, f"process {os.getpid()} on {socket.gethostname()}")
                yield
            finally:
                self._depth -= 1
                _write(stream, "")

    def _take(self, stream: FileIO, patience: float) -> None:
        if fcntl is None:
            return
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    stream.seek(0)
                    holder = stream.read().decode(errors="replace") or "another process"
                    raise InputError(
                        f"`{self._folder}` must be a folder that no other process uses, got one "
                        f"used by {holder}. Wait until that ends, stop it, or choose another "
                        "folder."
                    ) from None
                time.sleep(_SECONDS_BETWEEN_TRIES)
            except OSError as error:
                if error.errno not in _NO_LOCKS_HERE:
                    raise
                warnings.warn(
                    f"{self._folder} is on a filesystem without locks ({error.strerror}): make "
                    "sure that no other process works there.",
                    RunWarning,
                    stacklevel=4,
                )
                return


def _write(stream: FileIO, holder: str) -> None:
    # If the disk is full, the lock still works without its holder's name.
    with suppress(OSError):
        stream.truncate(0)
        stream.write(holder.encode())
