"""The transformations of grids: turned by quarters, mirrored, or transposed.

Gridworlds start in the centre of a square, their obstacles, water and dangers are drawn in the same
way in all directions, and the distance of goals is counted in steps: a grid that is turned or
mirrored is as likely as the grid itself, in each variation. Frozen lakes lead from one corner to
the opposite one, so they may only be transposed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.update.transformation import Transformation
from vamdp.mdp.grid_tasks import (
    COLUMN_STEP,
    FROZEN_LAKE,
    GRID_WORLD,
    ROW_STEP,
    STAY,
)

_DIRECTIONS = np.stack([ROW_STEP, COLUMN_STEP], axis=1)
_QUARTER_TURN = np.array([[0, 1], [-1, 0]])  # north becomes east
_MIRROR = np.array([[1, 0], [0, -1]])  # east becomes west
_TRANSPOSE = np.array([[0, 1], [1, 0]])  # north becomes west


def of_gridworlds(size: int | None) -> list[Transformation]:
    """Return the eight of a square, for states observed as (row, column) / size, from 1."""
    size = _given(size)
    matrices = [
        np.linalg.matrix_power(_QUARTER_TURN, turns) @ mirror
        for mirror in (np.eye(2, dtype=int), _MIRROR)
        for turns in range(4)
    ]
    found = []
    for matrix in matrices:
        origin = np.abs(matrix).argmax(axis=1)
        scale = matrix[[0, 1], origin]
        shift = np.where(scale < 0, (size + 1) / size, 0.0)
        found.append(
            Transformation(
                _labels(matrix, GRID_WORLD.headings),
                origin.tolist(),
                scale.tolist(),
                shift.tolist(),
            )
        )
    return found


def of_frozen_lakes(size: int | None) -> list[Transformation]:
    """Return the identity and the transposition, for states observed as one-hots."""
    size = _given(size)
    cells = np.arange(size * size).reshape(size, size)
    headings = FROZEN_LAKE.headings
    return [
        Transformation(range(len(headings)), cells.ravel().tolist()),
        Transformation(_labels(_TRANSPOSE, headings), cells.T.ravel().tolist()),
    ]


def _labels(matrix: npt.NDArray[np.int_], headings: npt.NDArray[np.int64]) -> list[int]:
    """Return the action that heads where each action heads after the transformation."""
    new_headings = [
        STAY if heading == STAY else _heading(matrix @ _DIRECTIONS[heading]) for heading in headings
    ]
    return [headings.tolist().index(heading) for heading in new_headings]


def _heading(step: npt.NDArray[np.int_]) -> int:
    return int(np.flatnonzero((_DIRECTIONS == step).all(axis=1))[0])


def _given(size: int | None) -> int:
    if size is None:
        raise InputError(
            "`Domain.transformations` must know the size of the grids, got None: the domain has "
            "only one. Pass `transformations=lambda _: DOMAIN.transformations_of(SIZE)`, or None."
        )
    return size
