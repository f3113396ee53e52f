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

from vamdp.estimators.grouping import LIVING, NOWHERE, TERMINAL_COPY, _find, _nearest_cluster
from vamdp.estimators.model_based.options import (
    BY_PAIR,
    CLUSTER_RADIUS,
    CLUSTER_SIZE,
    CLUSTER_TERMINALS,
    GAMMA,
    SMOOTHING,
    TASK_HORIZON,
    TOLERANCE,
    WARM_START,
)
from vamdp.estimators.model_based.storage import (
    ANY_BLOCKED,
    BASE,
    CHANGED,
    COUNT,
    FIRST_TRIPLE,
    N_CONCRETE,
    N_RECORDED,
    N_STATES,
    N_SWEEPS,
    N_TRIPLES,
    NEXT,
    Q_TABLE,
    REWARD_SUM,
    ROW,
    SEEN,
    SPREAD,
    SUCCESSOR,
    WEIGHT,
)
from vamdp.estimators.model_based.unchanged_sweeps import count_unchanged
from vamdp.mdp.bellman import ROUNDING, backup, iterate, maximise
from vamdp.mdp.sweep_history import CHANGED_Q, MOVER, N_LINES, NOTHING


@njit(cache=True, inline="always")
def _intern(task, key, sizes, keys, ids, visits, masked, hash_table):
    """The number of the concrete state with this key, a new one if it was never seen."""
    slot = _find(task, key, keys, hash_table)
    if hash_table[task, slot] == 0:
        c = sizes[task, N_CONCRETE]
        sizes[task, N_CONCRETE] = c + 1
        hash_table[task, slot] = c + 1
        ids[task, c, LIVING] = NOWHERE
        ids[task, c, TERMINAL_COPY] = NOWHERE
        for j in range(key.size):
            keys[task, c, j] = key[j]
        for a in range(visits.shape[2]):
            visits[task, c, a] = 0
            masked[task, c, a] = False
    return np.int64(hash_table[task, slot]) - 1


@njit(cache=True, inline="always")
def _found(task, sizes, row_counts, members, absorbing, blocked, terminal):
    """Add an abstract state to the model; returns its number."""
    s = sizes[task, N_STATES]
    sizes[task, N_STATES] = s + 1
    members[task, s] = 0
    absorbing[task, s] = terminal
    for a in range(blocked.shape[1]):
        row_counts[task, COUNT, a, s] = 0
        row_counts[task, FIRST_TRIPLE, a, s] = 0
        blocked[task, a, s] = False
    return s


@njit(cache=True)
def _renew_blocked(task, s, sizes, blocked, ids, masked):
    """An action is blocked in an abstract state if every member masks it."""
    sizes[task, N_RECORDED] = 0
    for a in range(blocked.shape[1]):
        blocked[task, a, s] = True
    for c in range(sizes[task, N_CONCRETE]):
        if ids[task, c, LIVING] == s:
            for a in range(blocked.shape[1]):
                blocked[task, a, s] = blocked[task, a, s] and masked[task, c, a]


@njit(cache=True)
def _set_mask(task, key, allowed, sizes, blocked, keys, ids, visits, masked, hash_table):
    """Note which actions, allowed (A,), the concrete state offers; it need not be in the model."""
    c = _intern(task, key, sizes, keys, ids, visits, masked, hash_table)
    changed = False
    for a in range(allowed.size):
        changed = changed or masked[task, c, a] == allowed[a]
        masked[task, c, a] = not allowed[a]
        if not allowed[a]:
            sizes[task, ANY_BLOCKED] = 1
    if changed and ids[task, c, LIVING] != NOWHERE:
        _renew_blocked(task, ids[task, c, LIVING], sizes, blocked, ids, masked)


@njit(cache=True, inline="always")
def _enter(
    task, c, terminated,
    sizes, row_counts, members, absorbing, blocked, keys, ids, masked,
    cluster_size, cluster_radius, cluster_terminals,
):  # fmt: skip
    """The abstract state that concrete state c is in, entering the model if it has to."""
    copy = terminated and not (cluster_terminals and cluster_size > 1)
    column = TERMINAL_COPY if copy else LIVING
    s = np.int64(ids[task, c, column])
    if s == NOWHERE:
        if cluster_size > 1 and not copy:
            s = np.int64(
                _nearest_cluster(
                    task,
                    c,
                    sizes[task, N_CONCRETE],
                    keys,
                    ids,
                    members,
                    cluster_size,
                    cluster_radius,
                )
            )
        if s == NOWHERE:
            s = _found(task, sizes, row_counts, members, absorbing, blocked, copy)
        ids[task, c, column] = s
        members[task, s] += 1
        if sizes[task, ANY_BLOCKED] != 0 and not copy:
            _renew_blocked(task, s, sizes, blocked, ids, masked)
    return s


