"""informed"""

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from numba import njit

from vamdp.argument_checks import check_not_negative, check_positive_integer
from vamdp.baselines.grids.belief import UNKNOWN, believe, tile_of
from vamdp.baselines.grids.planning import N_ACTIONS, exploit, search
from vamdp.baselines.grids.prior import prior_of
from vamdp.domains.gridworlds import DANGEROUS_N_DANGERS, N_DANGERS, GridWorlds
from vamdp.domains.grids.generator import OBSTACLE, START
from vamdp.mdp.grid_tasks import GRID_WORLD, STAY


class InformedAgent:
    title = "informed"
    sees: ClassVar[Literal["states"]] = "states"

    def __init__(self, distribution: GridWorlds, *, horizon: int, opportunity_cost: float = 5.0, retry=1.0, power=0.5) -> None:
        self.distribution, self.horizon = distribution, int(horizon)
        self.opportunity_cost = float(opportunity_cost)
        self.retry, self.power = float(retry), float(power)
        self._n_dangers = DANGEROUS_N_DANGERS if distribution.variation == "dangerous" else N_DANGERS
        self._prior = prior_of(distribution)
        self.start(1, seed=0)

    def start(self, n_tasks: int, seed: int) -> None:
        size = self.distribution.size
        width = size + 2
        C = width * width
        framed = np.full((width, width), OBSTACLE, np.int8)
        framed[1:-1, 1:-1] = UNKNOWN
        framed[width // 2, width // 2] = START
        self._tiles = np.repeat(framed.reshape(1, C), n_tasks, axis=0)
        self._stays = np.zeros((n_tasks, C, 4), np.int64)
        self._factors = np.ones((n_tasks, C, 4))
        self._blocked = np.repeat(self._prior.obstacle[None], n_tasks, axis=0)
        self._step = 0

    def act(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        actions = np.zeros(len(seen), np.int64)
        _act(
            seen, self.distribution.size, self.distribution.slip, self._n_dangers,
            max(self.horizon - self._step, 1), self.opportunity_cost, self.retry, self.power, *self._prior,
            self._tiles, self._stays, self._factors, self._blocked, actions,
        )
        return actions

    def learn(self, states, actions, rewards, next_states, terminated, truncated) -> None:
        self._step += 1
        _learn(states, actions, rewards, next_states, self.distribution.size, self._tiles, self._stays)


@njit(cache=True)
def _cell(state, size):
    return (state // size + 1) * (size + 2) + state % size + 1


@njit(cache=True)
def _learn(states, actions, rewards, next_states, size, tiles, stays):
    for i in range(states.size):
        here, there = _cell(states[i], size), _cell(next_states[i], size)
        if tiles[i, there] == UNKNOWN:
            tiles[i, there] = tile_of(rewards[i])
        heading = GRID_WORLD.headings[actions[i]]
        if heading != STAY and here == there:
            stays[i, here, heading] += 1


@njit(cache=True)
def _act(
    states, size, slip, n_dangers, n_steps, opportunity_cost, retry, power, prior_obstacle, prior_wet, prior_goal,
    prior_factor, tiles, stays, factors, blocked, actions,
):  # fmt: skip
    width = size + 2
    C = width * width
    start = (width // 2) * width + width // 2
    danger, goal, pay, slips = np.zeros(C), np.zeros(C), np.zeros(C), np.zeros(C)
    Q = np.zeros(N_ACTIONS)
    for i in range(states.size):
        found = believe(
            width, slip, n_dangers, prior_obstacle, prior_wet, prior_goal, prior_factor, tiles[i], stays[i],
            factors[i], blocked[i], danger, goal, pay, slips,
        )
        here = _cell(states[i], size)
        if found:
            exploit(here, start, width, n_steps, tiles[i], blocked[i], danger, goal, pay, slips, Q)
        else:
            search(here, start, width, opportunity_cost, retry, power, tiles[i], blocked[i], danger, goal, pay, slips, Q)
        actions[i] = np.argmax(Q)
