"""Which sweeps of the last planning need not be done again.

A transition changes one row of the model, (s, a), unless a state enters. Value iteration starts
from V = 0 every time, so sweep k finds what it found at the last planning as long as the V before
it are the same; only row (s, a) differs. If the maximum over the actions of s differs in no sweep
up to m, then V of all these sweeps is the same as before, everywhere, and m sweeps are known
without being done. After half of all steps that is the whole planning.

So V of every sweep is kept (`vamdp.mdp.sweep_history`), the sweeps of a state side by side: then
the rows of one state are computed for all sweeps at once, by vector operations along k. The sums
run in the order in which a sweep adds them, so nothing depends on whether sweeps were skipped, to
the last bit. Where several transitions came in before somebody looked, this holds as long as all of
them changed one and the same row; otherwise planning begins anew.

Whether planning stopped with sweep k depends on how far every entry of Q moved in it. One entry
that moved enough is noted per sweep; if it is not in row (s, a), it moves as far as it did. If it
is, and no longer moves that far, the other entries are unknown, and the sweep is done again.
"""

from vamdp.compiled import njit
from vamdp.mdp.sweep_history import CHANGED_Q, MOVER, N_LINES, NEW_V, NOTHING, ROW_Q, TOTAL

# Sweeps looked at together: enough for vector operations, few enough to stop early.
_BLOCK = 64

# A task's history takes at most this much; later sweeps are not kept. At 13x13, where up to 105
# states need room for 128, it holds 369 sweeps: more than the 350 of the longest planning.
HISTORY_BYTES = 384 * 1024

# Fewer than these, if there are more to do, are not worth the writing.
_LEAST_DEPTH = 32


def history_depth(capacity: int, max_sweeps: int) -> int:
    """How many sweeps are kept for so many states."""
    depth = min(max_sweeps, HISTORY_BYTES // 8 // (capacity + N_LINES))
    return depth if depth >= min(max_sweeps, _LEAST_DEPTH) else 0


@njit(cache=True)
def _compute_row(start, stop, base, spread, first, successor, next_triple, weight, history, line):
    """Q of one row in the sweeps from `start` to `stop`, into a line of the history."""
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


@njit(cache=True)
def count_unchanged(
    s, changed, n_recorded, threshold,
    base, spread, first, successor, next_triple, weight, blocked, any_blocked, history,
):  # fmt: skip
    """How many sweeps are as before although row (s, changed) is not.

    Of the next one V may differ, or whether it is the last. `n_recorded` are all or the first of
    the last planning. Leaves the row's Q of these sweeps in the line CHANGED_Q.
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
