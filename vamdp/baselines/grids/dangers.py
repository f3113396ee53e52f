"""Where the dangers of a gridworld may be, by the warnings around them.

A danger lies off the border and has warnings on its four sides, and nothing else has: so a warning
with one cell left for its danger gives that cell away, and a danger its warnings. Where several
cells are left, one that would account for more of the warnings is likelier.

Cells have a frame of one cell around them, so that each has four neighbours: a cell has the number
``(row + 1) * width + column + 1`` with ``width = size + 2``.
"""

import numpy as np

from vamdp.compiled import njit
from vamdp.domains.grids.generator import DANGER, WARNING

# In place of a tile that is not known; the others are the generator's.
UNKNOWN = -1

# How much likelier a danger is for each further warning beside it: there are two or four dangers
# among a hundred cells, so that two of them near each other are that much rarer than one.
_MORE_WARNINGS = 30.0


@njit(cache=True)
def neighbour(cell, d, width):
    """The cell north, east, south or west of a cell."""
    if d == 0:
        return cell - width
    if d == 1:
        return cell + 1
    return cell + width if d == 2 else cell - 1


@njit(cache=True)
def _hides_danger(cell, width, tiles):
    """Whether a danger may be there: on its sides are only warnings, so it is off the border."""
    if tiles[cell] != UNKNOWN:
        return False
    for d in range(4):
        beside = tiles[neighbour(cell, d, width)]
        if beside != UNKNOWN and beside != WARNING:
            return False
    return True


@njit(cache=True)
def _explained(cell, width, tiles):
    """Whether the danger that a warning is for is known."""
    for d in range(4):
        if tiles[neighbour(cell, d, width)] == DANGER:
            return True
    return False


@njit(cache=True)
def conclude(width, tiles):
    """Write the tiles that follow from those that were seen; returns the number of dangers."""
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
    """Write how likely a danger is in each cell by the warnings beside it, 0 where none can be."""
    for cell in range(tiles.size):
        weight[cell] = 1.0 if _hides_danger(cell, width, tiles) else 0.0
        for d in range(4):
            beside = neighbour(cell, d, width) if weight[cell] > 0.0 else cell
            if tiles[beside] == WARNING and not _explained(beside, width, tiles):
                weight[cell] *= _MORE_WARNINGS


@njit(cache=True)
def believe_dangers(width, tiles, n_hidden, danger):
    """Write each cell's chance to be a danger, (C,); n_hidden of them are not known."""
    danger[:] = 0.0
    danger[tiles == DANGER] = 1.0
    if n_hidden <= 0:
        return
    weight = np.zeros(tiles.size)
    _weigh_places(width, tiles, weight)
    # Warnings that were met are for one danger, as a rule; the others may be anywhere.
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
