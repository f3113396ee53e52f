"""Stop a run early, on a signal or before its time limit.

A run checks both only between iterations, where it can write a checkpoint. The first SIGTERM or
SIGINT (Ctrl-C) is such a request. The second has its usual effect and ends the process at once,
which is safe too, because the last checkpoint stays. A signal that the process ignores (as under
`nohup`) stays ignored.
"""

from __future__ import annotations

import math
import os
import signal
import time
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# The next iteration may take this many times as long as the longest one so far. The first one,
# which includes compilation, counts only while it is the only one.
_MARGIN = 1.2


class StopSignals:
    """Records signals that ask to stop, inside a `with` block of the main thread.

    Args:
        silent: Print nothing when a signal arrives.

    Attributes:
        received: The signal that arrived; None if there is none yet.
    """

    def __init__(self, *, silent: bool = False) -> None:
        self.received: signal.Signals | None = None
        self._silent = silent
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Install the signal handlers."""
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
        """Restore the previous signal handlers."""
        self._give_back()

    def asked(self) -> bool:
        """Return whether a signal arrived."""
        return self.received is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._give_back()
        if self._silent:
            return
        # Not print: the signal may interrupt another print, which cannot be entered twice.
        os.write(
            2, b"\nrl3: stopping after this iteration; send the signal again to stop at once\n"
        )

    def _give_back(self) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)
        self._before.clear()


class IterationClock:
    """Estimates whether another iteration would end in time.

    Args:
        time_limit: Seconds from now.
    """

    def __init__(self, time_limit: float = math.inf) -> None:
        self._deadline = time.monotonic() + time_limit
        self._began = 0.0
        self._seconds: list[float] = []  # of each iteration

    def begin(self) -> None:
        """Record that an iteration begins."""
        self._began = time.monotonic()

    def end(self) -> None:
        """Record that the iteration is complete."""
        self._seconds.append(time.monotonic() - self._began)

    def is_over(self) -> bool:
        """Return whether the next iteration would probably end too late."""
        longest = max(self._seconds[1:] or self._seconds, default=0.0)
        return time.monotonic() + _MARGIN * longest > self._deadline
