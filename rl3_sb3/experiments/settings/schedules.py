"""Settings that change during a run, written as `0.3:1@0.5`.

    START:END@SHARE     from START to END over the first SHARE of the run, then END
    START:END           the same over the whole run

The change is linear in the run's progress, so it stretches with `iterations`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_PATTERN = re.compile(rf"({_NUMBER}):({_NUMBER})(?:@({_NUMBER}))?", re.ASCII)


@dataclass(frozen=True)
class Schedule:
    """A number that changes linearly during the first part of a run, and then stays.

    Attributes:
        start: Value at the beginning.
        end: Value at the end.
        share: Share of the run's steps after which `end` is reached, in (0, 1].

    Example:
        >>> str(Schedule.parse("0.3:1@0.5"))
        '0.3:1@0.5'
        >>> Schedule.parse("1:0").at(0.25)
        0.75
    """

    start: float
    end: float
    share: float = 1.0

    def __post_init__(self) -> None:
        """Check the share.

        Raises:
            ValueError: The share is outside of (0, 1].
        """
        if not 0 < self.share <= 1:
            raise ValueError(f"The share of a schedule must be in (0, 1], got {self.share}.")

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Read a text that `str` wrote.

        Raises:
            ValueError: The text is not a schedule.
        """
        found = _PATTERN.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"A schedule must look like 0.3:1@0.5, START:END@SHARE, got {text!r}.")
        start, end, share = found.groups()
        return cls(float(start), float(end), 1.0 if share is None else float(share))

    def at(self, progress: float) -> float:
        """Return the value after this share of the run, in [0, 1]."""
        if progress > self.share:
            return self.end
        value = self.start + progress * (self.end - self.start) / self.share
        # Rounding could lead slightly beyond the end, and out of a setting's range.
        return min(max(value, min(self.start, self.end)), max(self.start, self.end))

    def __call__(self, progress_remaining: float) -> float:
        """Return the value for Stable-Baselines3, whose progress runs from 1 to 0."""
        return self.at(1 - progress_remaining)

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        line = f"{_plain(self.start)}:{_plain(self.end)}"
        return line if self.share == 1 else f"{line}@{_plain(self.share)}"


def _plain(x: float) -> str:
    return f"{x:g}" if float(f"{x:g}") == x else repr(x)
