"""An object-level learner that knows the rules and the generator of gridworlds.

It keeps a belief about every cell (`vamdp.baselines.grids.belief`) and plans on that map
(`vamdp.baselines.grids.planning`). New evidence changes the belief at once, and the next look plans
anew. It does not plan for the evidence that it might gain.

Q is relative to a fresh start,

    Q(s, a) = worth of action a in cell s, and of the best plan afterwards
              - worth of the best plan from the start,

so the value of a start is 0. With the goal known, the worth is the return in the steps that are
left. During the search it is the expected cost until the goal is found, opportunity cost included,
whatever is left. In the tasks that the learner knows, Q stays within a few hundred, whether many
steps are left or few; in others it can be tens of thousands, where a way that the belief takes for
blocked is the only one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import as_options, check_not_negative, check_positive_integer
from vamdp.baselines.grids.maps import Maps
from vamdp.baselines.grids.planning import N_ACTIONS
from vamdp.domains.gridworlds import SIZES, GridWorlds
from vamdp.estimators.arguments import as_flags, as_new_tasks, as_transitions
from vamdp.estimators.q_rows import QRows
from vamdp.estimators.state_arguments import as_coordinates
from vamdp.estimators.table import Learner


@dataclass(frozen=True)
class GridBeliefsOptions:
    """Options of `GridBeliefs`.

    Attributes:
        task_horizon: Steps of an episode, at least 1: in gridworlds, which have no time limit, the
            meta-episode's.
        size: Rows and columns of the grid, see `GridWorlds`. None: from the first start, which is
            in the centre.
        variation: The variation whose generator is known, see `GridWorlds`.
        goal_distance: See `GridWorlds`.
        opportunity_cost: What a step could earn if the goal were known, at least 0; see
            `vamdp.baselines.grids.planning`.

    Raises:
        ValueError: An option is out of range.
    """

    task_horizon: int
    size: int | None = None
    variation: str | None = None
    goal_distance: int | None = None
    opportunity_cost: float = 5.0

    def __post_init__(self) -> None:
        """Check every option."""
        check_positive_integer("task_horizon", self.task_horizon)
        check_not_negative("opportunity_cost", self.opportunity_cost)
        self.distribution(SIZES[0] if self.size is None else self.size)

    def distribution(self, size: int) -> GridWorlds:
        """Return the distribution of the tasks, with their size."""
        return GridWorlds(size, self.variation, self.goal_distance)


class GridBeliefs(QRows):
    """Learns the maps of gridworlds of a known distribution.

    States are those that gridworlds show: row and column, from 1 to the size. The parts of an
    observation are those of the model-based learner: advantages, value and counts. Values are
    relative to a fresh start, see `vamdp.baselines.grids.beliefs_learner`. Ties between directions
    are broken by the order of cells, so values of a turned grid are nearly the turned values, but
    not exactly.

    Memory: 8 (size + 2)^2 bytes per task and step of `task_horizon`, 0.3 MB for 11x11 and 250.

    Args:
        n_tasks: Number of tasks, at least 1.
        n_actions: 5, the actions of gridworlds.
        **options: The fields of `GridBeliefsOptions`; `task_horizon` is required.

    Raises:
        TypeError: An option is unknown, or `task_horizon` is missing.
        ValueError: An argument is out of range.

    Example:
        The goal is in a corner, so it pays to move and not to stay.

        >>> learner = GridBeliefs(1, 5, task_horizon=250, size=11, variation="corner")
        >>> stay, north, *_ = learner.q_values([[6, 6]])[0]
        >>> bool(stay < north)
        True
    """

    has_axes = True

    def __init__(self, n_tasks: int, n_actions: int, **options: Any) -> None:
        super().__init__(n_tasks, n_actions)
        if n_actions != N_ACTIONS:
            raise ValueError(
                f"`n_actions` must be {N_ACTIONS}, those of gridworlds, got {n_actions}. Take "
                'another `estimator`, such as "model-based".'
            )
        self.options = as_options(GridBeliefsOptions, options)
        self._n_steps = np.zeros(n_tasks, np.int64)  # since the task began
        self._maps: Maps | None = None  # made when the size is known
        if self.options.size is not None:
            self._make_maps(self.options.size)

    def _make_maps(self, size: int) -> Maps:
        o = self.options
        self._maps = Maps(self.n_tasks, o.distribution(size), int(o.task_horizon))
        return self._maps

    def begin_tasks(self, rows: npt.NDArray[np.bool_], seeds: Sequence[int | None]) -> None:
        """Forget the tasks in `rows`; nothing is drawn at random."""
        self.forget(as_new_tasks(rows, seeds, self.n_tasks))

    def begin_episodes(
        self,
        rows: npt.NDArray[np.bool_],
        states: npt.NDArray[np.float64],
        action_masks: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Learn the grid's size from the first start, its centre; later starts teach nothing.

        Raises:
            ValueError: A start is not in the centre of a grid of a known size.
        """
        which = as_flags("rows", rows, self.n_tasks)
        coordinates = self._coordinates("states", states)
        for i in np.flatnonzero(which):
            row, column = coordinates[i].tolist()
            known = SIZES if self._maps is None else (self._maps.size,)
            if row != column or 2 * row - 1 not in known:
                starts = " or ".join(f"({n // 2 + 1}, {n // 2 + 1})" for n in known)
                raise ValueError(
                    f"`states[{i}]` must be the start, {starts}, got ({row:g}, {column:g}): this "
                    "learner knows only gridworlds."
                )
            if self._maps is None:
                self._make_maps(int(2 * row - 1))

    def update(
        self,
        states: npt.ArrayLike,
        actions: npt.ArrayLike,
        rewards: npt.ArrayLike,
        next_states: npt.ArrayLike,
        terminated: npt.ArrayLike,
        next_action_masks: npt.ArrayLike | None = None,
    ) -> None:
        """Record what one step of each task revealed; see `Estimator.update`.

        Raises:
            ValueError: An argument has another shape, type or range, or no episode has begun, so
                that the size is unknown; nothing is learned.
        """
        if self._maps is None:
            raise ValueError(
                "`size` must be given, or an episode begun, before `update`, got None: call "
                "begin_episodes with the start."
            )
        for name, given_states in (("states", states), ("next_states", next_states)):
            self._coordinates(name, given_states)
        given = as_transitions(
            self.n_tasks, self.n_actions, 2,
            states, actions, rewards, next_states, terminated, next_action_masks,
        )  # fmt: skip
        here = self._numbers("states", given.states)
        there = self._numbers("next_states", given.next_states)
        self.record(here, given.actions, given.rewards, there)

    def record(
        self,
        states: npt.NDArray[np.int64],
        actions: npt.NDArray[np.int64],
        rewards: npt.NDArray[np.float64],
        next_states: npt.NDArray[np.int64],
    ) -> None:
        """`update` without checks, for states as numbers from 0, as tables have them."""
        assert self._maps is not None, "the size is known"
        self._maps.record(states, actions, rewards, next_states)
        self._n_steps += 1

    def forget(self, tasks: npt.NDArray[np.bool_] | None = None) -> None:
        """Forget the tasks marked in `tasks` (n_tasks,), or all."""
        which = as_flags("tasks", tasks, self.n_tasks)
        self._n_steps[which] = 0
        if self._maps is not None:
            self._maps.forget(which)

    def worths(self, states: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the worth of the actions, not relative to a start, shape (n_tasks, 5).

        Args:
            states: Numbers of the cells from 0, as tables have them, shape (n_tasks,).
        """
        assert self._maps is not None, "the size is known"
        n_left = np.maximum(int(self.options.task_horizon) - self._n_steps, 1)
        return self._maps.worths(states, n_left, float(self.options.opportunity_cost))

    def _look_up(
        self, states: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        coordinates = self._coordinates("states", states)
        shape = (self.n_tasks, N_ACTIONS)
        masked = np.zeros(shape, np.bool_)
        maps = self._maps
        if maps is None:
            return np.zeros(shape), np.zeros(shape, np.int64), masked
        numbers = self._numbers("states", coordinates)
        Q = self.worths(numbers)
        start = np.full(self.n_tasks, maps.size**2 // 2)
        Q -= self.worths(start).max(axis=1, keepdims=True)
        cells = (coordinates[:, 0] * (maps.size + 2) + coordinates[:, 1]).astype(np.int64)
        return Q, maps.visits[np.arange(self.n_tasks), cells], masked

    def _coordinates(self, name: str, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return rows and columns, shape (n_tasks, 2)."""
        coordinates = as_coordinates(name, states, self.n_tasks, None)
        if coordinates.shape[1] != 2:
            raise ValueError(
                f"`{name}` must be rows and columns, as gridworlds show them, got "
                f"{coordinates.shape[1]} numbers per state. Take another `estimator`, such as "
                '"model-based".'
            )
        return coordinates

    def _numbers(self, name: str, coordinates: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return the numbers of cells, shape (n_tasks,), given as row and column from 1."""
        assert self._maps is not None, "the size is known"
        size = self._maps.size
        good = (coordinates >= 1) & (coordinates <= size) & (coordinates == np.rint(coordinates))
        if not good.all():
            i = int(np.argmin(good.all(axis=1)))
            raise ValueError(
                f"`{name}[{i}]` must be a row and a column from 1 to {size}, got "
                f"{coordinates[i].tolist()}."
            )
        return ((coordinates[:, 0] - 1) * size + coordinates[:, 1] - 1).astype(np.int64)


#: The learner by the name `vamdp.baselines.grids:GRID_BELIEFS`.
GRID_BELIEFS = Learner(
    "vamdp.baselines.grids:GRID_BELIEFS", "beliefs about the map", GridBeliefsOptions, GridBeliefs
)
