r"""The model of one task, learned from its transitions, kept ready for planning.

From the counts N(s, a, s') of this task, with Laplace smoothing alpha over the S states that the
model has at this moment (design of the estimates: RL3, arXiv 2306.15909, section 4 and appendix A):

    tried row:    P(s'|s,a) = (N(s,a,s') + alpha) / (N(s,a) + alpha S)
    untried row:  P(s'|s,a) = 1 / S, reward 0
    terminal:     absorbing, reward 0

and, with G(s,a,s') the sum of the rewards of a triple, the expected reward of a tried row is

    reward_model "transition":    sum_s' P(s'|s,a) G(s,a,s') / N(s,a,s') over the s' seen
    reward_model "state_action":  sum_s' G(s,a,s') / N(s,a).

The first gives triples never seen a reward of 0, and so shrinks rewards.

What planning reads (``base``, ``spread``, ``weight`` of `value_iteration`) is a function of the
counts and of S. A transition changes one row of it; only a state that enters the model, and so
changes S, changes all rows. The tables are thus always what a rebuild from the counts would give.
"""

import numpy as np
from numba import njit

from vamdp.abstraction import LIVING, NOWHERE, TERMINAL_COPY, _find, _nearest_cluster
from vamdp.model_storage import (
    ANY_BLOCKED,
    BASE,
    COUNT,
    FIRST_TRIPLE,
    N_CONCRETE,
    N_STATES,
    N_SWEEPS,
    N_TRIPLES,
    NEXT,
    PREVIOUS_Q_TABLE,
    Q_TABLE,
    REWARD_SUM,
    ROW,
    SEEN,
    SPREAD,
    SUCCESSOR,
    WEIGHT,
)
from vamdp.value_iteration import ROUNDING, _iterate


@njit(cache=True)
def _intern(key, sizes, keys, ids, visits, masked, hash_table):  # type: ignore[no-untyped-def]
    """The number of the concrete state with this key, a new one if it was never seen."""
    slot = _find(key, keys, hash_table)
    if hash_table[slot] == 0:
        c = sizes[N_CONCRETE]
        sizes[N_CONCRETE] = c + 1
        hash_table[slot] = c + 1
        ids[c, LIVING] = NOWHERE
        ids[c, TERMINAL_COPY] = NOWHERE
        for i in range(key.size):
            keys[c, i] = key[i]
        for a in range(visits.shape[1]):
            visits[c, a] = 0
            masked[c, a] = False
    return np.int64(hash_table[slot]) - 1


@njit(cache=True)
def _found(sizes, tables, row_counts, members, absorbing, blocked, terminal):  # type: ignore[no-untyped-def]
    """Add an abstract state to the model; returns its number."""
    s = sizes[N_STATES]
    sizes[N_STATES] = s + 1
    members[s] = 0
    absorbing[s] = terminal
    for a in range(blocked.shape[0]):
        row_counts[COUNT, a, s] = 0
        row_counts[FIRST_TRIPLE, a, s] = 0
        blocked[a, s] = False
    return s


@njit(cache=True)
def _renew_blocked(s, sizes, blocked, ids, masked):  # type: ignore[no-untyped-def]
    """An action is blocked in an abstract state if every member masks it."""
    for a in range(blocked.shape[0]):
        blocked[a, s] = True
    for c in range(sizes[N_CONCRETE]):
        if ids[c, LIVING] == s:
            for a in range(blocked.shape[0]):
                blocked[a, s] = blocked[a, s] and masked[c, a]


@njit(cache=True)
def _set_mask(key, allowed, sizes, blocked, keys, ids, visits, masked, hash_table):  # type: ignore[no-untyped-def]
    """Note which actions, allowed (A,), the concrete state offers; it need not be in the model."""
    c = _intern(key, sizes, keys, ids, visits, masked, hash_table)
    changed = False
    for a in range(allowed.size):
        changed = changed or masked[c, a] == allowed[a]
        masked[c, a] = not allowed[a]
        if not allowed[a]:
            sizes[ANY_BLOCKED] = 1
    if changed and ids[c, LIVING] != NOWHERE:
        _renew_blocked(ids[c, LIVING], sizes, blocked, ids, masked)


@njit(cache=True)
def _enter(  # type: ignore[no-untyped-def]
    c, terminated, sizes, tables, row_counts, members, absorbing, blocked, keys, ids, masked,
    cluster_size, cluster_radius, cluster_terminals,
):  # fmt: skip
    """The abstract state that concrete state c is in, entering the model if it has to."""
    copy = terminated and not (cluster_terminals and cluster_size > 1)
    column = TERMINAL_COPY if copy else LIVING
    s = np.int64(ids[c, column])
    if s == NOWHERE:
        if cluster_size > 1 and not copy:
            s = np.int64(
                _nearest_cluster(
                    c, sizes[N_CONCRETE], keys, ids, members, cluster_size, cluster_radius
                )
            )
        if s == NOWHERE:
            s = _found(sizes, tables, row_counts, members, absorbing, blocked, copy)
        ids[c, column] = s
        members[s] += 1
        if sizes[ANY_BLOCKED] != 0 and not copy:
            _renew_blocked(s, sizes, blocked, ids, masked)
    return s


