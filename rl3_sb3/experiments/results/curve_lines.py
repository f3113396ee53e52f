"""Draw learning curves, in the same style in all figures: lines, bands over seeds, and levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from rl3_sb3.experiments.drawing import Axes
from rl3_sb3.experiments.evaluation.scores import ORACLE
from rl3_sb3.experiments.results.curves import FloatArray

_GREY, _BLACK = "#777777", "#000000"
_STYLES = (":", "--", "-.", (0, (6, 2)))
MILLION = 1e6


def draw_seeds(axes: Axes, x: FloatArray, returns: FloatArray, label: str, **look: Any) -> None:
    """Draw the mean over seeds, and a band from the lowest to the highest.

    Args:
        axes: The axes to draw on.
        x: Steps or iterations, shape (n,).
        returns: Returns of each seed, shape (n_seeds, n).
        label: Label in the legend.
        **look: Properties of the line for matplotlib, which chooses the others.
    """
    # A single point would be invisible as a line.
    marker = "o" if len(x) == 1 else None
    (line,) = axes.plot(x, returns.mean(axis=0), label=label, marker=marker, **look)
    if len(returns) > 1:
        low, high = returns.min(axis=0), returns.max(axis=0)
        axes.fill_between(x, low, high, color=line.get_color(), alpha=0.2, linewidth=0)


def draw_levels(axes: Axes, levels: Mapping[str, float]) -> None:
    """Draw the mean total reward of each agent that does not train as a level line, by title."""
    looks = untrained_looks(list(levels))
    for title, level in levels.items():
        axes.axhline(level, linewidth=1, label=title, **looks[title])


def untrained_looks(titles: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the line styles of agents that do not train, by title: dotted or dashed.

    The oracle's line is black, the others are grey.
    """
    return {
        title: {"color": _BLACK if title == ORACLE else _GREY, "linestyle": style}
        for title, style in zip(titles, cycle(_STYLES), strict=False)
    }


def finish(axes: Axes) -> None:
    """Remove distracting elements."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
