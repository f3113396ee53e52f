"""What an agent in a gridworld knows of its map, and what it takes the rest for.

Cells have a frame of one cell around them, so that each has four neighbours: a cell has the number
``(row + 1) * width + column + 1`` with ``width = size + 2``. Three things are learned:

- The *tile* of a cell where the agent was, from the reward there. A danger has warnings on its four
  sides, and only dangers have: so a warning with one cell left for its danger shows that cell, and
  a danger shows its warnings.
- *Stays*: how often a move from a cell in a direction left the agent where it was. Slipping, it may
  have been blocked on the left or the right as well:

      P(stay) = (1 - slip) b(ahead) + slip/2 (b(left) + b(right)),   b = 1 where there is an obstacle.

  Each cell's stays tell something of its four neighbours. What they tell one of them is a factor on
  its odds, the sum over what the other three may be; these factors are passed round as in belief
  propagation (Pearl, Probabilistic reasoning in intelligent systems, 1988).
- *Goal*: it is where the agent has not been; less likely where moves were blocked.
"""

import numpy as np
from numba import njit

from vamdp.baselines.grids.prior import BLOCKED, FREE, UNSEEN
from vamdp.domains.grids.generator import DANGER, GOAL, NORMAL, OBSTACLE, START, WARNING, WET
from vamdp.mdp.grid_tasks import GRID_WORLD

# In place of a tile that was not seen; those seen are the generator's.
UNKNOWN = -1

# A chance beyond which an obstacle is taken for certain.
_CERTAIN = 0.9999

# How much likelier a danger is for each further warning beside it: one danger makes four.
_MORE_WARNINGS = 30.0

# Least likelihood of what was seen, so that no odds become infinite.
_LEAST = 1e-9

_WET_REWARD, _WARNING_REWARD = GRID_WORLD.rewards[WET], GRID_WORLD.rewards[WARNING]
_NORMAL_REWARD, _DANGER_REWARD = GRID_WORLD.rewards[NORMAL], GRID_WORLD.rewards[DANGER]
_TILE_REWARDS = GRID_WORLD.rewards


@njit(cache=True)
def tile_of(reward):
    """The tile that pays this reward; a start counts as normal."""
    for tile in (NORMAL, GOAL, WET, WARNING, DANGER):
        if reward == _TILE_REWARDS[tile]:
            return tile
    return NORMAL


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
    """Whether a danger may be there: off the border, nothing but warnings on its four sides."""
    size = width - 2
    r, c = cell // width - 1, cell % width - 1
    if tiles[cell] != UNKNOWN or not (0 < r < size - 1 and 0 < c < size - 1):
        return False
    for d in range(4):
        beside = tiles[neighbour(cell, d, width)]
        if beside != UNKNOWN and beside != WARNING:
            return False
    return True


@njit(cache=True)
def _explained(cell, width, tiles):
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
def _believe_dangers(width, tiles, n_hidden, danger):
    """Write each cell's chance to be a danger."""
    n_places = 0
    beside_warning = 0
    score = np.zeros(tiles.size)
    for cell in range(tiles.size):
        danger[cell] = 1.0 if tiles[cell] == DANGER else 0.0
        if n_hidden > 0 and _hides_danger(cell, width, tiles):
            n_places += 1
            score[cell] = 1.0
            for d in range(4):
                beside = neighbour(cell, d, width)
                if tiles[beside] == WARNING and not _explained(beside, width, tiles):
                    score[cell] *= _MORE_WARNINGS
            beside_warning += score[cell] > 1.0
    if n_places == 0:
        return
    rest = max(n_hidden - (beside_warning > 0), 0) / n_places
    for cell in range(tiles.size):
        if score[cell] == 1.0:
            danger[cell] = min(rest, 1.0)
    for cell in range(tiles.size):
        if tiles[cell] == WARNING and not _explained(cell, width, tiles):
            total = 0.0
            for d in range(4):
                total += score[neighbour(cell, d, width)]
            for d in range(4):
                beside = neighbour(cell, d, width)
                if score[beside] > 0.0:
                    danger[beside] = max(danger[beside], score[beside] / total)


