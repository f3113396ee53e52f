"""The per-task kernels, run over a batch of tasks.

States come as float64 coordinates, (n_tasks, d); here they become keys, their bit patterns.

The serial driver is the default. The parallel one is compiled only when more than one thread is
asked for: a parallel kernel that ran in a process makes forking it unsafe.
"""

import os
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from numba import njit, prange

from vamdp.estimators.grouping import LIVING, _find
from vamdp.estimators.model_based.learned_model import _learn, _plan, _set_mask
from vamdp.estimators.model_based.options import TASK_HORIZON, TOLERANCE
from vamdp.estimators.model_based.storage import CHANGED, N_CONCRETE, N_STATES, N_TRIPLES, Q_TABLE

MOST_THREADS: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined] # set at import
IMPORTING_PROCESS = os.getpid()


def _learn_each(
    states, actions, rewards, next_states, terminated, allowed, plans,
    sizes, tables, row_counts, V, members, absorbing, blocked, triples, triple_values,
    keys, ids, visits, masked, hash_table, history, options,
):  # fmt: skip
    """One transition of each task: the body of the serial and of the parallel driver.

    Returns whether there was room; if not, nothing is done.
    """
    state_keys, next_keys = states.view(np.uint64), next_states.view(np.uint64)
    for i in range(actions.size):
        # A transition adds at most two concrete and two abstract states, and one triple.
        free = V.shape[1] - max(sizes[i, N_STATES], sizes[i, N_CONCRETE])
        if free < 2 or sizes[i, N_TRIPLES] == triples.shape[2]:
            return False
    for i in prange(actions.size):
        _learn(
            i, state_keys[i], actions[i], rewards[i], next_keys[i], terminated[i], allowed[i],
            plans, sizes, tables, row_counts, V, members, absorbing, blocked, triples,
            triple_values, keys, ids, visits, masked, hash_table, history, options,
        )  # fmt: skip
    return True


def _plan_each(
    sizes, tables, row_counts, V, members, absorbing, blocked, triples, triple_values,
    keys, ids, visits, masked, hash_table, history, options,
):  # fmt: skip
    """Plan for each task that has changed since it was planned for; without warm start."""
    for i in prange(sizes.shape[0]):
        if sizes[i, CHANGED] != 0:
            _plan(
                i, True, sizes, tables, row_counts, V, blocked, triples, triple_values, history,
                np.int64(options[TASK_HORIZON]), options[TOLERANCE],
            )  # fmt: skip


_learn_serially = njit(cache=True)(_learn_each)
_plan_serially = njit(cache=True)(_plan_each)


@cache
def _in_parallel(kernel: Callable[..., Any]) -> Callable[..., Any]:
    # Not cached on disk: numba would take it for the serial driver, whose name and source are one.
    compiled: Callable[..., Any] = njit(parallel=True)(kernel)
    return compiled


def drivers(threads: int) -> tuple[Callable[..., bool], Callable[..., None]]:
    """The compiled `_learn_each` and `_plan_each` for so many threads.

    In a forked process they are the serial ones.
    """
    # A forked process lacks the parent's threads, and the OpenMP runtime would abort it.
    if threads == 1 or os.getpid() != IMPORTING_PROCESS:
        return _learn_serially, _plan_serially
    numba.set_num_threads(threads)
    return _in_parallel(_learn_each), _in_parallel(_plan_each)


@njit(cache=True)
def _set_masks(states, allowed, applies, sizes, blocked, keys, ids, visits, masked, hash_table):
    """Note each task's mask; returns whether there was room, as `_learn_each`."""
    for i in range(states.shape[0]):
        if sizes[i, N_CONCRETE] == keys.shape[1]:
            return False
    state_keys = states.view(np.uint64)
    for i in range(states.shape[0]):
        if applies[i]:
            _set_mask(
                i, state_keys[i], allowed[i], sizes, blocked, keys, ids, visits, masked, hash_table
            )
    return True


@njit(cache=True)
def _describe(states, tables, keys, ids, visits, masked, hash_table, Q_rows, counts, allowed):
    """The Q row, counts and allowed actions of one state per task; zeros where it is unknown."""
    state_keys = states.view(np.uint64)
    for i in range(states.shape[0]):
        c = np.int64(hash_table[i, _find(i, state_keys[i], keys, hash_table)]) - 1
        s = ids[i, c, LIVING] if c >= 0 else -1
        for a in range(Q_rows.shape[1]):
            Q_rows[i, a] = tables[i, Q_TABLE, a, s] if s >= 0 else 0.0
            counts[i, a] = visits[i, c, a] if c >= 0 else 0
            allowed[i, a] = c < 0 or not masked[i, c, a]


@njit(cache=True, inline="always")
def _write_row(i, c, tables, ids, visits, masked, value_scale, count_scale, start, out):
    """Advantages, value and counts of concrete state c of task i (-1: unknown) into out[i]."""
    n_actions = visits.shape[2]
    s = ids[i, c, LIVING] if c >= 0 else -1
    best, worst = -np.inf, np.inf
    for a in range(n_actions):
        if s >= 0 and not masked[i, c, a]:
            best = max(best, tables[i, Q_TABLE, a, s])
            worst = min(worst, tables[i, Q_TABLE, a, s])
    if s < 0:
        best = worst = 0.0
    out[i, start + n_actions] = best / value_scale
    for a in range(n_actions):
        # A masked action reads as the worst allowed one.
        hidden = s < 0 or masked[i, c, a]
        out[i, start + a] = ((worst if hidden else tables[i, Q_TABLE, a, s]) - best) / value_scale
        n = visits[i, c, a] if c >= 0 else 0
        out[i, start + n_actions + 1 + a] = n / count_scale


@njit(cache=True)
def _write_features(
    states, tables, keys, ids, visits, masked, hash_table, value_scale, count_scale, start, out
):
    """Advantages, value and counts of one state per task into out[:, start : start + 2 A + 1]."""
    state_keys = states.view(np.uint64)
    for i in range(states.shape[0]):
        c = np.int64(hash_table[i, _find(i, state_keys[i], keys, hash_table)]) - 1
        _write_row(i, c, tables, ids, visits, masked, value_scale, count_scale, start, out)


@njit(cache=True)
def _learn_and_show(
    states, actions, rewards, next_states, terminated, allowed,
    shown, value_scale, count_scale, start, out,
    sizes, tables, row_counts, V, members, absorbing, blocked, triples, triple_values,
    keys, ids, visits, masked, hash_table, history, options,
):  # fmt: skip
    """A wrapper's step in one call: learn, then write the features of the states `shown`."""
    if not _learn_serially(
        states, actions, rewards, next_states, terminated, allowed, True,
        sizes, tables, row_counts, V, members, absorbing, blocked, triples, triple_values,
        keys, ids, visits, masked, hash_table, history, options,
    ):  # fmt: skip
        return False
    _write_features(
        shown, tables, keys, ids, visits, masked, hash_table, value_scale, count_scale, start, out
    )
    return True
