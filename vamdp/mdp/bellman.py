r"""Value iteration on sparse arrays plus one rank-one term.

The Bellman optimality equation of a finite MDP is

    Q[s, a] = R[s, a] + gamma * sum_s' P[s' | s, a] V[s'],        V[s] = max_a Q[s, a].

A model learned from counts with Laplace smoothing is dense: every row of P gives some probability
to every state. The smoothing part is the same for all successors, so a row splits into the few
successors that were observed and one multiple of the sum of V:

    Q[s, a] = base[a, s] + sum_k weight[k] V[successor[k]] + spread[a, s] * sum_s' V[s']

where ``weight`` and ``spread`` already contain gamma. A known sparse MDP has spread = 0. A terminal
state has base = spread = 0 and no triples. One sweep costs O(n_triples + A S), where the dense
equation costs O(A S^2).

Index order: tables inside the library are *action-major*, ``Q[a, s]``, so that the innermost
loops run over contiguous states; public functions return ``Q[s, a]``. Triple k belongs to the row
``row[k] = a * capacity + s`` of the flattened table, where ``capacity`` is the allocated number
of columns. Rows and successors are unsigned, so that numba does not test for negative indices.

Sweeps are synchronous (Jacobi): sweep n computes Q from V of sweep n - 1 alone. They stop after
``max_sweeps``, or after the first sweep in which no entry of Q moved by ``tolerance`` or more.
"""

import numpy as np

from vamdp.compiled import njit
from vamdp.mdp.packed_rows import (
    HEAD,
    LENGTH,
    N_PLACES,
    PAIR,
    PLACE,
    pack_rows,
    row_value,
    sweep_rows,
    total_of,
)
from vamdp.mdp.sweep_history import NOTHING, SOMETHING, record

#: Two correct ways to add up a row differ by about 1e-13. This is subtracted from the tolerance, so
#: that a change of exactly `tolerance` continues the sweeps whichever way the row was added up.
ROUNDING = 1e-10


@njit(cache=True, borrows=True)
def backup(base, spread, row, successor, weight, n_states, n_triples, V, Q):
    """One Bellman backup of all rows: reads V (capacity,), writes Q (A, capacity).

    Returns the sum of V.
    """
    total = total_of(V, np.uint64(0), np.uint64(n_states))
    # Two passes without branches: a loop per row would mispredict the end of its triples.
    for a in range(Q.shape[0]):
        for s in range(n_states):
            Q[a, s] = base[a, s] + spread[a, s] * total
    flat = Q.reshape(-1)
    for k in range(n_triples):
        flat[row[k]] += weight[k] * V[successor[k]]
    return total


@njit(cache=True, borrows=True)
def maximise(Q, blocked, any_blocked, n_states, V):
    """Write V[s] = max of Q[a, s] over the actions that are not blocked in s."""
    for s in range(n_states):
        V[s] = -np.inf if any_blocked and blocked[0, s] else Q[0, s]
    for a in range(1, Q.shape[0]):
        if any_blocked:
            for s in range(n_states):
                if not blocked[a, s] and Q[a, s] > V[s]:
                    V[s] = Q[a, s]
        else:
            for s in range(n_states):
                V[s] = Q[a, s] if Q[a, s] > V[s] else V[s]  # a vector maximum: no branch


@njit(cache=True, borrows=True)
def _find_moving(
    base, spread, row, successor, weight, n_states, n_triples, threshold,
    Vs, now, before, first, Q, old_Q,
):  # fmt: skip
    """Return whether an entry of Q moves by `threshold` between two sweeps, and its a and s.

    Writes Q from the V at `now` and old_Q from the V at `before`. In the first sweep, old_Q is the
    Q that was passed in.
    """
    n_actions = Q.shape[0]
    for a in range(n_actions):
        for s in range(n_states):
            old_Q[a, s] = Q[a, s]
    if not first:
        backup(base, spread, row, successor, weight, n_states, n_triples, Vs[before:], old_Q)
    backup(base, spread, row, successor, weight, n_states, n_triples, Vs[now:], Q)
    for a in range(n_actions):
        for s in range(n_states):
            if abs(Q[a, s] - old_Q[a, s]) >= threshold:
                return True, a, s
    return False, 0, 0