@njit(cache=True, inline="always")
def _rescale_row(
    task, a, s, n_states, tables, row_counts, absorbing, triples, triple_values,
    alpha, gamma, by_pair,
):  # fmt: skip
    """Renew what planning reads of row (s, a)."""
    n = np.float64(row_counts[task, COUNT, a, s])
    total = n + alpha * n_states
    base = 0.0
    k = row_counts[task, FIRST_TRIPLE, a, s]
    while k != 0:
        seen, reward_sum = triples[task, SEEN, k - 1], triple_values[task, REWARD_SUM, k - 1]
        base += reward_sum / n if by_pair else (seen + alpha) / total * (reward_sum / seen)
        triple_values[task, WEIGHT, k - 1] = 0.0 if absorbing[task, s] else gamma * seen / total
        k = triples[task, NEXT, k - 1]
    tables[task, BASE, a, s] = 0.0 if absorbing[task, s] else base
    if absorbing[task, s]:
        tables[task, SPREAD, a, s] = 0.0
    else:
        tables[task, SPREAD, a, s] = gamma * alpha / total if n > 0.0 else gamma / n_states


@njit(cache=True, inline="always")
def _count(task, a, s, s_next, reward, sizes, row_counts, triples, triple_values):
    """Count the transition (s, a, s_next) and its reward."""
    row_counts[task, COUNT, a, s] += 1
    k = last = row_counts[task, FIRST_TRIPLE, a, s]
    while k != 0:
        last = k
        if triples[task, SUCCESSOR, k - 1] == s_next:
            triples[task, SEEN, k - 1] += 1
            triple_values[task, REWARD_SUM, k - 1] += reward
            return
        k = triples[task, NEXT, k - 1]
    k = sizes[task, N_TRIPLES]
    sizes[task, N_TRIPLES] = k + 1
    triples[task, ROW, k] = a * row_counts.shape[3] + s
    triples[task, SUCCESSOR, k] = s_next
    triples[task, SEEN, k] = 1
    triple_values[task, REWARD_SUM, k] = reward
    triples[task, NEXT, k] = 0
    if last == 0:
        row_counts[task, FIRST_TRIPLE, a, s] = k + 1
    else:  # at the end: sums along the chain then run in the order in which a sweep adds them
        triples[task, NEXT, last - 1] = k + 1


@njit(cache=True)
def _skip_sweeps(
    task, s, a, max_sweeps, threshold,
    sizes, tables, row_counts, V, blocked, triples, triple_values, history,
):  # fmt: skip
    """Bring Q and V to where planning has to go on, row (s, a) alone having changed.

    Returns the sweeps that are done then, and whether these are all.
    """
    n_states, n_recorded = sizes[task, N_STATES], sizes[task, N_RECORDED]
    base, spread = tables[task, BASE], tables[task, SPREAD]
    n_same = count_unchanged(
        s, a, n_recorded, threshold, base, spread, row_counts[task, FIRST_TRIPLE],
        triples[task, SUCCESSOR], triples[task, NEXT], triple_values[task, WEIGHT],
        blocked[task], sizes[task, ANY_BLOCKED] != 0, history[task],
    )  # fmt: skip
    lines = history.shape[1] - N_LINES
    if n_same == sizes[task, N_SWEEPS] and (
        n_same == max_sweeps or history[task, lines + MOVER, n_same - 1] == NOTHING
    ):
        tables[task, Q_TABLE, a, s] = history[task, lines + CHANGED_Q, n_same - 1]
        return n_same, True
    # The last sweep to be skipped is done all the same: the next one is compared with its Q.
    for i in range(n_states):
        V[task, i] = history[task, i, n_same - 2] if n_same > 1 else 0.0
    if n_same == 0:
        for b in range(base.shape[0]):
            for i in range(n_states):
                tables[task, Q_TABLE, b, i] = 0.0
    else:
        backup(
            base, spread, triples[task, ROW], triples[task, SUCCESSOR],
            triple_values[task, WEIGHT], n_states, sizes[task, N_TRIPLES], V[task],
            tables[task, Q_TABLE],
        )  # fmt: skip
        for i in range(n_states):
            V[task, i] = history[task, i, n_same - 1]
    return n_same, False


