"""Draw random gridworlds and accept them by their optimal return, in compiled code.

A grid is drawn in this order (RL3, arXiv 2306.15909, section 5.3; the released code where the text
leaves a choice open):

1. Obstacle strips, horizontal or vertical. Each grows from a uniformly drawn cell toward the middle
   of its line, or in a random direction if it starts in the middle.
2. Wet strips, drawn the same way; they overwrite obstacles.
3. The start in the centre, then the goal, uniform among the cells at or above a minimum Manhattan
   distance from the centre. Both overwrite any tile.
4. Dangers, one after the other, each uniform among the normal cells off the border whose four
   neighbours are normal or obstacles. These neighbours become warnings.

A grid is accepted if its optimal undiscounted return within 100 steps is between 50 and 100.
Otherwise, or if a danger finds no place, another grid is drawn.

The return is computed by backward induction in a layout for grids, which takes a third of the time
(`benchmarks/gridworlds.py`): a blocked move is a multiplication instead of a look-up, so that a
whole row of cells is one vector operation. With ``y[cell] = reward + V[cell]``, the worth of
landing on a cell,

    Q[cell, d] = (1 - slip) y[d of cell] + slip/2 (y[left of d] + y[right of d]),

where "d of cell" is the neighbour in direction d, or the cell itself if that neighbour is blocked.
"""

from __future__ import annotations

import numpy as np

from vamdp.compiled import njit
from vamdp.mdp.grid_tasks import COLUMN_STEP, GRID_WORLD, ROW_STEP
from vamdp.split_mix import uniform

ACCEPTED_HORIZON = 100
LEAST_RETURN, MOST_RETURN = 50.0, 100.0

NORMAL, START, GOAL, OBSTACLE, WET, WARNING, DANGER = range(7)
_REWARDS, _ENDS, _BLOCKS = GRID_WORLD.rewards, GRID_WORLD.ends, GRID_WORLD.blocks


@njit(cache=True)
def _below(keys, n):
    """Draw an integer from [0, n)."""
    return int(uniform(keys, 0) * n)


@njit(cache=True)
def _draw_strips(keys, n_strips, length, tile, tiles):
    size = tiles.shape[0]
    middle = size // 2
    for _ in range(n_strips):
        r, c = _below(keys, size), _below(keys, size)
        vertical = uniform(keys, 0) < 0.5
        place = r if vertical else c
        step = 1 if place < middle else -1
        if place == middle and uniform(keys, 0) < 0.5:
            step = 1
        for i in range(length):
            if vertical:
                tiles[r + i * step, c] = tile
            else:
                tiles[r, c + i * step] = tile


@njit(cache=True)
def _draw_goal(keys, least_distance, tiles):
    size = tiles.shape[0]
    middle = size // 2
    n = 0
    for r in range(size):
        for c in range(size):
            n += abs(r - middle) + abs(c - middle) >= least_distance
    chosen = _below(keys, n)
    for r in range(size):
        for c in range(size):
            if abs(r - middle) + abs(c - middle) >= least_distance:
                if chosen == 0:
                    tiles[r, c] = GOAL
                chosen -= 1


@njit(cache=True)
def _takes_danger(tiles, r, c):
    if tiles[r, c] != NORMAL:
        return False
    for d in range(4):
        beside = tiles[r + ROW_STEP[d], c + COLUMN_STEP[d]]
        if beside != NORMAL and beside != OBSTACLE:
            return False
    return True


@njit(cache=True)
def _draw_danger(keys, tiles):
    """Place one danger with its warnings; returns whether a place was found."""
    size = tiles.shape[0]
    places = np.empty(tiles.size, np.int64)
    n = 0
    for r in range(1, size - 1):
        for c in range(1, size - 1):
            if _takes_danger(tiles, r, c):
                places[n] = r * size + c
                n += 1
    if n == 0:
        return False
    r, c = divmod(places[_below(keys, n)], size)
    tiles[r, c] = DANGER
    for d in range(4):
        tiles[r + ROW_STEP[d], c + COLUMN_STEP[d]] = WARNING
    return True


@njit(cache=True)
def draw_grid(keys, n_obstacles, obstacle_length, n_wet, wet_length, n_dangers, distance, tiles):
    """Draw one grid into tiles (size, size); returns whether all dangers found a place."""
    tiles[:] = NORMAL
    _draw_strips(keys, n_obstacles, obstacle_length, OBSTACLE, tiles)
    _draw_strips(keys, n_wet, wet_length, WET, tiles)
    tiles[tiles.shape[0] // 2, tiles.shape[1] // 2] = START
    _draw_goal(keys, distance, tiles)
    for _ in range(n_dangers):
        if not _draw_danger(keys, tiles):
            return False
    return True


@njit(cache=True)
def best_return(tiles, slip, horizon):
    """Return the largest expected undiscounted return of `horizon` steps from the centre."""
    size = tiles.shape[0]
    # A frame of one cell, so that each cell has four neighbours to read.
    landing = np.zeros((2, size + 2, size + 2))
    # 1.0 if the move north, east, south or west is free; 0.0 if it is blocked.
    free = np.zeros((4, size, size))
    slips = np.empty((size, size))
    goes_on = np.empty((size, size))
    paid = np.empty((size, size))
    for r in range(size):
        for c in range(size):
            tile = tiles[r, c]
            paid[r, c] = landing[0, r + 1, c + 1] = _REWARDS[tile]
            goes_on[r, c] = 0.0 if _ENDS[tile] or _BLOCKS[tile] else 1.0
            slips[r, c] = 1.0 if tile == WET else slip
            for d in range(4):
                r_next, c_next = r + ROW_STEP[d], c + COLUMN_STEP[d]
                inside = 0 <= r_next < size and 0 <= c_next < size
                if inside and not _BLOCKS[tiles[r_next, c_next]]:
                    free[d, r, c] = 1.0
    for n in range(horizon):
        y, y_next = landing[n % 2], landing[1 - n % 2]
        for r in range(size):
            for c in range(size):
                stay = y[r + 1, c + 1]
                # Exact: one of the two products is 0.
                north = free[0, r, c] * y[r, c + 1] + (1.0 - free[0, r, c]) * stay
                east = free[1, r, c] * y[r + 1, c + 2] + (1.0 - free[1, r, c]) * stay
                south = free[2, r, c] * y[r + 2, c + 1] + (1.0 - free[2, r, c]) * stay
                west = free[3, r, c] * y[r + 1, c] + (1.0 - free[3, r, c]) * stay
                straight, aside = 1.0 - slips[r, c], 0.5 * slips[r, c]
                north_or_south = north if north > south else south
                east_or_west = east if east > west else west
                along = straight * north_or_south + aside * (east + west)
                across = straight * east_or_west + aside * (north + south)
                best = along if along > across else across
                best = stay if stay > best else best
                y_next[r + 1, c + 1] = paid[r, c] + goes_on[r, c] * best
    centre = size // 2
    return landing[horizon % 2, centre + 1, centre + 1] - paid[centre, centre]


@njit(cache=True)
def draw_accepted(
    keys, n_obstacles, obstacle_length, n_wet, wet_length, n_dangers, distance, slip, tiles
):
    """Draw grids until one is accepted; returns the number drawn."""
    n_drawn = 0
    while True:
        n_drawn += 1
        complete = draw_grid(
            keys, n_obstacles, obstacle_length, n_wet, wet_length, n_dangers, distance, tiles
        )
        if complete:
            best = best_return(tiles, slip, ACCEPTED_HORIZON)
            if LEAST_RETURN <= best <= MOST_RETURN:
                return n_drawn
