"""Turn a grid of tiles, given as letters, into the arrays of a `TabularMDP`.

A grid has one state per cell, number ``row * n_columns + column``. An action heads in a direction.
With probability 1 - slip the agent moves that way, otherwise to the left or to the right of it with
equal probability. A move off the grid or into an obstacle leaves the agent where it is. The reward
is that of the tile the agent is on after the step. Some tiles end the episode. Ending tiles and
obstacles have no outcomes.

A family of grids defines its letters and what they do:

    gridworlds (RL3, arXiv 2306.15909, section 5.3)   actions: stay, north, east, south, west
        " " normal -1   "S" start -1   "W" wet -2, where every move slips   "!" warning -10
        "X" danger -100, ends   "G" goal +100, ends   "O" obstacle
    frozen lakes (Gymnasium)                          actions: west, south, east, north
        "F" frozen 0    "S" start 0    "H" hole 0, ends   "G" goal +1, ends
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vamdp.compiled import njit

NORTH, EAST, SOUTH, WEST = range(4)  # clockwise: left of d is d - 1, right of d is d + 1
STAY = -1
ROW_STEP = np.array([-1, 0, 1, 0])
COLUMN_STEP = np.array([0, 1, 0, -1])

Tiles = npt.NDArray[np.int8]


class GridRules(NamedTuple):
    """The rules of a family of grids; arrays are indexed by tile number.

    Attributes:
        letters: Letter of each tile; the start tile has the letter "S".
        rewards: Reward for being on the tile after a step.
        ends: Whether being on the tile after a step ends the episode.
        blocks: Whether the tile cannot be entered.
        always_slips: Whether every move from the tile slips, whatever the grid's slip.
        headings: Direction of each action, or STAY.
    """

    letters: str
    rewards: npt.NDArray[np.float64]
    ends: npt.NDArray[np.bool_]
    blocks: npt.NDArray[np.bool_]
    always_slips: npt.NDArray[np.bool_]
    headings: npt.NDArray[np.int64]

    @property
    def start(self) -> int:
        """The start tile's number."""
        return self.letters.index("S")


def _rules(tiles: dict[str, float], headings: list[int], **letters: str) -> GridRules:
    marked = {
        name: np.array([letter in letters.get(name, "") for letter in tiles])
        for name in ("ends", "blocks", "always_slips")
    }
    return GridRules(
        "".join(tiles), np.array(list(tiles.values())), headings=np.array(headings), **marked
    )


# A tile's number is its position here. An obstacle's reward is never paid.
GRID_WORLD = _rules(
    {" ": -1.0, "S": -1.0, "G": 100.0, "O": 0.0, "W": -2.0, "!": -10.0, "X": -100.0},
    [STAY, NORTH, EAST, SOUTH, WEST],
    ends="GX",
    blocks="O",
    always_slips="W",
)
FROZEN_LAKE = _rules(
    {"F": 0.0, "S": 0.0, "H": 0.0, "G": 1.0}, [WEST, SOUTH, EAST, NORTH], ends="HG"
)


def read_tiles(rows: Sequence[str], rules: GridRules) -> Tiles:
    """Return the tile numbers of a grid given as strings, shape (n_rows, n_columns).

    Raises:
        TypeError: `rows` is not a sequence of strings.
        ValueError: It is empty, rows differ in length, a letter is unknown, or no tile is a start.
    """
    is_sequence = isinstance(rows, Sequence) and not isinstance(rows, str)
    if not is_sequence or not all(isinstance(row, str) for row in rows):
        raise TypeError(f"`rows` must be a sequence of strings, one per row, got {rows!r}.")
    if not rows or not rows[0]:
        raise ValueError(f"`rows` must have at least one tile, got {rows!r}.")
    tiles = np.zeros((len(rows), len(rows[0])), np.int8)
    for r, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"`rows[{r}]` must have {len(rows[0])} tiles like the first row, got {len(row)} in "
                f"{row!r}."
            )
        for c, letter in enumerate(row):
            if letter not in rules.letters:
                raise ValueError(
                    f"`rows[{r}][{c}]` must be one of {', '.join(map(repr, rules.letters))}, "
                    f"got {letter!r}."
                )
            tiles[r, c] = rules.letters.index(letter)
    if not (tiles == rules.start).any():
        raise ValueError('`rows` must have a start tile "S", got none.')
    return tiles


