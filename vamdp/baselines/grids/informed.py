"""An agent that knows the rules and the generator of gridworlds, but not the map it is in.

It keeps a belief about every cell (`vamdp.baselines.grids.belief`) and follows the best plan on
that map (`vamdp.baselines.grids.planning`): first it searches for the goal, then it returns there
as often as its steps allow. New evidence changes the belief, and the agent replans. It does not
plan for the evidence that it might gain, so a better agent is possible.
"""

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import check_not_negative, check_positive_integer
from vamdp.baselines.grids.belief import believe, tile_of
from vamdp.baselines.grids.dangers import UNKNOWN, neighbour
from vamdp.baselines.grids.planning import exploit, search
from vamdp.baselines.grids.prior import prior_of
from vamdp.baselines.played_step import as_played_step, check_start
from vamdp.compiled import njit
from vamdp.domains.grids.generator import OBSTACLE, START
from vamdp.domains.gridworlds import DANGEROUS_N_DANGERS, N_DANGERS, GridWorlds
from vamdp.estimators.arguments import as_indices
from vamdp.mdp.grid_tasks import GRID_WORLD, STAY

_HEADINGS = GRID_WORLD.headings


class InformedAgent:
    """Plays gridworlds of a known distribution; the agent is deterministic.

    It breaks ties by taking the first action, so its first steps are the same in every task. This
    costs nothing, because the generator treats all directions alike.

    Args:
        distribution: The distribution of the tasks, with their size and variation.
        horizon: Steps of a meta-episode, at least 1.
        opportunity_cost: What a step could earn if the goal were known, at least 0; see
            `vamdp.baselines.grids.planning`.

    Raises:
        TypeError: `distribution` is not a `GridWorlds`.
        ValueError: A number is out of its range.

    Example:
        The goal is in a corner, so the agent moves towards one.

        >>> agent = InformedAgent(GridWorlds(11, "corner"), horizon=250)
        >>> agent.start(1, seed=0)
        >>> bool(agent.act(np.array([60])) > 0)
        True
    """

    title = "informed"
    sees: ClassVar[Literal["states"]] = "states"

    def __init__(
        self, distribution: GridWorlds, *, horizon: int, opportunity_cost: float = 5.0
    ) -> None:
        if not isinstance(distribution, GridWorlds):
            raise TypeError(
                f"`distribution` must be a vamdp.domains.GridWorlds, got {distribution!r}: this "
                "agent knows only the rules of gridworlds."
            )
        check_positive_integer("horizon", horizon)
        check_not_negative("opportunity_cost", opportunity_cost)
        self.distribution, self.horizon = distribution, int(horizon)
        self.opportunity_cost = float(opportunity_cost)
        dangerous = distribution.variation == "dangerous"
        self._n_dangers = DANGEROUS_N_DANGERS if dangerous else N_DANGERS
        self._prior = prior_of(distribution)
        self.start(1, seed=0)

    def start(self, n_tasks: int, seed: int) -> None:
        """Begin meta-episodes in this many new tasks, and forget the tasks before."""
        check_start(n_tasks, seed)
        width = self.distribution.size + 2  # with a frame
        C = width * width
        framed = np.full((width, width), OBSTACLE, np.int8)
        framed[1:-1, 1:-1] = UNKNOWN
        framed[width // 2, width // 2] = START
        self._tiles = np.repeat(framed.reshape(1, C), n_tasks, axis=0)
        self._stays = np.zeros((n_tasks, C, 4), np.int64)
        self._factors = np.ones((n_tasks, C, 4))
        self._blocked = np.repeat(self._prior.obstacle[None], n_tasks, axis=0)
        # plans[i, n - 1]: the action in each cell with n steps to go. During the search it is the
        # same for all n and stored in row 0.
        self._plans = np.zeros((n_tasks, self.horizon, C), np.int8)
        self._has_found = np.zeros(n_tasks, np.bool_)
        self._is_stale = np.ones(n_tasks, np.bool_)  # new evidence since the last plan
        self._n_steps = self.horizon  # steps to go

    def act(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return actions, shape (n_tasks,), for the current states.

        Raises:
            ValueError: The states have another shape, type or range.
        """
        states = as_indices("states", seen, len(self._tiles), self.distribution.size**2)
        actions = np.zeros(states.size, np.int64)
        _act(
            states, self.distribution.size, self.distribution.slip, self._n_dangers,
            max(self._n_steps, 1), self.opportunity_cost, *self._prior, self._tiles, self._stays,
            self._factors, self._blocked, self._plans, self._has_found, self._is_stale, actions,
        )  # fmt: skip
        return actions

    def learn(
        self,
        states: npt.NDArray[np.int64],
        actions: npt.NDArray[np.int64],
        rewards: npt.NDArray[np.float64],
        next_states: npt.NDArray[np.int64],
        terminated: npt.NDArray[np.bool_],
        truncated: npt.NDArray[np.bool_],
    ) -> None:
        """Record what each step revealed of the map; the end of an episode does not clear it.

        Raises:
            ValueError: An argument has another shape, type or range; nothing is learned.
        """
        size = self.distribution.size
        step = as_played_step(
            len(self._tiles), size * size, len(_HEADINGS),
            states, actions, rewards, next_states, terminated, truncated,
        )  # fmt: skip
        _learn(*step[:4], size, self._tiles, self._stays, self._is_stale)
        self._n_steps -= 1


@njit(cache=True)
def _cell(state, size):
    """Return the number of a state's cell in the framed grid."""
    return (state // size + 1) * (size + 2) + state % size + 1


@njit(cache=True)
def _learn(states, actions, rewards, next_states, size, tiles, stays, is_stale):
    """Record the tile that was reached, and the moves that left the agent where it was."""
    for i in range(states.size):
        here, there = _cell(states[i], size), _cell(next_states[i], size)
        if tiles[i, there] == UNKNOWN:
            tiles[i, there] = tile_of(rewards[i])
            is_stale[i] = True
        heading = _HEADINGS[actions[i]]
        if heading != STAY and here == there:
            stays[i, here, heading] += 1
            for d in range(4):
                if tiles[i, neighbour(here, d, size + 2)] == UNKNOWN:
                    is_stale[i] = True


@njit(cache=True)
def _act(
    states, size, slip, n_dangers, n_steps, opportunity_cost, prior_obstacle, prior_wet, prior_goal,
    prior_factor, tiles, stays, factors, blocked, plans, has_found, is_stale, actions,
):  # fmt: skip
    """Write the actions, after updating the belief and the plan of each task with new evidence."""
    width = size + 2
    start = (width // 2) * width + width // 2
    danger, goal, pay, slips = np.zeros((4, width * width))
    for i in range(states.size):
        if is_stale[i]:
            is_stale[i] = False
            has_found[i] = believe(
                width, slip, n_dangers, prior_obstacle, prior_wet, prior_goal, prior_factor,
                tiles[i], stays[i], factors[i], blocked[i], danger, goal, pay, slips,
            )  # fmt: skip
            if has_found[i]:
                exploit(n_steps, start, width, blocked[i], danger, goal, pay, slips, plans[i])
            else:
                search(
                    start, width, opportunity_cost, blocked[i], danger, goal, pay, slips,
                    plans[i, 0],
                )  # fmt: skip
        row = n_steps - 1 if has_found[i] else 0
        actions[i] = plans[i, row, _cell(states[i], size)]
