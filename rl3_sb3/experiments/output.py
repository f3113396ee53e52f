"""Print to any standard output without errors.

Tables contain characters such as ±, which some encodings lack: those of older locales, or of a
terminal or file on Chinese, Japanese or Russian Windows. A missing character is replaced by a plain
one. If the reader has closed the pipe, as `| head` does, the program ends quietly.
"""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_PLAIN = {
    "±": "+-",
    "²": "2",
    "³": "3",
    "×": "x",  # noqa: RUF001
    "…": "...",
    "→": "->",
    "–": "-",  # noqa: RUF001
    "—": "-",
    "’": "'",  # noqa: RUF001
}
_HANDLER = "rl3.plain"
_SIGPIPE = 13  # not defined in `signal` on every platform


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return a replacement for a character that the encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    sign = error.object[error.start]
    if "\udc80" <= sign <= "\udcff":  # a byte of a file name that is not UTF-8
        return bytes([ord(sign) - 0xDC00]), error.start + 1
    return _PLAIN.get(sign, "?"), error.start + 1


codecs.register_error(_HANDLER, _plain)


@contextmanager
def printable() -> Iterator[None]:
    """Make printing replace missing characters, within a `with` block."""
    with ExitStack() as stack:
        for stream in (sys.stdout, sys.stderr):
            # If the user chose "replace" or "ignore", keep it.
            usual = ("strict", "surrogateescape", "backslashreplace")
            if isinstance(stream, io.TextIOWrapper) and stream.errors in usual:
                stack.callback(stream.reconfigure, errors=stream.errors)
                stream.reconfigure(errors=_HANDLER)
        yield


def has_reader(stream: object) -> bool:
    """Return whether somebody still reads a stream; True if it cannot be found out."""
    if not isinstance(stream, io.TextIOBase) or not hasattr(select, "poll"):
        return True
    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
        return not any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError):  # no file of the system's
        return True


def end_without_reader() -> int:
    """Return the exit status of a program whose output has no reader any more."""
    # Otherwise Python reports the error once more when it flushes at exit.
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return 128 + _SIGPIPE
