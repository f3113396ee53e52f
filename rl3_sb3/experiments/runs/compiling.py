"""Saying that code is compiled.

numba compiles a function when it is first called, and keeps the result on disk. So the first run
after an installation stands still for some ten seconds where later ones go on at once.
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
    """Within it, a line on standard error says so when the first function is compiled.

    Functions that are read from disk are not compiled.
    """
    with event.install_listener("numba:compile", _Announcer()):
        yield


class _Announcer(event.Listener):
    has_said = False

    def on_start(self, event: Any) -> None:
        """Say it, once."""
        if not self.has_said:
            self.has_said = True
            # Not to a console of rich's, which would write into the bar of another.
            print(COMPILING, file=sys.stderr, flush=True)

    def on_end(self, event: Any) -> None:
        """Say nothing."""
