"""Draw learning curves of cells over several seeds, and measure how soon one agent reaches another.

A curve is the mean total reward of the training meta-episodes, with sampled actions, in blocks of a
hundredth of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rl3_sb3.experiments.algorithms import ALGORITHMS
from rl3_sb3.experiments.drawing import Axes
from rl3_sb3.experiments.pretrained.record import CellRecord, FloatArray
from rl3_sb3.experiments.results.curve_lines import MILLION, draw_levels, draw_seeds, finish

_SMOOTHED = 5  # blocks


def draw_curves(axes: Axes, cells: Mapping[str, CellRecord], levels: Mapping[str, float]) -> None:
    """Draw the seeds' mean over the training steps, and a band from the lowest to the highest.

    Args:
        axes: The axes to draw on.
        cells: Algorithm -> its cell.
        levels: Title of a classical agent -> its mean total reward.
    """
    for algo, cell in cells.items():
        row = ALGORITHMS[algo]
        steps, curves = seeds_curves(cell)
        draw_seeds(axes, steps / MILLION, curves, row.title, color=row.colour)
    draw_levels(axes, levels)
    axes.set_xlabel("training steps (millions)")
    finish(axes)


def seeds_curves(cell: CellRecord) -> tuple[FloatArray, FloatArray]:
    """Return steps, shape (n,), and each seed's curve, shape (n_seeds, n), up to the shortest."""
    n = min(len(run.curve) for run in cell.runs)
    steps = cell.runs[0].curve[:n, 0]
    return steps, np.array([run.curve[:n, 1] for run in cell.runs])


def share_of_steps(fast: FloatArray, slow: FloatArray) -> tuple[float, float]:
    """Return the share of another agent's steps that an agent needs to reach its level.

    The level is the highest value of the slow agent's smoothed curve.

    Args:
        fast: Curve of the agent, shape (n, 2): steps and returns.
        slow: Curve of the other agent, shape (n, 2).

    Returns:
        The share and the level. The share is inf if the fast agent never reaches the level.

    Example:
        >>> steps = np.arange(1.0, 11.0)
        >>> share_of_steps(np.stack([steps, 2 * steps], 1), np.stack([steps, steps], 1))
        (0.6, 8.0)
    """
    steps, returns = _smoothed(slow)
    level = float(returns.max())
    needed = float(steps[np.argmax(returns)])
    own_steps, own = _smoothed(fast)
    reached = np.flatnonzero(own >= level)
    return (float(own_steps[reached[0]]) / needed if len(reached) else np.inf), level


def _smoothed(curve: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the running mean over some blocks, and the steps at the end of each."""
    n = min(_SMOOTHED, len(curve))
    returns = np.convolve(curve[:, 1], np.full(n, 1 / n), mode="valid")
    return curve[n - 1 :, 0], returns


def shares_by_seed(fast: CellRecord, slow: CellRecord) -> Sequence[float]:
    """Return `share_of_steps` for each seed that both cells have."""
    by_seed = {run.seed: run.curve for run in slow.runs}
    return [
        share_of_steps(run.curve, by_seed[run.seed])[0] for run in fast.runs if run.seed in by_seed
    ]
