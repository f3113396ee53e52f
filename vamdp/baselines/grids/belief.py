"""An agent's belief about the map of its gridworld, given the steps it has taken.

The evidence is kept in two tables. The *tile* of every visited cell is known from its reward.
*Stays* count how often a move from a cell in a direction left the agent where it was: it was
blocked ahead or, after a slip, on the left or on the right,

    P(stay) = (1 - slip) b(ahead) + slip/2 (b(left) + b(right)),   b = 1 if there is an obstacle.

The stays of a cell are evidence about its four neighbours. For each neighbour the evidence is a
factor on its odds of being an obstacle, summed over what the other three may be. The factors are
exchanged as in belief propagation (Pearl, Probabilistic reasoning in intelligent systems, 1988).
The prior odds come from `vamdp.baselines.grids.prior`.

The goal is in a cell that the agent has not visited, and less likely in a cell that seems blocked.
"""

import numpy as np

from vamdp.baselines.grids.dangers import UNKNOWN, believe_dangers, conclude, neighbour
from vamdp.baselines.grids.prior import BLOCKED, FREE, UNSEEN
from vamdp.compiled import njit
from vamdp.domains.grids.generator import DANGER, GOAL, NORMAL, OBSTACLE, WARNING, WET
from vamdp.mdp.grid_tasks import GRID_WORLD

_TILE_REWARDS = GRID_WORLD.rewards
_NORMAL_REWARD, _WET_REWARD = _TILE_REWARDS[NORMAL], _TILE_REWARDS[WET]
_WARNING_REWARD = _TILE_REWARDS[WARNING]

# Above _CERTAIN an obstacle counts as certain. Above _LIKELY it counts as an obstacle in the
# patterns of its neighbours.
_CERTAIN, _LIKELY = 0.9999, 0.6

# Smallest likelihood of an observation, so that no odds become infinite.
_LEAST = 1e-9
_TINY = 1e-300


@njit(cache=True)
def tile_of(reward):
    """Return the tile that pays this reward; a start counts as normal."""
    for tile in (NORMAL, GOAL, WET, WARNING, DANGER):
        if reward == _TILE_REWARDS[tile]:
            return tile
    return NORMAL


@njit(cache=True)
def _tell(cell, width, slip, stays, blocked, factors):
    """Write the factors (4,) that the stays of a cell put on the odds of its four neighbours."""
    chance = np.empty(4)  # of an obstacle, without the evidence of these stays
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
        # A product of likelihoods may underflow to 0.
        factors[d] = max(given[d, 1], _TINY) / max(given[d, 0], _TINY)
        factors[d] = min(max(factors[d], _LEAST), 1.0 / _LEAST)


@njit(cache=True)
def _has_unknown_beside(cell, width, tiles):
    for d in range(4):
        if tiles[neighbour(cell, d, width)] == UNKNOWN:
            return True
    return False


@njit(cache=True)
def _pattern(cell, width, tiles, blocked):
    """Return the index in `Prior.factor` of what is known about the eight cells around."""
    number = 0
    for r in range(-1, 2):
        for c in range(-1, 2):
            if r != 0 or c != 0:
                beside = cell + r * width + c
                digit = UNSEEN  # also for the frame, which is no evidence of strips
                if tiles[beside] == UNKNOWN:
                    digit = BLOCKED if blocked[beside] > _LIKELY else UNSEEN
                elif tiles[beside] != OBSTACLE:
                    digit = FREE
                number = 3 * number + digit
    return number


@njit(cache=True)
def _believe_unknown(
    cell, width, slip, prior_obstacle, prior_wet, prior_goal, prior_factor, tiles, factors,
    blocked, danger, goal, pay, slips,
):  # fmt: skip
    """Write the beliefs about a cell of unknown tile; the goal's chance is not yet normalised."""
    b = prior_obstacle[cell]
    odds = b / (1.0 - b) * prior_factor[_pattern(cell, width, tiles, blocked)]
    b = odds / (1.0 + odds)
    told, warned = 1.0, 0.0
    for d in range(4):
        beside = neighbour(cell, d, width)
        told *= factors[beside, (d + 2) % 4]  # the neighbour's evidence about this cell
        warned += danger[beside]
    goal[cell] = prior_goal[cell] / (1.0 - b + b * told)  # a goal excludes an obstacle
    odds *= told
    b = odds / (1.0 + odds)
    blocked[cell] = 1.0 if b > _CERTAIN else b
    warned, wet = min(warned, 1.0), prior_wet[cell]
    pay[cell] = (1.0 - wet) * _NORMAL_REWARD + wet * _WET_REWARD
    pay[cell] += warned * (_WARNING_REWARD - pay[cell])
    slips[cell] = slip + wet * (1.0 - slip)


@njit(cache=True)
def believe(
    width, slip, n_dangers, prior_obstacle, prior_wet, prior_goal, prior_factor, tiles, stays,
    factors, blocked, danger, goal, pay, slips,
):  # fmt: skip
    """Write the beliefs about all cells, given tiles (C,) and stays (C, 4).

    factors (C, 4) and blocked (C,) hold the previous beliefs and are updated. The others, all (C,),
    are overwritten: danger and goal, the chances of each; pay, the reward of being in the cell if
    it is not a danger; slips, the chance that a move from the cell slips. Returns whether the goal
    is known.
    """
    believe_dangers(width, tiles, n_dangers - conclude(width, tiles), danger)
    found = -1
    for cell in range(tiles.size):
        tile = tiles[cell]
        if tile != UNKNOWN:
            blocked[cell] = 1.0 if tile == OBSTACLE else 0.0
            goal[cell] = 0.0
            pay[cell] = _TILE_REWARDS[tile]
            slips[cell] = 1.0 if tile == WET else slip
        if tile == GOAL:
            found = cell
    for cell in range(tiles.size):
        if stays[cell].any() and _has_unknown_beside(cell, width, tiles):
            _tell(cell, width, slips[cell], stays[cell], blocked, factors[cell])
    for cell in range(tiles.size):
        if tiles[cell] == UNKNOWN:
            _believe_unknown(
                cell, width, slip, prior_obstacle, prior_wet, prior_goal, prior_factor, tiles,
                factors, blocked, danger, goal, pay, slips,
            )  # fmt: skip
    if found >= 0:
        goal[:] = 0.0
        goal[found] = 1.0
    elif goal.any():
        goal /= goal.sum()
    return found >= 0
