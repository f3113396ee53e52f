"""When a run stops early: asked by a signal, or before its time is over.

A run looks at both between iterations only, where it can write a checkpoint. The first SIGTERM or
SIGINT (Ctrl-C) asks; the second has its usual effect and ends the process at once, which is safe
too: the last checkpoint stays. A signal that the process ignores (as under `nohup`) stays ignored.
"""

from __future__ import annotations

import math
import os
import signal
import time
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# The next iteration may take this much longer than the longest one so far. The first does not count
# once there is another: it compiles.
_MARGIN = 1.2


class StopSignals:
    """Notes signals that ask for an end, inside a `with` block of the main thread.

    Args:
        silent: Say nothing when one comes.

    Attributes:
        received: The signal that came; None while there is none.
    """

    def __init__(self, *, silent: bool = False) -> None:
        self.received: signal.Signals | None = None
        self._silent = silent
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Take the signals over."""
        for each in _SIGNALS:
            if signal.getsignal(each) is signal.SIG_IGN:
                continue
            self._before[each] = signal.signal(each, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the signals back."""
        self._give_back()

    def asked(self) -> bool:
        """Return whether a signal came."""
        return self.received is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._give_back()
        if self._silent:
            return
        # Not print: the signal may have come in the middle of one, which cannot be entered twice.
        os.write(2, b"\nrl3: stopping after this iteration; ask again to stop at once\n")

    def _give_back(self) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)
        self._before.clear()


class IterationClock:
    """Foresees whether another iteration would end in time.

    Args:
        time_limit: Seconds from now.
    """

    def __init__(self, time_limit: float = math.inf) -> None:
        self._deadline = time.monotonic() + time_limit
        self._began = 0.0
        self._seconds: list[float] = []  # of each iteration

    def begin(self) -> None:
        """An iteration begins."""
        self._began = time.monotonic()

    def end(self) -> None:
        """It is complete."""
        self._seconds.append(time.monotonic() - self._began)

    def is_over(self) -> bool:
        """Return whether the next iteration would probably end too late."""
        longest = max(self._seconds[1:] or self._seconds, default=0.0)
        return time.monotonic() + _MARGIN * longest > self._deadline
