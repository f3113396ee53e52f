"""The sweeps of a planning, kept for the next one to look at (`vamdp.estimators.model_based`).

A task's history, (capacity + 5, depth), has a line for V of each state and the lines named below;
column k is about sweep k + 1.
"""

import numpy as np

from vamdp.compiled import njit

# Lines after those of the states: the sum of the V that the sweep read, and the flat row that moved
# (NOTHING: planning stopped; SOMETHING: the last sweep allowed, where it does not matter). Then
# room to work in: Q of one row and of the changed one, the new V.
TOTAL, MOVER, ROW_Q, CHANGED_Q, NEW_V = range(5)
N_LINES = 5
NOTHING, SOMETHING = -1.0, -2.0

#: Where no sweeps are to be kept.
NO_HISTORY = np.zeros((N_LINES, 0))


@njit(cache=True, inline="always")
def record(history, n_sweeps, n_states, Vs, new, total, mover):
    """Keep what sweep number n_sweeps found; the caller sees that there is room."""
    k = n_sweeps - 1
    for s in range(np.uint64(n_states)):
        history[s, k] = Vs[new + s]
    lines = history.shape[0] - N_LINES
    history[lines + TOTAL, k] = total
    history[lines + MOVER, k] = mover
