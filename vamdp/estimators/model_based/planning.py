"""Update Q and V of a learned model by value iteration, skipping sweeps whose result is known."""

import numpy as np

from vamdp.compiled import njit
from vamdp.estimators.model_based.options import TASK_HORIZON, TOLERANCE
from vamdp.estimators.model_based.storage import (
    ANY_BLOCKED,
    BASE,
    CHANGED,
    FIRST_TRIPLE,
    N_RECORDED,
    N_STATES,
    N_SWEEPS,
    N_TRIPLES,
    NEXT,
    Q_TABLE,
    ROW,
    SPREAD,
    SUCCESSOR,
    WEIGHT,
)
from vamdp.estimators.model_based.unchanged_sweeps import count_unchanged
from vamdp.mdp.bellman import ROUNDING, backup, iterate, maximise
from vamdp.mdp.sweep_history import CHANGED_Q, MOVER, N_LINES, NOTHING


@njit(cache=True, inline="always")
def note_change(task, a, s, every, plan):
    """Record that row (s, a) of the model has changed, or `every` row."""
    row = a * plan.tables.shape[3] + s + 1
    if every or plan.sizes[task, CHANGED] not in (0, row):
        plan.sizes[task, N_RECORDED] = 0
    plan.sizes[task, CHANGED] = row


@njit(cache=True, inline="always")
def replan(task, from_zero, model, plan, options):
    """Update Q and V of one task.

    If recorded sweeps still hold, only row CHANGED has changed since they were made.
    """
    tables, V, sizes = plan.tables, plan.V, plan.sizes
    max_sweeps, threshold = np.int64(options[TASK_HORIZON]), options[TOLERANCE] - ROUNDING
    n_states, any_blocked = sizes[task, N_STATES], sizes[task, ANY_BLOCKED] != 0
    a, s = divmod(sizes[task, CHANGED] - 1, tables.shape[3])
    sizes[task, CHANGED] = 0
    n_done = 0
    if sizes[task, N_RECORDED] > 0:
        n_done, complete = _skip_sweeps(task, s, a, max_sweeps, threshold, model, plan)
        if complete:
            return
    elif from_zero:
        for i in range(n_states):
            V[task, i] = 0.0
        for b in range(tables.shape[2]):
            for i in range(n_states):
                tables[task, Q_TABLE, b, i] = 0.0
    elif any_blocked:
        # Masks may have changed: with a stale V, the first sweep could stop as if nothing moved.
        maximise(tables[task, Q_TABLE], model.blocked[task], True, n_states, V[task])
    sizes[task, N_SWEEPS] = iterate(
        tables[task, BASE], tables[task, SPREAD],
        model.triples[task, ROW], model.triples[task, SUCCESSOR], model.triple_values[task, WEIGHT],
        model.blocked[task], any_blocked, n_states, sizes[task, N_TRIPLES],
        n_done, max_sweeps, threshold, V[task], tables[task, Q_TABLE], plan.history[task],
    )  # fmt: skip
    sizes[task, N_RECORDED] = min(sizes[task, N_SWEEPS], plan.history.shape[2])


@njit(cache=True, borrows=True)
def _skip_sweeps(task, s, a, max_sweeps, threshold, model, plan):
    """Set Q and V to the last recorded sweep that still holds, given that only row (s, a) changed.

    Returns the number of sweeps that are done by this, and whether planning is complete.
    """
    tables, V, history, sizes = plan.tables, plan.V, plan.history, plan.sizes
    triples, weight = model.triples, model.triple_values[task, WEIGHT]
    n_states, n_recorded = sizes[task, N_STATES], sizes[task, N_RECORDED]
    base, spread = tables[task, BASE], tables[task, SPREAD]
    n_same = count_unchanged(
        s, a, n_recorded, threshold, base, spread, model.row_counts[task, FIRST_TRIPLE],
        triples[task, SUCCESSOR], triples[task, NEXT], weight,
        model.blocked[task], sizes[task, ANY_BLOCKED] != 0, history[task],
    )  # fmt: skip
    lines = history.shape[1] - N_LINES
    if n_same == sizes[task, N_SWEEPS] and (
        n_same == max_sweeps or history[task, lines + MOVER, n_same - 1] == NOTHING
    ):
        tables[task, Q_TABLE, a, s] = history[task, lines + CHANGED_Q, n_same - 1]
        return n_same, True
    # The last skipped sweep is computed anyway, because the next one is compared with its Q.
    for i in range(n_states):
        V[task, i] = history[task, i, n_same - 2] if n_same > 1 else 0.0
    if n_same == 0:
        for b in range(base.shape[0]):
            for i in range(n_states):
                tables[task, Q_TABLE, b, i] = 0.0
    else:
        backup(
            base, spread, triples[task, ROW], triples[task, SUCCESSOR], weight,
            n_states, sizes[task, N_TRIPLES], V[task], tables[task, Q_TABLE],
        )  # fmt: skip
        for i in range(n_states):
            V[task, i] = history[task, i, n_same - 1]
    return n_same, False
