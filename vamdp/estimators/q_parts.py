"""Write Q-estimates into the parts of an observation: advantages, value and counts.

"advantage"  (A,) (Q - max Q) / scales.values; a masked action reads as the worst allowed one
"value"      (1,) max Q / scales.values, over the allowed actions
"count"      (A,) visits of each action / scales.counts
"""

import numpy as np
from gymnasium import spaces

from vamdp.compiled import njit


def q_parts(n_actions: int) -> dict[str, spaces.Box]:
    """Return the boxes of the parts, in order."""
    return {
        "advantage": spaces.Box(-np.inf, 0, (n_actions,), np.float32),
        "value": spaces.Box(-np.inf, np.inf, (1,), np.float32),
        "count": spaces.Box(0, np.inf, (n_actions,), np.float32),
    }


#: The parts with one entry per action.
Q_ACTION_PARTS = ("advantage", "count")


@njit(cache=True, inline="always")
def write_q_parts(Q, masked, visits, value_scale, count_scale, out):
    """Write the parts of one state, from its rows (A,); at least one action is not masked."""
    n_actions = Q.size
    best, worst = -np.inf, np.inf
    for a in range(n_actions):
        if not masked[a]:
            best = max(best, Q[a])
            worst = min(worst, Q[a])
    out[n_actions] = best / value_scale
    for a in range(n_actions):
        out[a] = ((worst if masked[a] else Q[a]) - best) / value_scale
        out[n_actions + 1 + a] = visits[a] / count_scale


@njit(cache=True, borrows=True)
def write_each(Q_rows, masked_rows, visit_rows, value_scale, count_scale, out):
    """Write the parts of one state per task, from its rows (n_tasks, A)."""
    for i in range(Q_rows.shape[0]):
        write_q_parts(Q_rows[i], masked_rows[i], visit_rows[i], value_scale, count_scale, out[i])
