"""Record the sweeps of one planning call for the next one (`vamdp.estimators.model_based`).

A task's history has shape (capacity + N_LINES, depth): one line for V of each state, then the lines
named below. Column k belongs to sweep k + 1.
"""

import numpy as np

from vamdp.compiled import njit

# Lines after those of the states: the sum of the V that the sweep read, and the flat index of a row
# that moved (NOTHING: planning stopped; SOMETHING: the last sweep allowed, which is not tested).
# The other lines are scratch space: Q of one row and of the changed one, and the new V.
TOTAL, MOVER, ROW_Q, CHANGED_Q, NEW_V = range(5)
N_LINES = 5
NOTHING, SOMETHING = -1.0, -2.0

#: A history of depth 0: no sweeps are recorded.
NO_HISTORY = np.zeros((N_LINES, 0))


@njit(cache=True, inline="always")
def record(history, n_sweeps, n_states, Vs, new, total, mover):
    """Record sweep number n_sweeps; the caller has checked that there is room."""
    k = n_sweeps - 1
    for s in range(np.uint64(n_states)):
        history[s, k] = Vs[new + s]
    lines = history.shape[0] - N_LINES
    history[lines + TOTAL, k] = total
    history[lines + MOVER, k] = mover
