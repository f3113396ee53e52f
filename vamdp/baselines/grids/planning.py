"""Plans on the map that is believed in: what to do now, with the goal known, or looking for it.

Landing on a cell is worth ``y = pay + V``, or, if it is a danger, what a danger pays and V of the
start. A move lands ahead with probability 1 - slip, else left or right, and where there may be an
obstacle, with chance b, lands on ``(1 - b) y[there] + b y[here]``.

*The goal is known.* What is left is n steps, over as many episodes as they allow: backward
induction with restarts, where the goal is worth 100 and V of the start. That is the optimum of the
map that is believed in; how dear a step is comes out by itself.

*It is not.* Each step costs what it could earn were the goal known, the *opportunity cost* rho.
Going through the cells where the goal may be, c_1, c_2, ..., with chances p_j and arrivals t_j, the
time of arrival at the goal is ``sum p_j t_j`` in the mean. So a cell c where it may be is worth
``-rho L(c)``, with L(c) the sum for the rest of the tour from there, always on to the cell that is
near and likely; value iteration finds the way to the first.
"""

import numpy as np
from numba import njit

from vamdp.baselines.grids.belief import neighbour
from vamdp.domains.grids.generator import DANGER, GOAL
from vamdp.mdp.grid_tasks import GRID_WORLD

_GOAL_REWARD, _DANGER_REWARD = GRID_WORLD.rewards[GOAL], GRID_WORLD.rewards[DANGER]
N_ACTIONS = 5

# Chance below which the goal is not looked for in a cell.
_LEAST_CHANCE = 1e-4
_FAR = 1e6


@njit(cache=True, inline="always")
def _moves(cell, width, slip, blocked, y, Q):
    """Write Q of the five actions (stay, north, east, south, west) in a cell."""
    stay = y[cell]
    b = blocked[cell - width]
    north = (1.0 - b) * y[cell - width] + b * stay
    b = blocked[cell + 1]
    east = (1.0 - b) * y[cell + 1] + b * stay
    b = blocked[cell + width]
    south = (1.0 - b) * y[cell + width] + b * stay
    b = blocked[cell - 1]
    west = (1.0 - b) * y[cell - 1] + b * stay
    ahead, aside = 1.0 - slip, 0.5 * slip
    Q[0] = stay
    Q[1] = ahead * north + aside * (east + west)
    Q[2] = ahead * east + aside * (north + south)
    Q[3] = ahead * south + aside * (east + west)
    Q[4] = ahead * west + aside * (north + south)


@njit(cache=True)
def exploit(here, start, width, n_steps, tiles, blocked, danger, goal, pay, slips, Q):
    """Write Q (5,) of a cell, with n_steps to go and the goal known."""
    C = tiles.size
    y, V = np.zeros(C), np.zeros(C)
    Q_cell = np.empty(N_ACTIONS)
    for n in range(n_steps):
        restart = V[start]
        for cell in range(C):
            y[cell] = (1.0 - danger[cell]) * (pay[cell] + V[cell])
            y[cell] += danger[cell] * (_DANGER_REWARD + restart)
            if goal[cell] > 0.5:
                y[cell] = _GOAL_REWARD + restart
        if n == n_steps - 1:
            break
        for r in range(1, width - 1):
            for cell in range(r * width + 1, r * width + width - 1):
                _moves(cell, width, slips[cell], blocked, y, Q_cell)
                V[cell] = Q_cell.max()
    _moves(here, width, slips[here], blocked, y, Q)


@njit(cache=True)
def _spread(source, width, entry, distance):
    """Write the least sum of entries on the way from a cell to each, (C,)."""
    C = entry.size
    distance[:] = _FAR
    distance[source] = 0.0
    changed = True
    while changed:
        changed = False
        for k in range(2):
            for j in range(width + 1, C - width - 1):
                cell = j if k == 0 else C - 1 - j
                if entry[cell] >= _FAR:
                    continue
                near = min(
                    min(distance[cell - width], distance[cell + width]),
                    min(distance[cell - 1], distance[cell + 1]),
                )
                if near + entry[cell] < distance[cell] - 1e-9:
                    distance[cell] = near + entry[cell]
                    changed = True


@njit(cache=True)
def _tours(places, chance, distance, power, waits):
    """Write L of each place: the mean time to the goal over the rest of the tour from there."""
    n = places.size
    done = np.empty(n, np.bool_)
    for first in range(n):
        done[:] = False
        done[first] = True
        present, clock, wait = first, 0.0, 0.0
        for _ in range(n - 1):
            best, chosen = np.inf, -1
            for j in range(n):
                if not done[j]:
                    far = distance[present, places[j]] / chance[j] ** power
                    if far < best:
                        best, chosen = far, j
            clock += distance[present, places[chosen]]
            wait += chance[chosen] * clock
            done[chosen] = True
            present = chosen
        waits[first] = wait


@njit(cache=True)
def search(
    here, start, width, opportunity_cost, retry, power, tiles, blocked, danger, goal, pay, slips, Q
):
    """Write Q (5,) of a cell while the goal is looked for."""
    C = tiles.size
    places = np.flatnonzero(goal > _LEAST_CHANCE)
    chance = goal[places] / goal[places].sum()
    step_cost = opportunity_cost + 1.0
    entry = np.full(C, _FAR)
    for cell in range(C):
        if blocked[cell] < 1.0:
            b = blocked[cell]
            loss = (1.0 - danger[cell]) * pay[cell] + danger[cell] * _DANGER_REWARD
            entry[cell] = (1.0 + retry * b / (1.0 - b)) / (1.0 - 0.5*slips[cell])
            entry[cell] += (-1.0 - loss) / step_cost
    distance = np.empty((places.size, C))
    for j in range(places.size):
        _spread(places[j], width, entry, distance[j])
    waits = np.empty(places.size)
    _tours(places, chance, distance, power, waits)
    worth = np.full(C, -np.inf)
    V = np.full(C, -_FAR)
    for j in range(places.size):
        worth[places[j]] = -opportunity_cost * waits[j]
        for cell in range(C):
            V[cell] = max(V[cell], worth[places[j]] - step_cost * distance[j, cell])
    y = np.full(C, -_FAR)
    Q_cell = np.empty(N_ACTIONS)
    for _ in range(60):
        restart = V[start]
        for cell in range(C):
            ahead = max(V[cell], -_FAR)
            y[cell] = (1.0 - danger[cell]) * (pay[cell] + ahead)
            y[cell] += danger[cell] * (_DANGER_REWARD + restart) - opportunity_cost
            if worth[cell] > -np.inf:
                y[cell] = worth[cell] + pay[cell] - opportunity_cost
        change = 0.0
        for r in range(1, width - 1):
            for cell in range(r * width + 1, r * width + width - 1):
                if blocked[cell] < 1.0:
                    _moves(cell, width, slips[cell], blocked, y, Q_cell)
                    best = Q_cell.max()
                    change = max(change, abs(best - V[cell]))
                    V[cell] = best
        if change < 0.05:
            break
    _moves(here, width, slips[here], blocked, y, Q)
