"""Place a task's states on a grid, for rendering.

A task built from tiles has a `grid`: state s is cell s. Any other task whose `features` are two
integers is laid out by these, row first. Its letters follow from its outcomes:

    "S"  an episode may start here
    "G"  every outcome that leads here ends the episode and pays more than 0; "X" less than 0; "H" 0
    " "  any other state
    "O"  no state is here

G, X and H take precedence over S.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vamdp.mdp.tabular_mdp import TabularMDP

_MOST_CELLS = 4096  # with a larger range, the features are probably not places on a grid


class Places(NamedTuple):
    """The places of a task's states.

    Attributes:
        grid: The letters, one string per row.
        cells: The cell of each state, row * n_columns + column, shape (S,).
        states: The state in each cell, or -1, shape (n_rows * n_columns,).
    """

    grid: tuple[str, ...]
    cells: npt.NDArray[np.int64]
    states: npt.NDArray[np.int64]


def places_of(task: TabularMDP) -> Places | None:
    """Return the places of a task's states; None if the task is not on a grid."""
    if task.grid is not None:
        cells = np.arange(task.n_states)
        return Places(task.grid, cells, cells)
    at = task.features
    if at is None or at.shape[1] != 2 or (at != np.rint(at)).any():
        return None
    at = at - at.min(axis=0)
    n_rows, n_columns = (1 + at.max(axis=0)).tolist()
    if n_rows * n_columns > _MOST_CELLS:
        return None
    cells = (at[:, 0] * n_columns + at[:, 1]).astype(np.int64)
    if len(np.unique(cells)) < len(cells):  # two states in the same cell
        return None
    states = np.full(int(n_rows * n_columns), -1)
    states[cells] = np.arange(task.n_states)
    letters = np.full(len(states), "O")
    letters[cells] = _letters(task)
    rows = letters.reshape(int(n_rows), int(n_columns))
    return Places(tuple("".join(row) for row in rows), cells, states)


def _letters(task: TabularMDP) -> npt.NDArray[np.str_]:
    """Return the letter of each state, shape (S,)."""
    S, start = task.n_states, task.rows[-2]  # the last row is the start distribution
    reached, ends, reward = task.successor[:start], task.ends[:start], task.reward[:start]
    letters = np.full(S, " ")
    letters[task.successor[start:][task.probability[start:] > 0]] = "S"
    for letter, pays in (("G", reward > 0), ("X", reward < 0), ("H", reward == 0)):
        is_so = np.bincount(reached[ends & pays], minlength=S) > 0
        is_else = np.bincount(reached[~(ends & pays)], minlength=S) > 0
        letters[is_so & ~is_else] = letter
    return letters