def task_arrays(tiles: Tiles, rules: GridRules, slip: float) -> dict[str, Any]:
    """Return the arguments of `TabularMDP.trusted` for a grid.

    Args:
        tiles: Shape (n_rows, n_columns), with at least one start.
        rules: The family's rules.
        slip: Probability that a move goes to the left or right of its heading, in [0, 1].
    """
    S, A = tiles.size, len(rules.headings)
    rows = np.zeros(S * A + 2, np.int64)
    most = 3 * S * A + S
    probability, reward = np.empty(most), np.empty(most)
    successor, ends = np.empty(most, np.int64), np.empty(most, np.bool_)
    K = _fill_outcomes(
        tiles,
        rules.rewards,
        rules.ends,
        rules.blocks,
        np.where(rules.always_slips, 1.0, slip),
        rules.headings,
        rules.start,
        rows,
        probability,
        successor,
        reward,
        ends,
    )
    letters = np.frombuffer(rules.letters.encode(), np.uint8)[tiles]
    return {
        "n_states": S,
        "n_actions": A,
        "rows": rows,
        "probability": probability[:K].copy(),
        "successor": successor[:K].copy(),
        "reward": reward[:K].copy(),
        "ends": ends[:K].copy(),
        "features": coordinates(*tiles.shape),
        "grid": tuple(row.tobytes().decode() for row in letters),
    }


@lru_cache(maxsize=16)
def coordinates(n_rows: int, n_columns: int) -> npt.NDArray[np.float64]:
    """Return (row, column) of each cell, counted from 1, shape (n_rows * n_columns, 2)."""
    cells = (1 + np.indices((n_rows, n_columns)).reshape(2, -1).T).astype(np.float64)
    cells.flags.writeable = False  # shared by all grids of this size
    return cells


@njit(cache=True)
def _landing(tiles, blocks, r, c, heading):
    """Return the cell that a move from (r, c) in a direction reaches."""
    r_next, c_next = r + ROW_STEP[heading], c + COLUMN_STEP[heading]
    inside = 0 <= r_next < tiles.shape[0] and 0 <= c_next < tiles.shape[1]
    if not inside or blocks[tiles[r_next, c_next]]:
        r_next, c_next = r, c
    return r_next * tiles.shape[1] + c_next


@njit(cache=True)
def _land(tiles, blocks, r, c, heading, landing):
    """Write the cells that a move from (r, c) can reach: ahead, to the left, to the right."""
    if heading == STAY:
        landing[:] = r * tiles.shape[1] + c
    else:
        landing[0] = _landing(tiles, blocks, r, c, heading)
        landing[1] = _landing(tiles, blocks, r, c, (heading + 3) % 4)
        landing[2] = _landing(tiles, blocks, r, c, (heading + 1) % 4)


@njit(cache=True)
def _share(landing, slip, share):
    """Write the probabilities of the three landings; equal landings are merged into the first."""
    share[0], share[1], share[2] = 1.0 - slip, 0.5 * slip, 0.5 * slip
    if landing[0] == landing[1] == landing[2]:
        share[0], share[1], share[2] = 1.0, 0.0, 0.0  # adding the three up would round
    elif landing[1] == landing[2]:
        share[1], share[2] = slip, 0.0
    else:
        for side in (1, 2):
            if landing[side] == landing[0]:
                share[0], share[side] = share[0] + share[side], 0.0


@njit(cache=True)
def _fill_outcomes(
    tiles,
    tile_reward,
    tile_ends,
    tile_blocks,
    tile_slip,
    headings,
    start,
    rows,
    probability,
    successor,
    reward,
    ends,
):
    """Write the outcomes of all rows, the start row last; returns the number of outcomes."""
    n_columns = tiles.shape[1]
    landing, share = np.empty(3, np.int64), np.empty(3)
    k = row = 0
    for s in range(tiles.size):
        r, c = s // n_columns, s % n_columns
        here = tiles[r, c]
        for heading in headings:
            rows[row] = k
            row += 1
            if tile_ends[here] or tile_blocks[here]:
                continue
            _land(tiles, tile_blocks, r, c, heading, landing)
            _share(landing, tile_slip[here], share)
            for j in range(3):
                if share[j] > 0.0:
                    reached = tiles[landing[j] // n_columns, landing[j] % n_columns]
                    probability[k], successor[k] = share[j], landing[j]
                    reward[k], ends[k] = tile_reward[reached], tile_ends[reached]
                    k += 1
    rows[row] = k
    for s in range(tiles.size):
        if tiles[s // n_columns, s % n_columns] == start:
            successor[k], reward[k], ends[k] = s, 0.0, False
            k += 1
    probability[rows[row] : k] = 1.0 / (k - rows[row])
    rows[row + 1] = k
    return k
