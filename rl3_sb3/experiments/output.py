"""Printing wherever standard output goes.

Tables have signs such as ± that not every encoding has: a terminal or a file of a Chinese, Japanese
or Russian Windows, an old locale. Where a sign is missing, a plain one is printed in its place.
Where nobody reads any more, as after `| head`, the program ends quietly.
"""

from __future__ import annotations

import codecs
import io
import os
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
_SIGPIPE = 13  # not every platform's `signal` has it


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what is written in place of the signs that the encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    sign = error.object[error.start]
    if "\udc80" <= sign <= "\udcff":  # a byte of a file's name that is not UTF-8
        return bytes([ord(sign) - 0xDC00]), error.start + 1
    return _PLAIN.get(sign, "?"), error.start + 1


codecs.register_error(_HANDLER, _plain)


@contextmanager
def printable() -> Iterator[None]:
    """Within it, printing never fails for want of a sign."""
    with ExitStack() as stack:
        for stream in (sys.stdout, sys.stderr):
            # Someone who chose "replace" or "ignore" keeps it.
            usual = ("strict", "surrogateescape", "backslashreplace")
            if isinstance(stream, io.TextIOWrapper) and stream.errors in usual:
                stack.callback(stream.reconfigure, errors=stream.errors)
                stream.reconfigure(errors=_HANDLER)
        yield


def end_without_reader() -> int:
    """Return the exit status of a program whose output nobody reads any more."""
    # Python would complain once more when it flushes at its end.
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return 128 + _SIGPIPE
