"""The prior over gridworlds: what the generator makes likely before anything is observed.

The prior is estimated from N_GRIDS grids drawn with a fixed seed. The generator treats all
directions alike, so each grid is counted in its eight rotations and reflections. Obstacles come in
strips, so the chance of an obstacle depends on the eight cells around it. Each of these is unseen,
free or an obstacle, which gives 3^8 patterns,

    odds(obstacle | pattern) = odds(obstacle at this place) * factor[pattern].
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vamdp.domains.gridworlds import GridWorlds

N_GRIDS = 3000

# States of a neighbouring cell in a pattern.
UNSEEN, FREE, BLOCKED = range(3)

# Offsets (row, column) of the cells around a cell, in the order of a pattern's digits.
AROUND = tuple((r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if (r, c) != (0, 0))

# Weight of the overall chance of an obstacle, in observations, when a pattern is rare.
_PSEUDO_COUNT = 20.0


class Prior(NamedTuple):
    """Prior chances per cell of the framed grid, flattened from shape (size + 2, size + 2)."""

    obstacle: npt.NDArray[np.float64]  # of an obstacle; 1 in the frame
    wet: npt.NDArray[np.float64]  # of a wet tile, given that it is not an obstacle
    goal: npt.NDArray[np.float64]
    factor: npt.NDArray[np.float64]  # (3**8,) on the odds of an obstacle


@cache
def prior_of(distribution: GridWorlds) -> Prior:
    """Estimate the prior of a distribution of gridworlds."""
    size = distribution.size
    rng = np.random.default_rng(0)
    drawn = ["".join(distribution(rng).grid or ()) for _ in range(N_GRIDS)]
    grids = np.frombuffer("".join(drawn).encode(), np.uint8).reshape(N_GRIDS, size, size)
    turned = [np.rot90(grids, k, (1, 2)) for k in range(4)]
    grids = np.concatenate([image for grid in turned for image in (grid, grid[:, ::-1])])
    obstacle = (grids == ord("O")).mean(axis=0)
    wet = (grids == ord("W")).mean(axis=0) / (1.0 - obstacle)
    goal = (grids == ord("G")).mean(axis=0)
    return Prior(
        np.pad(obstacle, 1, constant_values=1.0).ravel(),
        np.pad(wet, 1).ravel(),
        np.pad(goal, 1).ravel(),
        _factors(grids == ord("O")),
    )


def _factors(is_obstacle: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    size = is_obstacle.shape[1]
    inner = is_obstacle[:, 1:-1, 1:-1]
    pattern = np.zeros(inner.shape, np.int64)
    for r, c in AROUND:
        pattern = 2 * pattern + is_obstacle[:, 1 + r : size - 1 + r, 1 + c : size - 1 + c]
    n = np.bincount((2 * pattern + inner).ravel(), minlength=2**9).astype(np.float64)
    n = n.reshape((2,) * 9)
    for axis in range(8):  # free, obstacle -> unseen, free, obstacle
        n = np.concatenate([n.sum(axis, keepdims=True), n], axis)
    n = n.reshape(-1, 2)
    n += _PSEUDO_COUNT * n[0] / n[0].sum()  # n[0]: all eight cells unseen
    odds = n[:, 1] / n[:, 0]
    return odds / odds[0]  # type: ignore[no-any-return] # of floats
