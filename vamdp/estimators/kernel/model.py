r"""The model of kernel-based stochastic factorization, updated after every transition.

Real-valued states are represented by m *representatives* z_1 ... z_m. With the Gaussian kernel

    k(s, z) = exp(-|s - z|^2 / (2 tau^2)), 0 beyond CUTOFF tau;    kappa_j(s) = k(s, z_j) / sum

each transition (s, a, r, s') counts for the representatives near s, and leads to those near s':

    W[a, i] += k(z_i, s),   r[a, i] += k(z_i, s) r,   C[a, i, j] += k(z_i, s) kappa_j(s').

Barreto, Precup and Pineau (JMLR 17, 2016; the incremental version in sections 4 and 5) define the
MDP P = K D, r = K r. For n observed transitions of a, K (m, n) holds their normalised kernels at
the z_i, and D (n, m) those of the z_j at their next states. C / W and r / W are the same, without
storing the n transitions, over those since z_i became a representative: earlier ones do not count
for it, nor do next states reached before z_j was one lead to z_j.

Our additions:

* A pair without nearby transitions (W = 0) leads to all states of the model with equal probability
  and reward 0: to the representatives, and to one *end* once a transition has terminated.
* A terminated transition leads to the end, which is absorbing and worth 0.
* A state at which all kernels are 0 is replaced by its nearest representative.
* N[a, j] += kappa_j(s): soft counts, which add up to the number of steps.

Q and counts of a state are averages over the representatives around it:

    Q(s, a) = sum_j kappa_j(s) Q[a, j],    N(s, a) = sum_j kappa_j(s) N[a, j].

A transition takes O(m (d + m)) time, and a planning sweep as much as C has entries above 0.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vamdp.compiled import njit
from vamdp.estimators.scaled_distances import note_spread, renew_scales, squared_distance
from vamdp.mdp.bellman import ROUNDING, iterate
from vamdp.mdp.sweep_history import N_LINES

#: Distance, in widths tau, beyond which a kernel is 0; it would be below 0.0004.
CUTOFF = 4.0


class Model(NamedTuple):
    """The models of all tasks; the first axis of every array is the task."""

    n_representatives: npt.NDArray[np.int64]  # (n_tasks,) m
    has_end: npt.NDArray[np.bool_]  # (n_tasks,) whether a transition terminated
    is_stale: npt.NDArray[np.bool_]  # (n_tasks,) whether it changed since its last planning
    n_seen: npt.NDArray[np.int64]  # (n_tasks,) number of states in the running scales
    mean: npt.NDArray[np.float64]  # (n_tasks, d) mean of these states
    squares: npt.NDArray[np.float64]  # (n_tasks, d) their sum of squares around the mean
    scale: npt.NDArray[np.float64]  # (n_tasks, d) divisors of the coordinates
    representatives: npt.NDArray[np.float64]  # (n_tasks, capacity, d) z
    C: npt.NDArray[np.float64]  # (n_tasks, A, capacity, capacity)
    W: npt.NDArray[np.float64]  # (n_tasks, A, capacity)
    r: npt.NDArray[np.float64]  # (n_tasks, A, capacity)
    N: npt.NDArray[np.float64]  # (n_tasks, A, capacity)
    Q: npt.NDArray[np.float64]  # (n_tasks, A, capacity)


def allocate(n_tasks: int, n_actions: int, n_coordinates: int, capacity: int) -> Model:
    """Return empty models with room for `capacity` representatives per task."""
    table, states = (n_tasks, n_actions, capacity), (n_tasks, n_coordinates)
    return Model(
        np.zeros(n_tasks, np.int64), np.zeros(n_tasks, np.bool_), np.zeros(n_tasks, np.bool_),
        np.zeros(n_tasks, np.int64), np.zeros(states), np.zeros(states), np.ones(states),
        np.zeros((n_tasks, capacity, n_coordinates)), np.zeros((*table, capacity)),
        np.zeros(table), np.zeros(table), np.zeros(table), np.zeros(table),
    )  # fmt: skip


def grow(model: Model, capacity: int) -> Model:
    """Return the same models with a larger capacity."""
    n_tasks, n_actions, old, _ = model.C.shape
    new = allocate(n_tasks, n_actions, model.mean.shape[1], capacity)
    new.representatives[:, :old] = model.representatives
    new.C[:, :, :old, :old] = model.C
    for name in ("W", "r", "N", "Q"):
        getattr(new, name)[:, :, :old] = getattr(model, name)
    return Model(*model[:7], *new[7:])


@njit(cache=True, inline="always")
def _found(i, state, radius, n_representatives, scale, representatives, C, W, r, N):
    """Make the state a representative if all are farther than `radius` and there is room."""
    m = n_representatives[i]
    if m == representatives.shape[1]:
        return
    for j in range(m):
        if squared_distance(state, representatives[i, j], scale[i]) <= radius * radius:
            return
    representatives[i, m] = state
    for a in range(W.shape[1]):
        W[i, a, m] = r[i, a, m] = N[i, a, m] = 0.0
        for j in range(m + 1):
            C[i, a, m, j] = C[i, a, j, m] = 0.0
    n_representatives[i] = m + 1


@njit(cache=True, inline="always")
def _weigh(state, m, width, scale, representatives, weights):
    """Write k(state, z_j) of the first m representatives into weights (m,); returns their sum."""
    nearest, least, total = 0, np.inf, 0.0
    for j in range(m):
        distance = squared_distance(state, representatives[j], scale)
        weights[j] = 0.0
        if distance <= CUTOFF * CUTOFF * width * width:
            weights[j] = math.exp(-0.5 * distance / (width * width))
            total += weights[j]
        if distance < least:
            nearest, least = j, distance
    if total == 0.0:
        weights[nearest] = total = 1.0
    return total


@njit(cache=True)
def learn_each(
    states, actions, rewards, next_states, terminated, width, radius, runs,
    n_representatives, has_end, is_stale, n_seen, mean, squares, scale, representatives,
    C, W, r, N, Q,
):  # fmt: skip
    """Learn one transition of each task; `runs` says whether the scales are running ones."""
    near, led_to = np.empty(W.shape[2]), np.empty(W.shape[2])
    reached = np.empty(W.shape[2], np.int64)
    for i in range(actions.size):
        a = actions[i]
        if runs:
            n_seen[i] += 1
            note_spread(states[i], n_seen[i], mean[i], squares[i])
            n_seen[i] += 1
            note_spread(next_states[i], n_seen[i], mean[i], squares[i])
            renew_scales(n_seen[i], mean[i], squares[i], scale[i])
        _found(i, states[i], radius, n_representatives, scale, representatives, C, W, r, N)
        if not terminated[i]:
            _found(i, next_states[i], radius, n_representatives, scale, representatives, C, W, r, N)
        m = n_representatives[i]
        total = _weigh(states[i], m, width, scale[i], representatives[i], near)
        n_reached = 0
        if not terminated[i]:
            next_total = _weigh(next_states[i], m, width, scale[i], representatives[i], led_to)
            for j in range(m):
                if led_to[j] > 0.0:
                    reached[n_reached], n_reached = j, n_reached + 1
                    led_to[j] /= next_total
        for z in range(m):
            if near[z] > 0.0:
                W[i, a, z] += near[z]
                r[i, a, z] += near[z] * rewards[i]
                N[i, a, z] += near[z] / total
                for k in range(n_reached):
                    C[i, a, z, reached[k]] += near[z] * led_to[reached[k]]
        has_end[i] |= terminated[i]
        is_stale[i] = True


@njit(cache=True)
def plan_each(
    gamma, tolerance, task_horizon,
    n_representatives, has_end, is_stale, n_seen, mean, squares, scale, representatives,
    C, W, r, N, Q,
):  # fmt: skip
    """Compute Q of each stale task by value iteration from 0."""
    n_actions, capacity = W.shape[1], W.shape[2]
    base, spread = np.empty((n_actions, capacity)), np.empty((n_actions, capacity))
    row, weight = np.empty(base.size * capacity, np.uint32), np.empty(base.size * capacity)
    successor = np.empty(row.size, np.uint32)
    unblocked, no_history = np.zeros((1, 1), np.bool_), np.zeros((N_LINES, 0))
    for i in range(is_stale.size):
        if not is_stale[i]:
            continue
        m = n_representatives[i]
        n_triples = 0
        for a in range(n_actions):
            for z in range(m):
                total = W[i, a, z]
                if total == 0.0:  # untried: leads to all states with equal probability
                    base[a, z], spread[a, z] = 0.0, gamma / (m + has_end[i])
                    continue
                base[a, z], spread[a, z] = r[i, a, z] / total, 0.0
                for j in range(m):
                    if C[i, a, z, j] > 0.0:
                        row[n_triples], successor[n_triples] = a * capacity + z, j
                        weight[n_triples] = gamma * C[i, a, z, j] / total
                        n_triples += 1
        Q[i] = 0.0
        iterate(
            base, spread, row, successor, weight, unblocked, False, m, n_triples,
            0, task_horizon, tolerance - ROUNDING, np.zeros(capacity), Q[i], no_history,
        )  # fmt: skip
        is_stale[i] = False


@njit(cache=True)
def read_each(
    states, width, n_representatives, has_end, is_stale, n_seen, mean, squares, scale,
    representatives, C, W, r, N, Q, Q_rows, count_rows,
):  # fmt: skip
    """Read Q and counts (n_tasks, A) of one state per task; rows of empty models do not change."""
    near = np.empty(W.shape[2])
    for i in range(states.shape[0]):
        m = n_representatives[i]
        if m == 0:
            continue
        total = _weigh(states[i], m, width, scale[i], representatives[i], near)
        for a in range(W.shape[1]):
            Q_rows[i, a] = count_rows[i, a] = 0.0
            for j in range(m):
                Q_rows[i, a] += near[j] / total * Q[i, a, j]
                count_rows[i, a] += near[j] / total * N[i, a, j]
