"""Seconds of calls, and how the benchmarks print those of several rounds."""

import statistics
import time
from collections.abc import Callable, Sequence


def cpu_seconds(call: Callable[[], object]) -> float:
    """Return the CPU time of a call, which other processes disturb less than the clock's."""
    start = time.process_time()
    call()
    return time.process_time() - start


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Return the median and the range as text."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"
