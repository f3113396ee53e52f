"""Solve models drawn from the posterior, for `posterior_sampling`.

The posterior is computed from the counts in the storage of `model_based`. `posterior_sampling` has
the equations, also for states that the models do not contain.
"""

import numpy as np
import numpy.typing as npt

from vamdp.compiled import njit
from vamdp.estimators.model_based.storage import (
    COUNT,
    N_STATES,
    N_TRIPLES,
    REWARD_SUM,
    ROW,
    SEEN,
    SUCCESSOR,
    Storage,
)
from vamdp.mdp.bellman import backup, iterate

# The estimates of a pair.
Q_SHOWN, SPREAD_SHOWN = range(2)


def beliefs(
    i: int, storage: Storage, concentration: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return Dirichlet parameters (S, A, S), sums of rewards and visits (S, A) of task i."""
    n_actions, capacity = storage.blocked.shape[1:]
    n_states, n = storage.sizes[i, [N_STATES, N_TRIPLES]]
    triples = storage.triples[i, :, :n]
    a, s = np.divmod(triples[ROW], np.uint32(capacity))
    alpha = np.full((n_states, n_actions, n_states), concentration)
    alpha[s, a, triples[SUCCESSOR]] += triples[SEEN]  # no triple occurs twice
    reward_sums = np.zeros((n_states, n_actions))
    np.add.at(reward_sums, (s, a), storage.triple_values[i, REWARD_SUM, :n])
    visits = storage.row_counts[i, COUNT, :, :n_states].T.astype(np.float64)
    return alpha, reward_sums, visits


@njit(cache=True)
def solve(
    P, R, absorbing, blocked, any_blocked, gamma, task_horizon, threshold,
    concentration, prior_mean, prior_sd, no_history, shown, unmet,
):  # fmt: skip
    """Solve the models P (m, S, A, S), R (m, S, A), and write Q and spread of their states.

    absorbing is (capacity,) and blocked (A, capacity). shown (2, capacity, A) receives Q and spread
    of the models' states, unmet (2,) those of any other state.
    """
    n_models, n_states, n_actions = R.shape
    n_triples = n_actions * n_states * n_states
    # All triples in the layout of `bellman`; the models share them and differ in their weights.
    row, successor = np.empty(n_triples, np.uint32), np.empty(n_triples, np.uint32)
    k = 0
    for a in range(n_actions):
        for s in range(n_states):
            for s_next in range(n_states):
                row[k], successor[k] = a * n_states + s, s_next
                k += 1
    base, spread = np.empty((n_actions, n_states)), np.zeros((n_actions, n_states))
    weight = np.empty(n_triples)
    Q = np.empty((n_models, n_actions, n_states))
    unmet_Q = np.empty(n_models)
    variance = 0.0  # of the row of an unmet state, averaged over the models
    for m in range(n_models):
        k = 0
        for a in range(n_actions):
            for s in range(n_states):
                base[a, s] = 0.0 if absorbing[s] else R[m, s, a]
                for s_next in range(n_states):
                    weight[k] = 0.0 if absorbing[s] else gamma * P[m, s, a, s_next]
                    k += 1
        V = np.zeros(n_states)
        Q[m] = 0.0
        if task_horizon > 1:
            iterate(
                base, spread, row, successor, weight, blocked, any_blocked, n_states, n_triples,
                0, task_horizon - 1, threshold, V, Q[m], no_history,
            )  # fmt: skip
        backup(base, spread, row, successor, weight, n_states, n_triples, V, Q[m])
        mean = square = 0.0
        for s in range(n_states):
            mean += V[s] / n_states
            square += V[s] * V[s] / n_states
        unmet_Q[m] = prior_mean + gamma * mean
        among_rows = gamma * gamma * max(square - mean * mean, 0.0)
        variance += (prior_sd * prior_sd + among_rows / (concentration * n_states + 1.0)) / n_models
    for a in range(n_actions):
        for s in range(n_states):
            shown[Q_SHOWN, s, a] = Q[0, a, s]
            shown[SPREAD_SHOWN, s, a] = np.sqrt(_variance(Q[:, a, s]))
    unmet[Q_SHOWN] = unmet_Q[0]
    unmet[SPREAD_SHOWN] = np.sqrt(_variance(unmet_Q) + variance)


@njit(cache=True)
def _variance(x):
    """Return the sample variance of at least two numbers."""
    mean = total = 0.0
    for m in range(x.size):
        mean += x[m] / x.size
    for m in range(x.size):
        total += (x[m] - mean) ** 2
    return total / (x.size - 1)
