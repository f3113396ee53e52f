"""Tell the user when code is being compiled.

numba compiles a function at its first call and stores the result on disk. So the first run after an
installation pauses for some ten seconds; later runs do not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event

COMPILING = "compiling, once: later runs read it from disk"


@contextmanager
def says_compiling() -> Iterator[None]:
    """Print a line on standard error when the first function is compiled, within a `with` block.

    Functions that are read from disk are not compiled.
    """
    with event.install_listener("numba:compile", _Announcer()):
        yield


class _Announcer(event.Listener):
    has_said = False

    def on_start(self, event: Any) -> None:
        """Print the line, once."""
        if not self.has_said:
            self.has_said = True
            # Not to a console of rich, which would write into the bar of another console.
            print(COMPILING, file=sys.stderr, flush=True)

    def on_end(self, event: Any) -> None:
        """Do nothing."""
