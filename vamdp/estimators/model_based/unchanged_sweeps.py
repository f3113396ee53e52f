"""Find the sweeps of the last planning that need not be repeated.

Unless a state enters, a transition changes one row of the model, (s, a). Value iteration starts
from V = 0 every time. Sweep k therefore repeats the last planning, except in row (s, a), as long as
all earlier V are the same. If the maximum over the actions of s does not change in any sweep up to
m, then V of all these sweeps is the same in every state, and m sweeps are known without computing
them. After half of all steps this covers the whole planning.

V of every sweep is recorded for this (`vamdp.mdp.sweep_history`), with the sweeps of a state stored
contiguously: the rows of one state are computed for all sweeps at once, by vector operations along
k. Sums run in the order of a sweep, so results do not depend on skipping, to the last bit. If
several transitions arrive between two plannings, this holds as long as all of them changed the same
row; otherwise planning starts from the beginning.

Whether planning stops after sweep k depends on how far every entry of Q moved in it. One entry that
moved enough is recorded per sweep. If it is not in row (s, a), it moves as far as before. If it is,
and no longer moves enough, the other entries are unknown, and the sweep is computed again.
"""

from vamdp.compiled import njit
from vamdp.mdp.sweep_history import CHANGED_Q, MOVER, N_LINES, NEW_V, NOTHING, ROW_Q, TOTAL

# Sweeps examined together: enough for vector operations, few enough to stop early.
_BLOCK = 64

# Limit of a task's history; later sweeps are not recorded. In 13x13 grids, where up to 105 states
# need a capacity of 128, it holds 369 sweeps: more than the 350 of the longest planning.
HISTORY_BYTES = 384 * 1024

# If a history cannot hold this many of a longer planning's sweeps, recording is not worth its time.
_LEAST_DEPTH = 32


def history_depth(capacity: int, max_sweeps: int) -> int:
    """Return how many sweeps are recorded for this capacity of states."""
    depth = min(max_sweeps, HISTORY_BYTES // 8 // (capacity + N_LINES))
    return depth if depth >= min(max_sweeps, _LEAST_DEPTH) else 0


@njit(cache=True, borrows=True)
def _compute_row(start, stop, base, spread, first, successor, next_triple, weight, history, line):
    """Write Q of one row in the sweeps from `start` to `stop` into a line of the history."""
    lines = history.shape[0] - N_LINES
    out = history[line, start:stop]
    total = history[lines + TOTAL, start:stop]
    for j in range(out.size):
        out[j] = base + spread * total[j]
    k = first
    while k != 0:
        # Sweep 1 reads V = 0, which adds nothing.
        skipped = 1 if start == 0 else 0
        V = history[successor[k - 1], start + skipped - 1 : stop - 1]
        Q = history[line, start + skipped : stop]
        w = weight[k - 1]
        for j in range(Q.size):
            Q[j] += w * V[j]
        k = next_triple[k - 1]


@njit(cache=True, borrows=True)
def count_unchanged(
    s, changed, n_recorded, threshold,
    base, spread, first, successor, next_triple, weight, blocked, any_blocked, history,
):  # fmt: skip
    """Return the number of sweeps that are unchanged although row (s, changed) has changed.

    The next sweep may differ in V or in whether it is the last. The `n_recorded` sweeps are all, or
    the first ones, of the last planning. Leaves the row's Q of these sweeps in line CHANGED_Q.
    """
    lines = history.shape[0] - N_LINES
    changed_row = changed * base.shape[1] + s
    for start in range(0, n_recorded, _BLOCK):
        stop = min(start + _BLOCK, n_recorded)
        new_V = history[lines + NEW_V, start:stop]
        new_V[:] = -float("inf")
        for a in range(base.shape[0]):
            line = lines + (CHANGED_Q if a == changed else ROW_Q)
            _compute_row(
                start, stop, base[a, s], spread[a, s], first[a, s],
                successor, next_triple, weight, history, line,
            )  # fmt: skip
            if not (any_blocked and blocked[a, s]):
                Q = history[line, start:stop]
                for j in range(new_V.size):
                    new_V[j] = Q[j] if Q[j] > new_V[j] else new_V[j]
        for k in range(start, stop):
            if history[lines + NEW_V, k] != history[s, k]:
                return k
            mover = history[lines + MOVER, k]
            if mover == changed_row or mover == NOTHING:
                before = history[lines + CHANGED_Q, k - 1] if k > 0 else 0.0
                moves = abs(history[lines + CHANGED_Q, k] - before) >= threshold
                if moves:
                    history[lines + MOVER, k] = changed_row
                elif mover == changed_row:
                    return k
    return n_recorded
