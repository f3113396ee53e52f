"""The compiled functions of the learner: each opens the storage and loops over a batch of tasks.

States are float64 coordinates, (n_tasks, d); their bit patterns are the keys.

The serial driver is the default. The parallel driver is compiled only if more than one thread is
requested, because a process that has run a parallel kernel cannot be forked safely.
"""

import os
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from numba import prange

from vamdp.compiled import njit
from vamdp.estimators.grouping import LIVING
from vamdp.estimators.model_based.learned_model import count, renew_rows
from vamdp.estimators.model_based.open_storage import N_TASKS, open_storage
from vamdp.estimators.model_based.options import WARM_START
from vamdp.estimators.model_based.planning import note_change, replan
from vamdp.estimators.model_based.states import enter, meet, set_mask, tells
from vamdp.estimators.model_based.storage import CHANGED, N_CONCRETE, N_STATES, N_TRIPLES, Q_TABLE
from vamdp.estimators.q_parts import write_q_parts
from vamdp.estimators.state_numbers import number_of

MOST_THREADS: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined] # set at import
IMPORTING_PROCESS = os.getpid()

# Without OpenMP and TBB, numba aborts a process that runs parallel code in two Python threads at
# once. A forked process runs no parallel code, so it never waits for a lock held at the fork.
_ONE_AT_A_TIME = threading.RLock()


@njit(cache=True, inline="always")
def learn(
    task, key, action, reward, next_key, terminated, next_allowed, plans,
    states, model, plan, options,
):  # fmt: skip
    """Learn one transition of one task; returns the number of the next concrete state.

    next_allowed is (A,), or (0,) without a mask; options are `EstimatorOptions.as_array`. Planning
    follows if `plans` is true, or always with a warm start, because each planning then continues
    the previous one. Without a warm start, planning begins from zero and can be postponed.
    """
    n_states_before = model.sizes[task, N_STATES]
    c, c_next = meet(task, key, states), meet(task, next_key, states)
    if not terminated and tells(next_allowed):
        set_mask(task, next_key, next_allowed, states, model)
    s = enter(task, c, False, states, model, options)
    s_next = enter(task, c_next, terminated, states, model, options)
    newly_absorbing = terminated and not model.absorbing[task, s_next]
    if newly_absorbing:  # only with cluster_terminals: the cluster becomes absorbing as a whole
        model.absorbing[task, s_next] = True
    states.visits[task, c, action] += 1
    count(task, action, s, s_next, reward, model)
    # A new S changes every row, a newly absorbing cluster changes its own rows, a count one row.
    entered = model.sizes[task, N_STATES] != n_states_before
    every = entered or newly_absorbing
    renew_rows(task, action, s, every, model, options)
    note_change(task, action, s, every, plan)
    warm_start = options[WARM_START] != 0.0
    if plans or warm_start:
        replan(task, entered or not warm_start, model, plan, options)
    return c_next


@njit(cache=True, inline="always")
def has_room(task, states, model):
    """Whether a transition fits; it adds at most two concrete and abstract states and a triple."""
    sizes = states.sizes
    free = states.keys.shape[1] - max(sizes[task, N_STATES], sizes[task, N_CONCRETE])
    return free >= 2 and sizes[task, N_TRIPLES] < model.triples.shape[2]


@njit(cache=True, borrows=True)
def _all_have_room(where):
    states, model, _ = open_storage(where)
    for i in range(where[N_TASKS]):
        if not has_room(i, states, model):
            return False
    return True


# Parallel kernels cannot pass the opened storage into their loops, so each row opens it.


@njit(cache=True, borrows=True)
def _learn_row(i, where, options, states, actions, rewards, next_states, terminated, allowed):
    known, model, plan = open_storage(where)
    learn(
        i, states[i].view(np.uint64), actions[i], rewards[i], next_states[i].view(np.uint64),
        terminated[i], allowed[i], False, known, model, plan, options,
    )  # fmt: skip


@njit(cache=True, borrows=True)
def _plan_row(i, where, options):
    _, model, plan = open_storage(where)
    if plan.sizes[i, CHANGED] != 0:
        replan(i, True, model, plan, options)


def _learn_each(where, options, states, actions, rewards, next_states, terminated, allowed):
    """Learn one transition of each task, in the serial and in the parallel driver.

    Returns whether there was room; if not, nothing is learned.
    """
    if not _all_have_room(where):
        return False
    for i in prange(actions.size):
        _learn_row(i, where, options, states, actions, rewards, next_states, terminated, allowed)
    return True