@njit(cache=True)
def _rescale_row(a, s, n_states, tables, row_counts, absorbing, triples, triple_values, alpha, gamma, by_pair):  # type: ignore[no-untyped-def]  # fmt: skip
    """Renew what planning reads of row (s, a)."""
    n = np.float64(row_counts[COUNT, a, s])
    total = n + alpha * n_states
    base = 0.0
    k = row_counts[FIRST_TRIPLE, a, s]
    while k != 0:
        seen, reward_sum = triples[SEEN, k - 1], triple_values[REWARD_SUM, k - 1]
        base += reward_sum / n if by_pair else (seen + alpha) / total * (reward_sum / seen)
        triple_values[WEIGHT, k - 1] = 0.0 if absorbing[s] else gamma * seen / total
        k = triples[NEXT, k - 1]
    tables[BASE, a, s] = 0.0 if absorbing[s] else base
    if absorbing[s]:
        tables[SPREAD, a, s] = 0.0
    else:
        tables[SPREAD, a, s] = gamma * alpha / total if n > 0.0 else gamma / n_states


@njit(cache=True)
def _count(a, s, s_next, reward, sizes, row_counts, triples, triple_values):  # type: ignore[no-untyped-def]
    """Count the transition (s, a, s_next) and its reward."""
    row_counts[COUNT, a, s] += 1
    k = row_counts[FIRST_TRIPLE, a, s]
    while k != 0:
        if triples[SUCCESSOR, k - 1] == s_next:
            triples[SEEN, k - 1] += 1
            triple_values[REWARD_SUM, k - 1] += reward
            return
        k = triples[NEXT, k - 1]
    k = sizes[N_TRIPLES]
    sizes[N_TRIPLES] = k + 1
    triples[ROW, k] = a * row_counts.shape[2] + s
    triples[SUCCESSOR, k] = s_next
    triples[SEEN, k] = 1
    triple_values[REWARD_SUM, k] = reward
    triples[NEXT, k] = row_counts[FIRST_TRIPLE, a, s]
    row_counts[FIRST_TRIPLE, a, s] = k + 1


@njit(cache=True)
def _plan(sizes, tables, V, blocked, triples, triple_values, entered, max_sweeps, gamma, tolerance, warm_start):  # type: ignore[no-untyped-def]  # fmt: skip
    n_states = sizes[N_STATES]
    if entered or not warm_start:
        for s in range(n_states):
            V[s] = 0.0
        for a in range(tables.shape[1]):
            for s in range(n_states):
                tables[Q_TABLE, a, s] = 0.0
    sizes[N_SWEEPS] = _iterate(
        tables[BASE], tables[SPREAD], triples[ROW], triples[SUCCESSOR], triple_values[WEIGHT], blocked,
        sizes[ANY_BLOCKED] != 0, n_states, sizes[N_TRIPLES], max_sweeps, tolerance - ROUNDING,
        V, tables[Q_TABLE], tables[PREVIOUS_Q_TABLE],
    )  # fmt: skip


@njit(cache=True)
def _learn(  # type: ignore[no-untyped-def]
    key, action, reward, next_key, terminated, next_allowed,
    sizes, tables, row_counts, V, members, absorbing, blocked, triples, triple_values,
    keys, ids, visits, masked, hash_table,
    gamma, tolerance, alpha, max_sweeps, warm_start, by_pair,
    cluster_size, cluster_radius, cluster_terminals,
):  # fmt: skip
    """Take in one transition of one task, and plan; next_allowed is (A,), or (0,) without a mask."""
    n_states_before = sizes[N_STATES]
    c = _intern(key, sizes, keys, ids, visits, masked, hash_table)
    c_next = _intern(next_key, sizes, keys, ids, visits, masked, hash_table)
    if next_allowed.size > 0 and not terminated:
        _set_mask(next_key, next_allowed, sizes, blocked, keys, ids, visits, masked, hash_table)
    s = _enter(
        c, False, sizes, tables, row_counts, members, absorbing, blocked, keys, ids, masked,
        cluster_size, cluster_radius, cluster_terminals,
    )  # fmt: skip
    s_next = _enter(
        c_next, terminated, sizes, tables, row_counts, members, absorbing, blocked, keys, ids, masked,
        cluster_size, cluster_radius, cluster_terminals,
    )  # fmt: skip
    newly_absorbing = terminated and not absorbing[s_next]
    if newly_absorbing:  # only with cluster_terminals: the cluster becomes absorbing as a whole
        absorbing[s_next] = True
    visits[c, action] += 1
    _count(action, s, s_next, reward, sizes, row_counts, triples, triple_values)
    n_states = sizes[N_STATES]
    entered = n_states != n_states_before
    # A new S changes every row, a cluster that became absorbing its own rows, a count one row.
    every = entered or newly_absorbing
    for a in range(0 if every else action, tables.shape[1] if every else action + 1):
        for other in range(0 if every else s, n_states if every else s + 1):
            _rescale_row(
                a, other, n_states, tables, row_counts, absorbing, triples, triple_values,
                alpha, gamma, by_pair,
            )  # fmt: skip
    _plan(
        sizes, tables, V, blocked, triples, triple_values, entered,
        max_sweeps, gamma, tolerance, warm_start,
    )  # fmt: skip
