"""Gridworlds with a distant goal, slippery ground, water, obstacles, and dangers among warnings.

This is the third domain of RL3 (arXiv 2306.15909, section 5.3). It takes many steps to explore a
grid and many steps to exploit it. `vamdp.mdp.grid_tasks` defines tiles and actions, and
`vamdp.domains.grids.generator` draws the grids. The paper plays 250 steps in 11x11 and 350 in
13x13, with no other time limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vamdp.argument_checks import is_integer
from vamdp.domains.entry_points import entry_points
from vamdp.domains.grids.generator import draw_accepted
from vamdp.domains.task_env import draw_key
from vamdp.mdp.grid_tasks import GRID_WORLD, task_arrays
from vamdp.mdp.tabular_mdp import TabularMDP

SIZES = (11, 13)
N_OBSTACLES, OBSTACLE_LENGTH, DENSE_OBSTACLE_LENGTH = 11, 3, 4
N_WET, WATERY_N_WET, WET_LENGTH = 5, 8, 2
N_DANGERS, DANGEROUS_N_DANGERS = 2, 4
GOAL_DISTANCE = 8
SLIP = 0.2

VARIATIONS = ("deterministic", "dense", "watery", "dangerous", "corner")


@dataclass(frozen=True)
class GridWorlds:
    """The distribution of gridworlds whose optimal return within 100 steps is 50 to 100.

    Args:
        size: Number of rows and of columns, 11 or 13.
        variation: None, "deterministic" (only wet tiles slip), "dense" (obstacles of length 4),
            "watery" (8 wet strips), "dangerous" (4 dangers) or "corner" (the goal in a corner).
        goal_distance: Least Manhattan distance of the goal from the start, 1 to `size` - 1; None:
            the paper's 8, or the corner's. With less, goals are nearer and easier to find.

    Raises:
        ValueError: An argument has any other value, or `goal_distance` is given with "corner".

    Example:
        >>> task = GridWorlds(size=11)(np.random.default_rng(0))
        >>> task.n_states, task.n_actions, len(task.grid)
        (121, 5, 11)
    """

    size: int = 11
    variation: str | None = None
    goal_distance: int | None = None

    def __post_init__(self) -> None:
        if not is_integer(self.size) or self.size not in SIZES:
            raise ValueError(f"`size` must be 11 or 13, got {self.size!r}.")
        if self.variation is not None and self.variation not in VARIATIONS:
            raise ValueError(
                f"`variation` must be None or one of {', '.join(VARIATIONS)}, "
                f"got {self.variation!r}."
            )
        if self.goal_distance is None:
            return
        if self.variation == "corner":
            raise ValueError(
                f"`goal_distance` must be left out with the variation 'corner', got "
                f"{self.goal_distance!r}: the goal is in a corner."
            )
        if not is_integer(self.goal_distance) or not 1 <= self.goal_distance < self.size:
            raise ValueError(
                f"`goal_distance` must be an integer from 1 to {self.size - 1}, got "
                f"{self.goal_distance!r}. Leave it out for {GOAL_DISTANCE}."
            )

    def __call__(self, rng: np.random.Generator) -> TabularMDP:
        """Draw a task; this uses one number of `rng`, however many grids are rejected."""
        tiles = np.empty((self.size, self.size), np.int8)
        draw_accepted(
            np.array([draw_key(rng)], np.uint64),
            N_OBSTACLES,
            DENSE_OBSTACLE_LENGTH if self.variation == "dense" else OBSTACLE_LENGTH,
            WATERY_N_WET if self.variation == "watery" else N_WET,
            WET_LENGTH,
            DANGEROUS_N_DANGERS if self.variation == "dangerous" else N_DANGERS,
            self._least_distance,
            self.slip,
            tiles,
        )
        return TabularMDP.trusted(**task_arrays(tiles, GRID_WORLD, self.slip))

    @property
    def _least_distance(self) -> int:
        if self.variation == "corner":
            return self.size - 1
        return GOAL_DISTANCE if self.goal_distance is None else int(self.goal_distance)

    @property
    def feature_scale(self) -> float:
        """The divisor of the observed rows and columns."""
        return self.size

    @property
    def slip(self) -> float:
        """The probability that a move from any but a wet tile slips."""
        return 0.0 if self.variation == "deterministic" else SLIP


env, vector_env = entry_points(GridWorlds, has_pictures=True)
