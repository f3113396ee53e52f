"""Gymnasium's FrozenLake with a new random map for each task.

Maps come from `gymnasium.envs.toy_text.frozen_lake.generate_random_map`: each tile is frozen with
probability p, otherwise a hole, and the goal is always reachable. Rules, actions and state numbers
are FrozenLake-v1's. The registered environment truncates episodes after 200 steps, like Gymnasium's
8x8 lake.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from gymnasium.envs.toy_text.frozen_lake import generate_random_map

from vamdp.argument_checks import as_number, is_integer, require_flag
from vamdp.domains.entry_points import entry_points
from vamdp.mdp.grid_tasks import FROZEN_LAKE, read_tiles, task_arrays
from vamdp.mdp.tabular_mdp import TabularMDP
from vamdp.seeds import N_SEEDS

# A third of the moves go in their direction, and a third to each side.
SLIPPERY = 2.0 / 3.0


@dataclass(frozen=True)
class FrozenLakes:
    """The distribution of random FrozenLake maps.

    Args:
        size: Rows and columns, at least 2.
        p: Probability that a tile is frozen, in [0.5, 1]. Maps that cannot be crossed are drawn
            again, and below 0.5 almost all would be.
        slippery: FrozenLake's `is_slippery`, whose default is True. A slippery 8x8 map is rarely
            crossed: even the oracle reaches the goal about once in 200 steps.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> FrozenLakes(size=4)(np.random.default_rng(0)).grid
        ('SFHF', 'FFFF', 'FFFH', 'FFFG')
    """

    size: int = 8
    p: float = 0.8
    slippery: bool = False

    def __post_init__(self) -> None:
        if not is_integer(self.size) or self.size < 2:
            raise ValueError(f"`size` must be an integer of at least 2, got {self.size!r}.")
        if not 0.5 <= as_number(self.p) <= 1.0:
            raise ValueError(f"`p` must be in [0.5, 1], got {self.p!r}.")
        require_flag("slippery", self.slippery)

    def __call__(self, rng: np.random.Generator) -> TabularMDP:
        """Draw a task."""
        seed = int(rng.integers(N_SEEDS))  # Gymnasium draws maps with its own generator
        tiles = read_tiles(generate_random_map(self.size, self.p, seed), FROZEN_LAKE)
        slip = SLIPPERY if self.slippery else 0.0
        return TabularMDP.trusted(**task_arrays(tiles, FROZEN_LAKE, slip))


env, vector_env = entry_points(FrozenLakes, has_pictures=True)
