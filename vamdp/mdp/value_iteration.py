r"""Value iteration on sparse arrays plus one rank-one term.

The Bellman optimality equation of a finite MDP is

    Q[s, a] = R[s, a] + gamma * sum_s' P[s' | s, a] V[s'],        V[s] = max_a Q[s, a].

A model that is learned from counts with Laplace smoothing is dense: every row of P gives some
probability to every state. But that part is the same for all successors, so a row splits into
the few successors really seen and one multiple of the sum of V:

    Q[s, a] = base[a, s] + sum_k weight[k] V[successor[k]] + spread[a, s] * sum_s' V[s']

with ``weight`` and ``spread`` already holding gamma. A known sparse MDP is the case spread = 0,
a terminal state the case base = spread = 0 without triples. One sweep thus costs
O(n_triples + A S) where the dense equation costs O(A S^2).

Index order: tables inside the library are *action-major*, ``Q[a, s]``, so that the innermost
loops run over contiguous states; public functions speak ``Q[s, a]``. Triple k belongs to the row
``row[k] = a * capacity + s`` of the flattened table, where ``capacity`` is the allocated number
of columns. Rows and successors are unsigned: numba then needs no test for negative indices.

Sweeps are synchronous (Jacobi): Q of sweep n sees V of sweep n - 1 alone. They stop after
``max_sweeps``, or after the first sweep in which no entry of Q moved by ``tolerance`` or more.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from vamdp.estimators.model_based.unchanged_sweeps import N_LINES, NOTHING, SOMETHING, _record
from vamdp.mdp.packed_rows import (
    HEAD,
    LENGTH,
    N_PLACES,
    PAIR,
    PLACE,
    _row_value,
    _sweep,
    _total,
    _write_tape,
)

#: Where no sweeps are to be kept.
NO_HISTORY = np.zeros((N_LINES, 0))

#: Rounding differs between two correct ways to add up a row, by about 1e-13. The tolerance gives
#: way by this much, so that a change that equals it exactly stops no sweep on either side.
ROUNDING = 1e-10

#: How far from 1 the probabilities of a row may sum.
PROBABILITY_TOLERANCE = 1e-6


class ValueIterationResult(NamedTuple):
    """What value iteration found.

    Attributes:
        Q: action values, shape (S, A).
        V: state values, the row maxima of Q, shape (S,).
        n_sweeps: sweeps done, at least 1.
    """

    Q: npt.NDArray[np.float64]
    V: npt.NDArray[np.float64]
    n_sweeps: int


@njit(cache=True)
def _backup(base, spread, row, successor, weight, n_states, n_triples, V, Q):
    """One Bellman backup of all rows: reads V (capacity,), writes Q (A, capacity).

    Returns the sum of V.
    """
    total = _total(V, np.uint64(0), np.uint64(n_states))
    # Two passes without a branch each: a loop over each row's triples would mispredict its end.
    for a in range(Q.shape[0]):
        for s in range(n_states):
            Q[a, s] = base[a, s] + spread[a, s] * total
    flat = Q.reshape(-1)
    for k in range(n_triples):
        flat[row[k]] += weight[k] * V[successor[k]]
    return total


@njit(cache=True)
def _maximise(Q, blocked, any_blocked, n_states, V):
    """V[s] = max of Q[a, s] over the actions that are not blocked in s."""
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


@njit(cache=True)
def _find_moving(
    base, spread, row, successor, weight, n_states, n_triples, threshold,
    Vs, now, before, first, Q, old_Q,
):  # fmt: skip
    """Whether an entry of Q moves by `threshold` from one sweep to the next, and which one.

    Writes both tables, Q from the V at `now`, old_Q from that at `before`; of the first sweep, the
    old one is in Q.
    """
    n_actions = Q.shape[0]
    for a in range(n_actions):
        for s in range(n_states):
            old_Q[a, s] = Q[a, s]
    if not first:
        _backup(base, spread, row, successor, weight, n_states, n_triples, Vs[before:], old_Q)
    _backup(base, spread, row, successor, weight, n_states, n_triples, Vs[now:], Q)
    for a in range(n_actions):
        for s in range(n_states):
            if abs(Q[a, s] - old_Q[a, s]) >= threshold:
                return True, a, s
    return False, 0, 0


@njit(cache=True)
def _sweep_on_tape(
    base, spread, row, successor, weight, n_states, n_triples, n_done, max_sweeps, threshold,
    tape, numbers, n_rows, most, floor, places, Vs, V, Q, old_Q, history,
):  # fmt: skip
    """Sweep until nothing moves, but leave the last of max_sweeps undone.

    Returns the sweeps done, and whether nothing moves.
    """
    capacity = Q.shape[1]
    # Where the V begins that a sweep writes, that it reads, and that the one before it read.
    width = np.uint64(capacity + 1)
    new, now, before = np.uint64(0), width, width + width
    for s in range(n_states):
        Vs[s] = V[s]
    # Where Q moved last. It most often moves there again, and one such place is all that the
    # stopping rule asks for; only where it rests are all the others looked at.
    a_moving = s_moving = 0
    mover = np.uint64(0)
    new_q = Q[0, 0]
    n_sweeps = n_done
    moved = True
    while moved and n_sweeps < max_sweeps - 1:
        new, now, before = before, new, now
        total = _total(Vs, now, np.uint64(n_states))
        _sweep(tape, numbers, n_rows, most, floor, np.uint64(n_states), total, Vs, now, new)
        n_sweeps += 1
        old_q = new_q
        new_q = _row_value(
            tape, numbers, places[PLACE, mover], places[LENGTH, mover],
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
            _record(history, n_sweeps, n_states, Vs, new, total, mover if moved else NOTHING)
    for s in range(n_states):
        V[s] = Vs[new + np.uint64(s)]
    return n_sweeps, not moved


@njit(cache=True, inline="always")
def _iterate(
    base, spread, row, successor, weight, blocked, any_blocked, n_states, n_triples,
    n_done, max_sweeps, threshold, V, Q, history,
):  # fmt: skip
    """Sweep from the given V and Q until nothing moves by `threshold`; returns the sweeps done.

    The given tables are those after `n_done` sweeps, which count. Leaves the last tables in V and
    Q. Each sweep is kept in `history` as far as there is room.
    """
    n_actions, capacity = Q.shape
    n_sweeps, rests = n_done, False
    if max_sweeps - n_done > 1:
        # Room that is used now and not again, and hot in the cache whichever task comes next.
        tape = np.empty(HEAD * n_actions * n_states + PAIR * n_triples)
        numbers = tape.view(np.uint64)
        n_rows = np.empty(n_states + 1, np.uint32)
        floor = np.empty((2, n_states))
        places = np.empty((N_PLACES, n_actions * capacity), np.uint32)
        most = _write_tape(
            base, spread, row, successor, weight, blocked, any_blocked, n_states, n_triples,
            tape, numbers, n_rows, floor, places,
        )  # fmt: skip
        n_sweeps, rests = _sweep_on_tape(
            base, spread, row, successor, weight, n_states, n_triples,
            n_done, max_sweeps, threshold, tape, numbers, n_rows, most, floor, places,
            np.empty(3 * (capacity + 1)), V, Q, np.empty((n_actions, capacity)), history,
        )  # fmt: skip
    if not rests:  # at the last sweep it does not matter whether anything moves
        total = _backup(base, spread, row, successor, weight, n_states, n_triples, V, Q)
        _maximise(Q, blocked, any_blocked, n_states, V)
        n_sweeps += 1
        if n_sweeps <= history.shape[1]:
            _record(history, n_sweeps, n_states, V, np.uint64(0), total, SOMETHING)
    return n_sweeps


def value_iteration(
    P: npt.ArrayLike,
    R: npt.ArrayLike,
    *,
    max_sweeps: int,
    gamma: float = 1.0,
    tolerance: float = 0.01,
    terminal: npt.ArrayLike | None = None,
) -> ValueIterationResult:
    """Solve a known finite MDP by synchronous value iteration from Q = V = 0.

    Args:
        P: transition probabilities ``P[s, a, s']``, shape (S, A, S); rows sum to 1 (those of
            terminal states are not read).
        R: expected rewards ``R[s, a]``, shape (S, A), or rewards ``R[s, a, s']``, shape (S, A, S).
        max_sweeps: the horizon, at least 1: after n sweeps Q is optimal for n steps to go.
        gamma: discount factor in [0, 1].
        tolerance: stop after a sweep in which every entry of Q moved by less than this;
            0 does all the sweeps.
        terminal: shape (S,), bool; these states keep Q = V = 0.

    Returns:
        Q (S, A), V (S,) and the number of sweeps.

    Raises:
        ValueError: an argument has the wrong shape or range; the message names the entry.

    Example:
        A state that pays 1 a step and returns to itself: V = 1 / (1 - gamma).

        >>> import numpy as np
        >>> result = value_iteration(
        ...     np.ones((1, 1, 1)), np.ones((1, 1)), gamma=0.5, max_sweeps=100, tolerance=1e-6
        ... )
        >>> round(float(result.V[0]), 5)
        2.0

    Source: Sutton and Barto (2018), section 4.4; RL3 (arXiv 2306.15909), Algorithm 1.
    """
    P, expected_R, is_terminal = check_dense(P, R, terminal)
    if not 1 <= max_sweeps < np.inf or int(max_sweeps) != max_sweeps:
        raise ValueError(f"`max_sweeps` must be an integer of at least 1, got {max_sweeps!r}.")
    check_discount(gamma)
    if not tolerance >= 0:
        raise ValueError(f"`tolerance` must be at least 0, got {tolerance!r}.")
    n_states, n_actions, _ = P.shape
    P = np.where(is_terminal[:, None, None], 0.0, P)
    states, actions, successors = np.nonzero(P)
    base = np.ascontiguousarray(np.where(is_terminal[:, None], 0.0, expected_R).T)
    Q = np.zeros((n_actions, n_states))
    V = np.zeros(n_states)
    n_sweeps = _iterate(
        base,
        np.zeros_like(base),
        (actions * n_states + states).astype(np.uint32),
        successors.astype(np.uint32),
        gamma * P[states, actions, successors],
        np.zeros((1, 1), np.bool_),
        False,
        n_states,
        states.size,
        0,
        max_sweeps,
        tolerance - ROUNDING,
        V,
        Q,
        NO_HISTORY,
    )
    return ValueIterationResult(np.ascontiguousarray(Q.T), V, n_sweeps)


def check_discount(gamma: float) -> None:
    """Raise ValueError unless gamma is in [0, 1]."""
    if not 0 <= gamma <= 1:
        raise ValueError(f"`gamma` must be in [0, 1], got {gamma!r}.")


def check_dense(
    P: npt.ArrayLike, R: npt.ArrayLike, terminal: npt.ArrayLike | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Check a dense MDP; return P (S, A, S), the expected rewards (S, A) and terminal (S,).

    Raises:
        ValueError: a shape is wrong, a probability is negative or a row of a state that is not
            terminal does not sum to 1, or a reward is not finite.
    """
    P = np.asarray(P, dtype=np.float64)
    R = np.asarray(R, dtype=np.float64)
    if P.ndim != 3 or P.shape[0] != P.shape[2] or 0 in P.shape:
        raise ValueError(f"`P` must have shape (S, A, S), got {P.shape}.")
    n_states, n_actions, _ = P.shape
    if R.shape not in ((n_states, n_actions), P.shape):
        raise ValueError(
            f"`R` must have shape {(n_states, n_actions)} or {P.shape} to go with `P`, "
            f"got {R.shape}."
        )
    is_terminal = np.zeros(n_states, np.bool_)
    if terminal is not None:
        is_terminal = np.asarray(terminal)
        if is_terminal.shape != (n_states,) or is_terminal.dtype != np.bool_:
            raise ValueError(
                f"`terminal` must be a bool array of shape ({n_states},), "
                f"got {is_terminal.dtype} of shape {is_terminal.shape}."
            )
    bad = np.argwhere(~((P >= 0) & (P <= 1 + PROBABILITY_TOLERANCE)) & ~is_terminal[:, None, None])
    if bad.size:
        s, a, s_next = bad[0]
        raise ValueError(
            f"`P[{s}, {a}, {s_next}]` must be a probability in [0, 1], got {P[s, a, s_next]}."
        )
    sums = P.sum(axis=2)
    bad = np.argwhere((np.abs(sums - 1) > PROBABILITY_TOLERANCE) & ~is_terminal[:, None])
    if bad.size:
        s, a = bad[0]
        raise ValueError(
            f"`P[{s}, {a}]` sums to {sums[s, a]:.6g}; every row must sum to 1. "
            f"Mark the state in `terminal` if nothing follows it."
        )
    bad = np.argwhere(~np.isfinite(R))
    if bad.size:
        index = tuple(int(i) for i in bad[0])
        raise ValueError(f"`R{list(index)}` must be finite, got {R[index]}.")
    expected_R = R if R.ndim == 2 else np.einsum("ijk,ijk->ij", P, R)
    return P, expected_R, is_terminal
