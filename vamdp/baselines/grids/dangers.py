"""Infer where the dangers of a gridworld are from the warnings around them.

A danger is never on the border, and warnings are exactly the four neighbours of dangers. A danger
therefore reveals its warnings, and a warning with only one possible cell for its danger reveals the
danger. If several cells are possible, a cell that explains more of the warnings is more likely.

The grid has a frame of one cell, so that each cell has four neighbours: a cell has the number
``(row + 1) * width + column + 1`` with ``width = size + 2``.
"""

import numpy as np

from vamdp.compiled import njit
from vamdp.domains.grids.generator import DANGER, WARNING

# Stands for an unknown tile; all other tiles are the generator's.
UNKNOWN = -1

# How much more likely a danger is for each further warning beside it. There are two or four dangers
# among about a hundred cells, so two dangers near each other are that much rarer than one.
_MORE_WARNINGS = 30.0


@njit(cache=True)
def neighbour(cell, d, width):
    """Return the cell north (d = 0), east, south or west of a cell."""
    if d == 0:
        return cell - width
    if d == 1:
        return cell + 1
    return cell + width if d == 2 else cell - 1


@njit(cache=True)
def _hides_danger(cell, width, tiles):
    """Whether an unknown cell may be a danger: each neighbour is a warning or unknown."""
    if tiles[cell] != UNKNOWN:
        return False
    for d in range(4):
        beside = tiles[neighbour(cell, d, width)]
        if beside != UNKNOWN and beside != WARNING:
            return False
    return True


@njit(cache=True)
def _explained(cell, width, tiles):
    """Whether a known danger is beside this warning."""
    for d in range(4):
        if tiles[neighbour(cell, d, width)] == DANGER:
            return True
    return False


@njit(cache=True)
def conclude(width, tiles):
    """Write the tiles that can be inferred from the known ones; returns the number of dangers."""
    n_dangers = 0
    changed = True
    while changed:
        changed = False
        n_dangers = 0
        for cell in range(tiles.size):
            if tiles[cell] == DANGER:
                n_dangers += 1
                for d in range(4):
                    beside = neighbour(cell, d, width)
                    if tiles[beside] == UNKNOWN:
                        tiles[beside] = WARNING
                        changed = True
            elif tiles[cell] == WARNING and not _explained(cell, width, tiles):
                n_places, place = 0, 0
                for d in range(4):
                    beside = neighbour(cell, d, width)
                    if _hides_danger(beside, width, tiles):
                        n_places += 1
                        place = beside
                if n_places == 1:
                    tiles[place] = DANGER
                    changed = True
    return n_dangers


@njit(cache=True)
def _weigh_places(width, tiles, weight):
    """Write the weight of a danger in each cell given the warnings beside it; 0 if impossible."""
    for cell in range(tiles.size):
        weight[cell] = 1.0 if _hides_danger(cell, width, tiles) else 0.0
        for d in range(4):
            beside = neighbour(cell, d, width) if weight[cell] > 0.0 else cell
            if tiles[beside] == WARNING and not _explained(beside, width, tiles):
                weight[cell] *= _MORE_WARNINGS


@njit(cache=True)
def believe_dangers(width, tiles, n_hidden, danger):
    """Write each cell's chance of being a danger, (C,); n_hidden dangers are not known."""
    danger[:] = 0.0
    danger[tiles == DANGER] = 1.0
    if n_hidden <= 0:
        return
    weight = np.zeros(tiles.size)
    _weigh_places(width, tiles, weight)
    # Unexplained warnings usually belong to one danger; the other dangers may be anywhere.
    n_elsewhere = n_hidden - 1 if weight.max() > 1.0 else n_hidden
    danger[weight == 1.0] = min(n_elsewhere / max((weight > 0.0).sum(), 1), 1.0)
    for cell in range(tiles.size):
        if tiles[cell] == WARNING and not _explained(cell, width, tiles):
            total = 0.0
            for d in range(4):
                total += weight[neighbour(cell, d, width)]
            for d in range(4):
                beside = neighbour(cell, d, width)
                if weight[beside] > 0.0:
                    danger[beside] = max(danger[beside], weight[beside] / total)
