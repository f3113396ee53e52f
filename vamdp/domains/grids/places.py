"""The places of a task's states on a grid, for whoever draws them.

A task that was made from tiles has them as its `grid`: state s is cell s. Any other task whose
states have two whole coordinates is laid out by these, first the row, then the column, and its
letters say what is known of the states:

    "S"  an episode may start here
    "G"  an episode ends on reaching it, and that pays more than 0; "X" less than 0; "H" 0
    " "  any other state
    "O"  no state is here

An outcome that ends the episode only sometimes, or pays now more, now less than 0, is no mark: the
state's letter is " " then.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vamdp.mdp.tabular_mdp import TabularMDP

_MOST_CELLS = 4096  # of a picture; coordinates that lie wider apart are of something else


class Places(NamedTuple):
    """Where the states are.

    Attributes:
        grid: The letters, one string per row.
        cells: The cell of each state, shape (S,), row * n_columns + column.
        states: The state in each cell, -1 for none.
    """

    grid: tuple[str, ...]
    cells: npt.NDArray[np.int64]
    states: npt.NDArray[np.int64]


def places_of(task: TabularMDP) -> Places | None:
    """Return where a task's states are; None if they are on no grid."""
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
    if len(np.unique(cells)) < len(cells):  # two states in one place
        return None
    states = np.full(int(n_rows * n_columns), -1)
    states[cells] = np.arange(task.n_states)
    letters = np.full(len(states), "O")
    letters[cells] = _letters(task)
    rows = letters.reshape(int(n_rows), int(n_columns))
    return Places(tuple("".join(row) for row in rows), cells, states)


def _letters(task: TabularMDP) -> npt.NDArray[np.str_]:
    """Return the letter of each state, shape (S,)."""
    S, start = task.n_states, task.rows[-2]  # the last row is of the starts
    reached, ends, reward = task.successor[:start], task.ends[:start], task.reward[:start]
    letters = np.full(S, " ")
    letters[task.successor[start:][task.probability[start:] > 0]] = "S"
    for letter, pays in (("G", reward > 0), ("X", reward < 0), ("H", reward == 0)):
        is_so = np.bincount(reached[ends & pays], minlength=S) > 0
        is_else = np.bincount(reached[~(ends & pays)], minlength=S) > 0
        letters[is_so & ~is_else] = letter
    return letters
