"""Plan on the believed map of a gridworld: to the known goal, or in search of it.

Landing on a cell is worth ``y = pay + V``. If the cell is a danger, it is worth the danger's reward
plus V of the start. A move lands ahead with probability 1 - slip, otherwise to the left or right. A
move towards a cell that is an obstacle with chance b is worth ``(1 - b) y[there] + b y[here]``. A
plan is stored as y, from which `moves` computes the value of each action.

*The goal is known* (`exploit`). The remaining n steps are spent on as many episodes as they allow:
backward induction with restarts, where the goal is worth 100 plus V of the start. This is the
optimum of the believed map, and needs no separate cost per step.

*The goal is unknown* (`search`). Each step costs what it could earn if the goal were known, the
*opportunity cost* rho. A tour through the cells where the goal may be, with chances p_j and times
of arrival t_j, reaches the goal after ``sum p_j t_j`` steps in expectation. A candidate cell c is
therefore worth ``-rho L(c)``, where L(c) is this sum for the rest of a tour that starts at c and
always goes on to a cell that is near and likely. Value iteration finds the way to the first cell.
"""

import numpy as np

from vamdp.compiled import njit
from vamdp.domains.grids.generator import DANGER, GOAL, NORMAL
from vamdp.mdp.grid_tasks import GRID_WORLD

N_ACTIONS = len(GRID_WORLD.headings)
_REWARDS = GRID_WORLD.rewards
_NORMAL_REWARD, _GOAL_REWARD = _REWARDS[NORMAL], _REWARDS[GOAL]
_DANGER_REWARD = _REWARDS[DANGER]

# With the goal known, chances of obstacles are raised to this power, which lowers them: a shorter
# way pays in all later episodes, so an uncertain one is worth a try.
_HOPE = 2.0

# The search leaves out cells where the goal is less likely than this.
_LEAST_CHANCE = 1e-4

# For distances. _RETRY: fraction counted of the b / (1 - b) retries that an obstacle of chance b
# would cost if tries were independent (the agent goes round it instead). _LOST_BY_SLIP: fraction of
# a step lost per slip.
_RETRY, _LOST_BY_SLIP = 0.5, 0.5

# Limits of value iteration during the search. Rewards are integers, so the tolerance is small.
_MOST_SWEEPS, _TOLERANCE = 60, 0.05

# Larger than any distance or cost.
_FAR = 1e6


@njit(cache=True, inline="always")
def moves(cell, width, slip, blocked, y, Q):
    """Write Q of the actions (stay, north, east, south, west) in a cell; returns the best one."""
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
    best = 0
    for a in range(1, N_ACTIONS):
        if Q[a] > Q[best]:
            best = a
    return best


@njit(cache=True)
def exploit(n_steps, start, width, blocked, danger, goal, pay, slips, hoped, landing):
    """Write what landing on each cell is worth with n steps to go, for n up to n_steps.

    The goal is known: it is the cell with goal chance 1. The worth is written into landing[n - 1],
    of shape (horizon, C), and the chances of obstacles that `moves` reckons with into hoped (C,).
    """
    C = danger.size
    hoped[:] = blocked**_HOPE
    V, Q = np.zeros(C), np.empty(N_ACTIONS)
    open_cells = np.flatnonzero((hoped < 1.0) & (goal < 1.0))
    pays, goes_on, restarts = np.empty(C), np.empty(C), np.empty(C)
    for cell in range(C):
        # y = pays + goes_on V[cell] + restarts V[start]
        goes_on[cell], restarts[cell] = 1.0 - danger[cell], danger[cell]
        pays[cell] = (1.0 - danger[cell]) * pay[cell] + danger[cell] * _DANGER_REWARD
        if goal[cell] == 1.0:
            pays[cell], goes_on[cell], restarts[cell] = _GOAL_REWARD, 0.0, 1.0
    for n in range(n_steps):
        y, restart = landing[n], V[start]
        for cell in range(C):
            y[cell] = pays[cell] + goes_on[cell] * V[cell] + restarts[cell] * restart
        for c in open_cells:
            V[c] = Q[moves(c, width, slips[c], hoped, y, Q)]


@njit(cache=True)
def _spread(source, width, entry, distance):
    """Write the shortest distance from `source` to each cell, (C,), where cells cost `entry`."""
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
def _next_stop(present, places, chance, distance, done):
    """Return the next place of a tour: the one with the least distance / sqrt(chance)."""
    best, chosen = np.inf, -1
    for j in range(places.size):
        far = distance[present, places[j]] / np.sqrt(chance[j])
        if not done[j] and far < best:
            best, chosen = far, j
    return chosen


@njit(cache=True)
def _tours(places, chance, distance, waits):
    """Write L of each place: the expected time to the goal on the rest of a tour from there."""
    n = places.size
    done = np.empty(n, np.bool_)
    for first in range(n):
        done[:] = False
        present, clock, waits[first] = first, 0.0, 0.0
        for _ in range(n - 1):
            done[present] = True
            chosen = _next_stop(present, places, chance, distance, done)
            clock += distance[present, places[chosen]]
            waits[first] += chance[chosen] * clock
            present = chosen


@njit(cache=True)
def _entries(step_cost, blocked, danger, pay, slips, entry):
    """Write the steps that entering each cell takes; its cost above a normal cell's is added."""
    for cell in range(entry.size):
        entry[cell] = _FAR
        if blocked[cell] < 1.0:
            tries = 1.0 + _RETRY * blocked[cell] / (1.0 - blocked[cell])
            reward = (1.0 - danger[cell]) * pay[cell] + danger[cell] * _DANGER_REWARD
            entry[cell] = tries / (1.0 - _LOST_BY_SLIP * slips[cell])
            entry[cell] += (_NORMAL_REWARD - reward) / step_cost


@njit(cache=True)
def search(start, width, opportunity_cost, blocked, danger, goal, pay, slips, landing):
    """Write what landing on each cell is worth during the search for the goal, (C,)."""
    C = danger.size
    places = np.flatnonzero(goal > _LEAST_CHANCE)
    chance = goal[places] / goal[places].sum()
    step_cost = opportunity_cost - _NORMAL_REWARD
    entry = np.empty(C)
    _entries(step_cost, blocked, danger, pay, slips, entry)
    distance, waits = np.empty((places.size, C)), np.empty(places.size)
    for j in range(places.size):
        _spread(places[j], width, entry, distance[j])
    _tours(places, chance, distance, waits)
    worth, V = np.full(C, -np.inf), np.full(C, -_FAR)
    for j in range(places.size):
        worth[places[j]] = -opportunity_cost * waits[j]
        for cell in range(C):  # a start near the solution
            V[cell] = max(V[cell], worth[places[j]] - step_cost * distance[j, cell])
    y, Q = landing, np.empty(N_ACTIONS)
    open_cells = np.flatnonzero(blocked < 1.0)
    for _ in range(_MOST_SWEEPS):
        restart, change = V[start], 0.0
        for cell in range(C):
            y[cell] = (1.0 - danger[cell]) * (pay[cell] + V[cell]) - opportunity_cost
            y[cell] += danger[cell] * (_DANGER_REWARD + restart)
            if worth[cell] > -np.inf:
                y[cell] = pay[cell] - opportunity_cost + worth[cell]
        for c in open_cells:
            best = moves(c, width, slips[c], blocked, y, Q)
            change = max(change, abs(Q[best] - V[c]))
            V[c] = Q[best]
        if change < _TOLERANCE:
            break
