"""The concrete and abstract states of a model, and the actions they allow.

Concrete states are the environment's; an abstract state represents one or several of them
(`vamdp.estimators.grouping`).
"""

import numpy as np

from vamdp.compiled import njit
from vamdp.estimators.grouping import LIVING, NOWHERE, TERMINAL_COPY, nearest_cluster
from vamdp.estimators.model_based.options import CLUSTER_RADIUS, CLUSTER_SIZE, CLUSTER_TERMINALS
from vamdp.estimators.model_based.storage import (
    ANY_BLOCKED,
    COUNT,
    FIRST_TRIPLE,
    N_CONCRETE,
    N_RECORDED,
    N_STATES,
)
from vamdp.estimators.state_numbers import number_or_next


@njit(cache=True, inline="always")
def meet(task, key, states):
    """Return the number of the concrete state with this key; a new state gets the next number."""
    n = states.sizes[task, N_CONCRETE]
    c = number_or_next(task, key, n, states.keys, states.hash_table)
    if c == n:
        states.sizes[task, N_CONCRETE] = n + 1
        states.ids[task, c, LIVING] = NOWHERE
        states.ids[task, c, TERMINAL_COPY] = NOWHERE
        for a in range(states.visits.shape[2]):
            states.visits[task, c, a] = 0
            states.masked[task, c, a] = False
    return c


@njit(cache=True, inline="always")
def _found(task, terminal, model):
    """Add an abstract state to the model; returns its number."""
    s = model.sizes[task, N_STATES]
    model.sizes[task, N_STATES] = s + 1
    model.members[task, s] = 0
    model.absorbing[task, s] = terminal
    for a in range(model.blocked.shape[1]):
        model.row_counts[task, COUNT, a, s] = 0
        model.row_counts[task, FIRST_TRIPLE, a, s] = 0
        model.blocked[task, a, s] = False
    return s


@njit(cache=True, inline="always")
def enter(task, c, terminated, states, model, options):
    """Return the abstract state of concrete state c; a new one enters the model if needed."""
    clusters = options[CLUSTER_SIZE] > 1.0
    copy = terminated and not (clusters and options[CLUSTER_TERMINALS] != 0.0)
    column = TERMINAL_COPY if copy else LIVING
    s = np.int64(states.ids[task, c, column])
    if s == NOWHERE:
        if clusters and not copy:
            s = np.int64(
                nearest_cluster(
                    task, c, states.sizes[task, N_CONCRETE], states.keys, states.ids,
                    model.members, options[CLUSTER_SIZE], options[CLUSTER_RADIUS],
                )
            )  # fmt: skip
        if s == NOWHERE:
            s = _found(task, copy, model)
        states.ids[task, c, column] = s
        model.members[task, s] += 1
        if states.sizes[task, ANY_BLOCKED] != 0 and not copy:
            _renew_blocked(task, s, states, model)
    return s


@njit(cache=True, inline="always")
def tells(allowed):
    """Whether a mask (A,) or (0,) allows any action; if not, it counts as unknown."""
    for a in range(allowed.size):
        if allowed[a]:
            return True
    return False


@njit(cache=True, borrows=True)
def set_mask(task, key, allowed, states, model):
    """Store the mask `allowed` (A,) of a concrete state, which need not be in the model."""
    c = meet(task, key, states)
    changed = False
    for a in range(allowed.size):
        changed = changed or states.masked[task, c, a] == allowed[a]
        states.masked[task, c, a] = not allowed[a]
        if not allowed[a]:
            states.sizes[task, ANY_BLOCKED] = 1
    if changed and states.ids[task, c, LIVING] != NOWHERE:
        _renew_blocked(task, states.ids[task, c, LIVING], states, model)


@njit(cache=True, borrows=True)
def _renew_blocked(task, s, states, model):
    """Block the actions of an abstract state that every member masks."""
    states.sizes[task, N_RECORDED] = 0
    for a in range(model.blocked.shape[1]):
        model.blocked[task, a, s] = True
    for c in range(states.sizes[task, N_CONCRETE]):
        if states.ids[task, c, LIVING] == s:
            for a in range(model.blocked.shape[1]):
                masked = states.masked[task, c, a]
                model.blocked[task, a, s] = model.blocked[task, a, s] and masked