@njit(cache=True, borrows=True)
def _sweep_packed(
    base, spread, row, successor, weight, n_states, n_triples, n_done, max_sweeps, threshold,
    packed, numbers, n_rows, most, floor, places, Vs, V, Q, old_Q, history,
):  # fmt: skip
    """Sweep until nothing moves, or until only the last of max_sweeps is left.

    Returns the number of sweeps done and whether nothing moves.
    """
    capacity = Q.shape[1]
    # Offsets in Vs: the V that a sweep writes, the V it reads, and the V the sweep before it read.
    width = np.uint64(capacity + 1)
    new, now, before = np.uint64(0), width, width + width
    for s in range(n_states):
        Vs[s] = V[s]
    # One entry of Q that moves is enough to continue. The entry that moved last usually moves
    # again, so it is tested first; all others are tested only when it has stopped.
    a_moving = s_moving = 0
    mover = np.uint64(0)
    new_q = Q[0, 0]
    n_sweeps = n_done
    moved = True
    while moved and n_sweeps < max_sweeps - 1:
        new, now, before = before, new, now
        total = total_of(Vs, now, np.uint64(n_states))
        sweep_rows(packed, numbers, n_rows, most, floor, np.uint64(n_states), total, Vs, now, new)
        n_sweeps += 1
        old_q = new_q
        new_q = row_value(
            packed, numbers, places[PLACE, mover], places[LENGTH, mover],
            base[a_moving, s_moving], spread[a_moving, s_moving], total, Vs, now,
        )  # fmt: skip
        moved = abs(new_q - old_q) >= threshold
        if not moved:
            first = n_sweeps == n_done + 1
            moved, a_moving, s_moving = _find_moving(
                base, spread, row, successor, weight, n_states, n_triples, threshold,
                Vs, now, now if first else before, first, Q, old_Q,
            )  # fmt: skip
            mover = np.uint64(a_moving * capacity + s_moving)
            new_q = Q[a_moving, s_moving]
        if n_sweeps <= history.shape[1]:
            record(history, n_sweeps, n_states, Vs, new, total, mover if moved else NOTHING)
    for s in range(n_states):
        V[s] = Vs[new + np.uint64(s)]
    return n_sweeps, not moved


@njit(cache=True)
def iterate(
    base, spread, row, successor, weight, blocked, any_blocked, n_states, n_triples,
    n_done, max_sweeps, threshold, V, Q, history,
):  # fmt: skip
    """Sweep from the given V and Q until no entry of Q moves by `threshold`.

    Returns the number of sweeps done, including the `n_done` sweeps that led to the given tables.
    Leaves the last tables in V and Q, and records each sweep in `history` while it has room.
    """
    n_actions, capacity = Q.shape
    n_sweeps, rests = n_done, False
    if max_sweeps - n_done > 1:
        # Scratch arrays of this call: allocated here, they stay in cache from task to task.
        packed = np.empty(HEAD * n_actions * n_states + PAIR * n_triples)
        numbers = packed.view(np.uint64)
        n_rows = np.empty(n_states + 1, np.uint32)
        floor = np.empty((2, n_states))
        places = np.empty((N_PLACES, n_actions * capacity), np.uint32)
        most = pack_rows(
            base, spread, row, successor, weight, blocked, any_blocked, n_states, n_triples,
            packed, numbers, n_rows, floor, places,
        )  # fmt: skip
        n_sweeps, rests = _sweep_packed(
            base, spread, row, successor, weight, n_states, n_triples,
            n_done, max_sweeps, threshold, packed, numbers, n_rows, most, floor, places,
            np.empty(3 * (capacity + 1)), V, Q, np.empty((n_actions, capacity)), history,
        )  # fmt: skip
    if not rests:  # the last sweep needs no test for movement
        total = backup(base, spread, row, successor, weight, n_states, n_triples, V, Q)
        maximise(Q, blocked, any_blocked, n_states, V)
        n_sweeps += 1
        if n_sweeps <= history.shape[1]:
            record(history, n_sweeps, n_states, V, np.uint64(0), total, SOMETHING)
    return n_sweeps