def _plan_each(where, options):
    """Plan each task that has changed since its last planning; not for a warm start."""
    for i in prange(where[N_TASKS]):
        _plan_row(i, where, options)


_learn_serially = njit(cache=True, borrows=True)(_learn_each)
_plan_serially = njit(cache=True, borrows=True)(_plan_each)


@cache
def _in_parallel(kernel: Callable[..., Any], threads: int) -> Callable[..., Any]:
    compiled = _compiled_in_parallel(kernel)

    def run(*arguments: Any) -> Any:
        with _ONE_AT_A_TIME:
            numba.set_num_threads(threads)  # applies to this Python thread only
            return compiled(*arguments)

    return run


@cache
def _compiled_in_parallel(kernel: Callable[..., Any]) -> Callable[..., Any]:
    # Not cached on disk: numba would confuse it with the serial driver of the same name and source.
    compiled: Callable[..., Any] = njit(parallel=True)(kernel)
    return compiled


def drivers(threads: int) -> tuple[Callable[..., bool], Callable[..., None]]:
    """Return the compiled `_learn_each` and `_plan_each` for this number of threads.

    With more than one thread, calls from several Python threads run one after the other. A forked
    process gets the serial functions.
    """
    # A forked process lacks the parent's threads, and the OpenMP runtime would abort it.
    if threads == 1 or os.getpid() != IMPORTING_PROCESS:
        return _learn_serially, _plan_serially
    return _in_parallel(_learn_each, threads), _in_parallel(_plan_each, threads)


@njit(cache=True, borrows=True)
def set_masks(where, states, allowed, rows):
    """Store the masks of the tasks in `rows`; returns whether there was room, as `_learn_each`."""
    known, model, _ = open_storage(where)
    for i in range(rows.size):
        if known.sizes[i, N_CONCRETE] == known.keys.shape[1]:
            return False
    state_keys = states.view(np.uint64)
    for i in range(rows.size):
        if rows[i]:
            set_mask(i, state_keys[i], allowed[i], known, model)
    return True


@njit(cache=True, borrows=True)
def look_up(where, states, Q_rows, visits, allowed):
    """Read Q, counts and allowed actions of one state per task; unknown states change nothing."""
    known, _, plan = open_storage(where)
    state_keys = states.view(np.uint64)
    for i in range(states.shape[0]):
        c = number_of(i, state_keys[i], known.keys, known.hash_table)
        if c < 0:
            continue
        s = known.ids[i, c, LIVING]
        for a in range(Q_rows.shape[1]):
            Q_rows[i, a] = plan.tables[i, Q_TABLE, a, s] if s >= 0 else 0.0
            visits[i, a] = known.visits[i, c, a]
            allowed[i, a] = not known.masked[i, c, a]


@njit(cache=True, borrows=True)
def look_up_abstract(where, states, abstract):
    """Read the living abstract state of one state per task; entries without one do not change."""
    known, _, _ = open_storage(where)
    state_keys = states.view(np.uint64)
    for i in range(states.shape[0]):
        c = number_of(i, state_keys[i], known.keys, known.hash_table)
        if c >= 0 and known.ids[i, c, LIVING] >= 0:
            abstract[i] = known.ids[i, c, LIVING]


@njit(cache=True, inline="always")
def write_state(task, c, value_scale, count_scale, states, plan, out):
    """Write the parts of concrete state c into out (2 A + 1,).

    They are zeros if the state is unknown (c = -1) or not in the model.
    """
    s = states.ids[task, c, LIVING] if c >= 0 else -1
    if s < 0:
        for i in range(out.size):
            out[i] = 0.0
        return
    write_q_parts(
        plan.tables[task, Q_TABLE, :, s], states.masked[task, c], states.visits[task, c],
        value_scale, count_scale, out,
    )  # fmt: skip


@njit(cache=True, borrows=True)
def write_states(where, states, value_scale, count_scale, out):
    """Write the parts of one state per task into out (n_tasks, 2 A + 1)."""
    known, _, plan = open_storage(where)
    state_keys = states.view(np.uint64)
    for i in range(states.shape[0]):
        c = number_of(i, state_keys[i], known.keys, known.hash_table)
        write_state(i, c, value_scale, count_scale, known, plan, out[i])