@njit(cache=True)
def _tell(cell, width, slip, stays, blocked, factors):
    """Write what the stays of a cell tell its four neighbours: factors on their odds, (4,)."""
    chance = np.empty(4)  # of an obstacle, by all but these stays
    for d in range(4):
        b = blocked[neighbour(cell, d, width)]
        if 0.0 < b < 1.0:
            odds = b / (1.0 - b) / factors[d]
            b = odds / (1.0 + odds)
        chance[d] = b
    given = np.zeros((4, 2))
    for layout in range(16):  # bit d: an obstacle in direction d
        likelihood = 1.0
        for d in range(4):
            ahead = (layout >> d) & 1
            left, right = (layout >> ((d + 3) % 4)) & 1, (layout >> ((d + 1) % 4)) & 1
            stay = (1.0 - slip) * ahead + 0.5 * slip * (left + right)
            likelihood *= max(stay, _LEAST) ** stays[d]
        for d in range(4):
            others = likelihood
            for other in range(4):
                if other != d:
                    is_blocked = (layout >> other) & 1
                    others *= chance[other] if is_blocked else 1.0 - chance[other]
            given[d, (layout >> d) & 1] += others
    for d in range(4):
        factors[d] = max(given[d, 1], 1e-30) / max(given[d, 0], 1e-30)
        factors[d] = min(max(factors[d], _LEAST), 1.0 / _LEAST)


@njit(cache=True)
def _pattern(cell, width, tiles, blocked):
    number = 0
    for r in range(-1, 2):
        for c in range(-1, 2):
            if r != 0 or c != 0:
                beside = cell + r * width + c
                digit = UNSEEN
                if tiles[beside] == OBSTACLE:
                    digit = UNSEEN  # the frame, which no strip is in
                elif tiles[beside] != UNKNOWN:
                    digit = FREE
                elif blocked[beside] > 0.6:
                    digit = BLOCKED
                number = 3 * number + digit
    return number


@njit(cache=True)
def believe(
    width, slip, n_dangers, prior_obstacle, prior_wet, prior_goal, prior_factor, tiles, stays,
    factors, blocked, danger, goal, pay, slips,
):  # fmt: skip
    """Write what the cells are likely to be, given tiles (C,) and stays (C, 4).

    factors (C, 4) and blocked (C,) are those of the step before: what little changes since then is
    not computed from nothing. danger, goal: chances (C,). pay: expected reward of being there,
    were it no danger. slips: chance that a move from there slips.
    """
    n_hidden = n_dangers - conclude(width, tiles)
    _believe_dangers(width, tiles, n_hidden, danger)
    for cell in range(tiles.size):
        total = stays[cell, 0] + stays[cell, 1] + stays[cell, 2] + stays[cell, 3]
        if total == 0:
            continue
        for d in range(4):
            if tiles[neighbour(cell, d, width)] == UNKNOWN:
                slips_here = 1.0 if tiles[cell] == WET else slip
                _tell(cell, width, slips_here, stays[cell], blocked, factors[cell])
                break
    total_goal = 0.0
    for cell in range(tiles.size):
        tile = tiles[cell]
        if tile == UNKNOWN:
            b = prior_obstacle[cell]
            odds = b / (1.0 - b) * prior_factor[_pattern(cell, width, tiles, blocked)]
            told = 1.0
            for d in range(4):
                told *= factors[neighbour(cell, d, width), (d + 2) % 4]
            b = odds / (1.0 + odds)
            goal[cell] = prior_goal[cell] / (1.0 - b + b * told)
            total_goal += goal[cell]
            odds *= told
            b = odds / (1.0 + odds)
            blocked[cell] = 1.0 if b > _CERTAIN else b
            warned = 0.0
            for d in range(4):
                warned += danger[neighbour(cell, d, width)]
            warned = min(warned, 1.0)
            wet = prior_wet[cell]
            usual = (1.0 - wet) * _NORMAL_REWARD + wet * _WET_REWARD
            pay[cell] = warned * _WARNING_REWARD + (1.0 - warned) * usual
            slips[cell] = slip + wet * (1.0 - slip)
        else:
            blocked[cell] = 1.0 if tile == OBSTACLE else 0.0
            goal[cell] = 0.0
            pay[cell] = _TILE_REWARDS[tile]
            slips[cell] = 1.0 if tile == WET else slip
    for cell in range(tiles.size):
        if tiles[cell] == GOAL:
            goal[:] = 0.0
            goal[cell] = 1.0
            return True
    if total_goal > 0.0:
        goal /= total_goal
    return False
