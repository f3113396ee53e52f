r"""Online least-squares policy iteration on all transitions of a task.

Q(s, a) = phi(s) . w_a, with features phi (k,) and weights w (A, k). For the transitions
u = (s, a, r, s') of a task and a policy pi, the least-squares fixed point (LSTDQ) solves, in blocks
of k,

    (M + lambda I) w = b,    M[a, a] += phi(s) phi(s)^T,    M[a, pi(s')] -= gamma phi(s) phi(s')^T,
                             b[a] += r phi(s),

where nothing is subtracted after a terminated transition, and pi is greedy in w among the actions
that s' allows. The behaviour policy is arbitrary, because pi is evaluated only in s'. Alternating
evaluation and improvement is LSPI (Lagoudakis and Parr, JMLR 4, 2003). Doing so after every
transition, from the previous policy and weights, is online LSPI (Busoniu, Ernst, De Schutter and
Babuska, ACC 2010). It stops when no greedy action changes, or after `n_improvements` rounds.

Fitted Q-iteration needs no system of equations, but it may diverge off-policy (Tsitsiklis and Van
Roy, Machine Learning 22, 1996), and its sweeps over a horizon cost more than the few systems solved
here. LSTDQ has a solution whenever the matrix is regular. lambda handles untried directions: their
weights are 0.

Greedy actions are recomputed in every round, so the features of a task's transitions are stored,
16 k bytes each. A round costs O(n A k) for n transitions, O(k^2) for each greedy action that
changes, and O((A k)^3 / 3) for the system.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vamdp.compiled import njit

#: Stands for the greedy action after a terminated transition.
NONE = -1


class Fit(NamedTuple):
    """What was learned in each task; the first axis of every array is the task."""

    n_steps: npt.NDArray[np.int64]  # (n_tasks,) number of transitions
    lowest: npt.NDArray[np.float64]  # (n_tasks,) smallest reward, at most 0
    highest: npt.NDArray[np.float64]  # (n_tasks,) largest reward, at least 0
    phi: npt.NDArray[np.float64]  # (n_tasks, capacity, k) features of the states acted in
    next_phi: npt.NDArray[np.float64]  # (n_tasks, capacity, k) features of the next states
    actions: npt.NDArray[np.int64]  # (n_tasks, capacity)
    next_actions: npt.NDArray[np.int64]  # (n_tasks, capacity) greedy next actions, or NONE
    allowed: npt.NDArray[np.bool_]  # (n_tasks, capacity, A) actions the next states allow
    M: npt.NDArray[np.float64]  # (n_tasks, A k, A k)
    b: npt.NDArray[np.float64]  # (n_tasks, A k)
    w: npt.NDArray[np.float64]  # (n_tasks, A k)
    alike: npt.NDArray[np.float64]  # (n_tasks, A, k, k) sum of phi phi^T / |phi|^2 of each action


#: Fields of `Fit` with one entry per transition.
BY_STEP = ("phi", "next_phi", "actions", "next_actions", "allowed")


def allocate(n_tasks: int, n_actions: int, n_features: int, capacity: int) -> Fit:
    """Return an empty fit with room for `capacity` transitions per task."""
    steps, n = (n_tasks, capacity), n_actions * n_features
    return Fit(
        np.zeros(n_tasks, np.int64), np.zeros(n_tasks), np.zeros(n_tasks),
        np.zeros((*steps, n_features)), np.zeros((*steps, n_features)),
        np.zeros(steps, np.int64), np.zeros(steps, np.int64),
        np.zeros((*steps, n_actions), np.bool_),
        np.zeros((n_tasks, n, n)), np.zeros((n_tasks, n)), np.zeros((n_tasks, n)),
        np.zeros((n_tasks, n_actions, n_features, n_features)),
    )  # fmt: skip


@njit(cache=True, inline="always")
def _greedy(phi, w, allowed):
    """Return the first allowed action with the largest phi . w_a."""
    k, best, largest = phi.size, NONE, -np.inf
    for a in range(allowed.size):
        if allowed[a]:
            value = 0.0
            for x in range(k):
                value += phi[x] * w[a * k + x]
            if best == NONE or value > largest:
                best, largest = a, value
    return best


@njit(cache=True, inline="always")
def _add_block(M, a, b, one, other, factor):
    """M[a, b] += factor one other^T."""
    k = one.size
    for x in range(k):
        scaled = factor * one[x]
        for y in range(k):
            M[a * k + x, b * k + y] += scaled * other[y]


@njit(cache=True)
def _eliminate(room):
    """Bring a system, the matrix and its right side (n, n + 1), to triangular form.

    Returns whether the matrix is regular. Rows are swapped for partial pivoting.
    """
    # Unsigned in the innermost loop, so that numba does not test for negative indices.
    n = room.shape[0]
    end = np.uint64(n + 1)
    for x in range(n):
        pivot = x + np.argmax(np.abs(room[x:, x]))
        if not 0.0 < abs(room[pivot, x]) < np.inf:
            return False
        if pivot != x:
            for z in range(x, n + 1):
                room[x, z], room[pivot, z] = room[pivot, z], room[x, z]
        for y in range(x + 1, n):
            factor = room[y, x] / room[x, x]
            if factor != 0.0:  # blocks of actions that never follow each other are zero
                to, of = np.uint64(y), np.uint64(x)
                for z in range(np.uint64(x + 1), end):
                    room[to, z] -= factor * room[of, z]
    return True


@njit(cache=True)
def _solve(M, regularisation, b, room, solution):
    """Solve (M + regularisation I) solution = b; returns whether there is a finite solution.

    If there is none, `solution` does not change. `room` (n, n + 1) is scratch space.
    """
    n = b.size
    room[:, :n], room[:, n] = M, b
    for x in range(n):
        room[x, x] += regularisation
    if not _eliminate(room):
        return False
    for x in range(n - 1, -1, -1):
        for z in range(x + 1, n):
            room[x, n] -= room[x, z] * room[z, n]
        room[x, n] /= room[x, x]
    if not np.all(np.isfinite(room[:, n])):
        return False
    solution[:] = room[:, n]
    return True


@njit(cache=True, inline="always")
def _improve(i, gamma, regularisation, n_improvements, n_steps, phi, next_phi, actions,
             next_actions, allowed, M, b, w, room):  # fmt: skip
    """Alternate evaluating the policy of task i and making it greedy."""
    for _ in range(n_improvements):
        if not _solve(M[i], regularisation, b[i], room, w[i]):
            return
        changed = False
        for u in range(n_steps[i]):
            before = next_actions[i, u]
            if before == NONE:
                continue
            now = _greedy(next_phi[i, u], w[i], allowed[i, u])
            if now != before:
                a, changed = actions[i, u], True
                _add_block(M[i], a, before, phi[i, u], next_phi[i, u], gamma)
                _add_block(M[i], a, now, phi[i, u], next_phi[i, u], -gamma)
                next_actions[i, u] = now
        if not changed:
            return


@njit(cache=True)
def learn_each(
    phi_now, taken, rewards, phi_then, terminated, masks,
    gamma, regularisation, n_improvements, improve_every,
    n_steps, lowest, highest, phi, next_phi, actions, next_actions, allowed, M, b, w, alike,
):  # fmt: skip
    """Learn one transition of each task, and improve its policy; masks are (., A) or (., 0)."""
    k, n = phi.shape[2], b.shape[1]
    room = np.empty((n, n + 1))
    for i in range(taken.size):
        u, a = n_steps[i], taken[i]
        if u == 0:
            lowest[i] = highest[i] = 0.0
            M[i], b[i], w[i], alike[i] = 0.0, 0.0, 0.0, 0.0
        n_steps[i] += 1
        lowest[i], highest[i] = min(lowest[i], rewards[i]), max(highest[i], rewards[i])
        phi[i, u], next_phi[i, u], actions[i, u] = phi_now[i], phi_then[i], a
        allowed[i, u] = True
        if np.any(masks[i]):
            allowed[i, u] = masks[i]
        _add_block(M[i], a, a, phi_now[i], phi_now[i], 1.0)
        length = 0.0
        for x in range(k):
            b[i, a * k + x] += rewards[i] * phi_now[i, x]
            length += phi_now[i, x] * phi_now[i, x]
        if length > 0.0:
            _add_block(alike[i, a], 0, 0, phi_now[i], phi_now[i], 1.0 / length)
        next_actions[i, u] = NONE
        if not terminated[i]:
            next_actions[i, u] = _greedy(phi_then[i], w[i], allowed[i, u])
            _add_block(M[i], a, next_actions[i, u], phi_now[i], phi_then[i], -gamma)
        if n_steps[i] % improve_every == 0:
            _improve(i, gamma, regularisation, n_improvements, n_steps, phi, next_phi, actions,
                     next_actions, allowed, M, b, w, room)  # fmt: skip


@njit(cache=True, borrows=True)
def read_each(phi_now, gamma, n_steps, lowest, highest, w, alike, Q_rows, count_rows):
    """Read Q and counts (n_tasks, A) of one state per task; rows of new tasks do not change."""
    k = phi_now.shape[1]
    for i in range(phi_now.shape[0]):
        if n_steps[i] == 0:
            continue
        length = 0.0
        for x in range(k):
            length += phi_now[i, x] * phi_now[i, x]
        best = -np.inf
        for a in range(Q_rows.shape[1]):
            value = count = 0.0
            for x in range(k):
                value += phi_now[i, x] * w[i, a * k + x]
                along = 0.0
                for y in range(k):
                    along += alike[i, a, x, y] * phi_now[i, y]
                count += phi_now[i, x] * along
            Q_rows[i, a] = value
            best = max(best, value)
            count_rows[i, a] = max(count / length, 0.0) if length > 0.0 else 0.0
        least, most = lowest[i] / (1.0 - gamma), highest[i] / (1.0 - gamma)
        # All actions move by the same amount, which keeps their order and distances, unless some
        # come to lie below the least that the task can pay.
        moved = min(max(best, least), most) - best
        for a in range(Q_rows.shape[1]):
            Q_rows[i, a] = max(Q_rows[i, a] + moved, least)
