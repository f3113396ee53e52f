"""Maps of gridworlds as an agent learns them: what it observed, what it believes, what it plans.

New evidence changes the belief at once, and the next look plans anew. Cells are those of the grid
with a frame of obstacles, flattened: C = (size + 2)^2.
"""

import numpy as np
import numpy.typing as npt

from vamdp.baselines.grids.belief import believe, tile_of
from vamdp.baselines.grids.dangers import UNKNOWN, neighbour
from vamdp.baselines.grids.planning import N_ACTIONS, exploit, moves, search
from vamdp.baselines.grids.prior import prior_of
from vamdp.compiled import njit
from vamdp.domains.grids.generator import OBSTACLE, START
from vamdp.domains.gridworlds import DANGEROUS_N_DANGERS, N_DANGERS, GridWorlds
from vamdp.mdp.grid_tasks import GRID_WORLD, STAY

_HEADINGS = GRID_WORLD.headings


class Maps:
    """The maps of n_tasks tasks of one size.

    Args:
        n_tasks: Number of tasks.
        distribution: How they are drawn, with their size.
        horizon: The largest number of steps to go.

    Attributes:
        size: Rows and columns of the grid.
        visits: How often each action was taken in each cell, shape (n_tasks, C, 5).
    """

    def __init__(self, n_tasks: int, distribution: GridWorlds, horizon: int) -> None:
        self.size, self.slip = distribution.size, distribution.slip
        width = self.size + 2
        C = width * width
        is_dangerous = distribution.variation == "dangerous"
        self.n_dangers = DANGEROUS_N_DANGERS if is_dangerous else N_DANGERS
        self.prior = prior_of(distribution)
        framed = np.full((width, width), OBSTACLE, np.int8)
        framed[1:-1, 1:-1] = UNKNOWN
        framed[width // 2, width // 2] = START
        self._unseen = framed.ravel()
        self.tiles = np.empty((n_tasks, C), np.int8)
        self.stays = np.empty((n_tasks, C, 4), np.int64)
        self.factors = np.empty((n_tasks, C, 4))
        self.blocked = np.empty((n_tasks, C))
        self.visits = np.empty((n_tasks, C, N_ACTIONS), np.int64)
        # Whether there is evidence since the last belief, and a belief since the last plan.
        self.is_new, self.is_stale = np.ones((2, n_tasks), np.bool_)
        # The belief, as `believe` writes it.
        self.danger, self.goal, self.pay, self.slips = np.zeros((4, n_tasks, C))
        # landing[i, n - 1]: what landing on each cell is worth with n steps to go. During the
        # search it is the same for all n and stored in row 0.
        self.landing = np.zeros((n_tasks, horizon, C))
        self.has_found = np.zeros(n_tasks, np.bool_)
        # The chances of obstacles that the plan reckons with.
        self.plan_blocked = np.zeros((n_tasks, C))
        self.forget(np.ones(n_tasks, np.bool_))

    def forget(self, which: npt.NDArray[np.bool_]) -> None:
        """Make the maps in `which` (n_tasks,) unknown again."""
        self.tiles[which] = self._unseen
        self.stays[which] = 0
        self.factors[which] = 1.0
        self.blocked[which] = self.prior.obstacle
        self.visits[which] = 0
        self.is_new[which] = True

    def record(
        self,
        states: npt.NDArray[np.int64],
        actions: npt.NDArray[np.int64],
        rewards: npt.NDArray[np.float64],
        next_states: npt.NDArray[np.int64],
    ) -> None:
        """Take in what a step in each map revealed; states are numbers of cells, from 0."""
        self._believe()
        _record(
            states, actions, rewards, next_states, self.size, self.tiles, self.stays, self.visits,
            self.is_new,
        )  # fmt: skip
        self._believe()

    def worths(
        self,
        states: npt.NDArray[np.int64],
        n_left: npt.NDArray[np.int64],
        opportunity_cost: float,
    ) -> npt.NDArray[np.float64]:
        """Return the worth of each action, (n_tasks, 5), with n_left (n_tasks,) steps to go."""
        Q = np.empty((len(states), N_ACTIONS))
        self._believe()
        _look_up(
            states, self.size, n_left, opportunity_cost, self.blocked, self.danger, self.goal,
            self.pay, self.slips, self.has_found, self.landing, self.plan_blocked, self.is_stale,
            Q,
        )  # fmt: skip
        return Q

    def _believe(self) -> None:
        _believe(
            self.size, self.slip, self.n_dangers, *self.prior, self.tiles, self.stays,
            self.factors, self.blocked, self.danger, self.goal, self.pay, self.slips,
            self.has_found, self.is_new, self.is_stale,
        )  # fmt: skip


@njit(cache=True)
def _cell(state, size):
    """Return the number of a state's cell in the framed grid."""
    return (state // size + 1) * (size + 2) + state % size + 1


@njit(cache=True)
def _record(states, actions, rewards, next_states, size, tiles, stays, visits, is_new):
    """Record the tile that was reached, and the moves that left the agent where it was."""
    for i in range(states.size):
        here, there = _cell(states[i], size), _cell(next_states[i], size)
        visits[i, here, actions[i]] += 1
        if tiles[i, there] == UNKNOWN:
            tiles[i, there] = tile_of(rewards[i])
            is_new[i] = True
        heading = _HEADINGS[actions[i]]
        if heading != STAY and here == there:
            stays[i, here, heading] += 1
            for d in range(4):
                if tiles[i, neighbour(here, d, size + 2)] == UNKNOWN:
                    is_new[i] = True


@njit(cache=True)
def _believe(
    size, slip, n_dangers, prior_obstacle, prior_wet, prior_goal, prior_factor, tiles, stays,
    factors, blocked, danger, goal, pay, slips, has_found, is_new, is_stale,
):  # fmt: skip
    """Update the belief of each task with new evidence.

    A belief goes on from the one before, so this is done for all evidence in its order, and not
    when somebody looks.
    """
    for i in range(is_new.size):
        if is_new[i]:
            is_new[i], is_stale[i] = False, True
            has_found[i] = believe(
                size + 2, slip, n_dangers, prior_obstacle, prior_wet, prior_goal, prior_factor,
                tiles[i], stays[i], factors[i], blocked[i], danger[i], goal[i], pay[i], slips[i],
            )  # fmt: skip


@njit(cache=True)
def _look_up(
    states, size, n_left, opportunity_cost, blocked, danger, goal, pay, slips, has_found, landing,
    plan_blocked, is_stale, Q,
):  # fmt: skip
    """Write Q, after planning anew in each task whose belief has changed."""
    width = size + 2
    start = (width // 2) * width + width // 2
    for i in range(states.size):
        if is_stale[i]:
            is_stale[i] = False
            if has_found[i]:
                exploit(
                    n_left[i], start, width, blocked[i], danger[i], goal[i], pay[i], slips[i],
                    plan_blocked[i], landing[i],
                )  # fmt: skip
            else:
                plan_blocked[i] = blocked[i]
                search(
                    start, width, opportunity_cost, blocked[i], danger[i], goal[i], pay[i],
                    slips[i], landing[i, 0],
                )  # fmt: skip
        row = n_left[i] - 1 if has_found[i] else 0
        cell = _cell(states[i], size)
        moves(cell, width, slips[i, cell], plan_blocked[i], landing[i, row], Q[i])
