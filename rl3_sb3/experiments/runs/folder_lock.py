"""A folder in which one process at a time may work.

The lock is `flock` on a file of the folder. The kernel releases it when the process ends, however
it ends: a killed process never blocks its successor, and the file may stay where it is. While it is
held it names the holder, for the error that others get.

Limits. It is advisory: only who asks for it is kept out. On NFS the Linux client passes it on to
the server, so that it holds between machines; the lock of a machine that dies is free after the
server's lease (NFSv4: 90 seconds unless set otherwise). Lustre needs the mount option `flock`: with
`localflock` it holds within one machine only. Where the filesystem refuses locks, work goes on with
a warning; Windows has no `flock`, and nothing is locked there. A forked child shares the lock and
can outlive its parent with it; a spawned one does not.
"""

from __future__ import annotations

import errno
import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from rl3_sb3.experiments.errors import InputError, RunWarning

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment] # asked for below

LOCK_NAME = "lock"

_SECONDS_BETWEEN_TRIES = 0.2

# What a filesystem without locks answers.
_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class FolderLock:
    """Keeps other processes out of a folder.

    Args:
        folder: It must exist by the time that the lock is taken.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._depth = 0

    @contextmanager
    def held(self, patience: float = 0.0) -> Iterator[None]:
        """Hold the lock until the block ends; inside such a block, another one changes nothing.

        Args:
            patience: Seconds to wait for another holder.

        Warns:
            RunWarning: The filesystem has no locks.

        Raises:
            InputError: Another process, or another lock object, holds it.
        """
        if self._depth > 0:
            yield
            return
        with (self._folder / LOCK_NAME).open("a+", encoding="utf-8") as stream:
            self._take(stream, patience)
            self._depth += 1
            try:
                _write(stream, f"process {os.getpid()} on {socket.gethostname()}")
                yield
            finally:
                self._depth -= 1
                _write(stream, "")

    def _take(self, stream: TextIO, patience: float) -> None:
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
                    holder = stream.read() or "another process"
                    raise InputError(
                        f"`{self._folder}` must be a folder in which nobody else works, got one "
                        f"in which {holder} does. Wait until that ends, stop it, or choose "
                        "another folder."
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


def _write(stream: TextIO, holder: str) -> None:
    # On a full disk, a lock without a name is a lock.
    with suppress(OSError):
        stream.truncate(0)
        stream.write(holder)
        stream.flush()