@njit(cache=True, inline="always")
def _plan(
    task, from_zero, sizes, tables, row_counts, V, blocked, triples, triple_values, history,
    max_sweeps, tolerance,
):  # fmt: skip
    """Renew Q and V of one task, of which row CHANGED has changed, or, if no sweep is left, all."""
    n_states = sizes[task, N_STATES]
    a, s = divmod(sizes[task, CHANGED] - 1, tables.shape[3])
    sizes[task, CHANGED] = 0
    n_done = 0
    if sizes[task, N_RECORDED] > 0:
        n_done, complete = _skip_sweeps(
            task, s, a, max_sweeps, tolerance - ROUNDING,
            sizes, tables, row_counts, V, blocked, triples, triple_values, history,
        )  # fmt: skip
        if complete:
            return
    elif from_zero:
        for i in range(n_states):
            V[task, i] = 0.0
        for b in range(tables.shape[2]):
            for i in range(n_states):
                tables[task, Q_TABLE, b, i] = 0.0
    elif sizes[task, ANY_BLOCKED] != 0:
        # Masks may have changed since: a stale V could stop the first sweep as if nothing had.
        maximise(tables[task, Q_TABLE], blocked[task], True, n_states, V[task])
    sizes[task, N_SWEEPS] = iterate(
        tables[task, BASE], tables[task, SPREAD],
        triples[task, ROW], triples[task, SUCCESSOR], triple_values[task, WEIGHT],
        blocked[task], sizes[task, ANY_BLOCKED] != 0, n_states, sizes[task, N_TRIPLES],
        n_done, max_sweeps, tolerance - ROUNDING,
        V[task], tables[task, Q_TABLE], history[task],
    )  # fmt: skip
    sizes[task, N_RECORDED] = min(sizes[task, N_SWEEPS], history.shape[2])


@njit(cache=True, inline="always")
def _learn(
    task, key, action, reward, next_key, terminated, next_allowed, plans,
    sizes, tables, row_counts, V, members, absorbing, blocked, triples, triple_values,
    keys, ids, visits, masked, hash_table, history, options,
):  # fmt: skip
    """Take in one transition of one task; returns the next concrete state's number.

    The arrays are those of `Storage`, whole: slices of them would cost more than the work on a
    small model. next_allowed is (A,), or (0,) without a mask; options are
    `EstimatorOptions.as_array`. Planning follows if it `plans` or starts warm: each of those
    plannings goes on from the one before. Others start from nothing, and can wait until asked for.
    """
    gamma, alpha, warm_start = options[GAMMA], options[SMOOTHING], options[WARM_START] != 0.0
    by_pair, cluster_size = options[BY_PAIR] != 0.0, np.int64(options[CLUSTER_SIZE])
    cluster_radius = options[CLUSTER_RADIUS]
    cluster_terminals = options[CLUSTER_TERMINALS] != 0.0
    n_states_before = sizes[task, N_STATES]
    c = _intern(task, key, sizes, keys, ids, visits, masked, hash_table)
    c_next = _intern(task, next_key, sizes, keys, ids, visits, masked, hash_table)
    if next_allowed.size > 0 and not terminated:
        _set_mask(
            task, next_key, next_allowed, sizes, blocked, keys, ids, visits, masked, hash_table
        )
    s = _enter(
        task, c, False, sizes, row_counts, members, absorbing, blocked, keys, ids, masked,
        cluster_size, cluster_radius, cluster_terminals,
    )  # fmt: skip
    s_next = _enter(
        task, c_next, terminated, sizes, row_counts, members, absorbing, blocked, keys, ids, masked,
        cluster_size, cluster_radius, cluster_terminals,
    )  # fmt: skip
    newly_absorbing = terminated and not absorbing[task, s_next]
    if newly_absorbing:  # only with cluster_terminals: the cluster becomes absorbing as a whole
        absorbing[task, s_next] = True
    visits[task, c, action] += 1
    _count(task, action, s, s_next, reward, sizes, row_counts, triples, triple_values)
    n_states = sizes[task, N_STATES]
    entered = n_states != n_states_before
    # A new S changes every row, a cluster that became absorbing its own rows, a count one row.
    every = entered or newly_absorbing
    for a in range(0 if every else action, tables.shape[2] if every else action + 1):
        for row_state in range(0 if every else s, n_states if every else s + 1):
            _rescale_row(
                task, a, row_state, n_states, tables, row_counts, absorbing, triples, triple_values,
                alpha, gamma, by_pair,
            )  # fmt: skip
    row = action * tables.shape[3] + s + 1
    if every or sizes[task, CHANGED] not in (0, row):
        sizes[task, N_RECORDED] = 0
    sizes[task, CHANGED] = row
    if plans or warm_start:
        _plan(
            task, entered or not warm_start,
            sizes, tables, row_counts, V, blocked, triples, triple_values, history,
            np.int64(options[TASK_HORIZON]), options[TOLERANCE],
        )  # fmt: skip
    return c_next
