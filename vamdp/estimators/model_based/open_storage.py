"""Pass the storage to compiled code as addresses, and open it there as states, model and plan.

On a small model, passing arguments to a compiled function takes longer than the work of a step:
numba unpacks each of the storage's fifteen arrays, and counts references to each. So one array of
addresses and sizes is passed instead, and the kernel rebuilds the arrays from it. The addresses are
valid only while the storage exists, so whoever holds them must also hold the storage.
"""

import ctypes
from collections import namedtuple
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import carray, config, types  # type: ignore[attr-defined] # it has carray
from numba.extending import intrinsic

from vamdp.compiled import njit
from vamdp.estimators.model_based.storage import (
    N_IDS,
    N_ROW_COUNTS,
    N_SIZES,
    N_TABLES,
    N_TRIPLE_ROWS,
    N_TRIPLE_VALUES,
    Storage,
)
from vamdp.mdp.sweep_history import N_LINES

#: Index of each array's address in `addresses`; the sizes follow.
AT: Any = Storage(*range(len(Storage._fields)))
N_TASKS, N_ACTIONS, N_COORDINATES, CAPACITY, TRIPLE_CAPACITY, DEPTH, N_ENTRIES = range(
    len(Storage._fields), len(Storage._fields) + 7
)

# Groups of the arrays described in `Storage`. States: concrete states and their numbers. Model:
# counts, and what planning reads of them. Plan: Q (a plane of `tables`), V, and recorded sweeps.
States = namedtuple("States", "sizes keys ids visits masked hash_table")
Model = namedtuple(
    "Model", "sizes members absorbing blocked row_counts triples triple_values tables"
)
Plan = namedtuple("Plan", "sizes tables V history")


def addresses(storage: Storage) -> npt.NDArray[np.int64]:
    """Return the addresses of a storage's arrays, and their sizes, shape (N_ENTRIES,)."""
    n_tasks, capacity, n_coordinates = storage.keys.shape
    n_actions, triple_capacity = storage.blocked.shape[1], storage.triples.shape[2]
    sizes = (n_tasks, n_actions, n_coordinates, capacity, triple_capacity, storage.history.shape[2])
    return np.array([*(array.ctypes.data for array in storage), *sizes], np.int64)


@intrinsic  # the caller does not pass the typing context
def pointer(typing_context, address=None):
    """Return an address as the pointer that `carray` takes."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


def _pointer_of_ctypes(address):
    return ctypes.c_void_p(int(address))


if config.DISABLE_JIT:  # type: ignore[attr-defined] # uncompiled, `carray` takes a ctypes pointer
    pointer = _pointer_of_ctypes  # type: ignore[assignment]


@njit(cache=True)
def open_storage(where):
    """Return states, model and plan of all tasks, from their `addresses`."""
    n, n_actions, d = where[N_TASKS], where[N_ACTIONS], where[N_COORDINATES]
    capacity, triple_capacity = where[CAPACITY], where[TRIPLE_CAPACITY]
    sizes = carray(pointer(where[AT.sizes]), (n, N_SIZES), np.int64)
    tables = carray(pointer(where[AT.tables]), (n, N_TABLES, n_actions, capacity), np.float64)
    states = States(
        sizes,
        carray(pointer(where[AT.keys]), (n, capacity, d), np.uint64),
        carray(pointer(where[AT.ids]), (n, capacity, N_IDS), np.int32),
        carray(pointer(where[AT.visits]), (n, capacity, n_actions), np.int32),
        carray(pointer(where[AT.masked]), (n, capacity, n_actions), np.bool_),
        carray(pointer(where[AT.hash_table]), (n, 2 * capacity), np.uint32),
    )
    model = Model(
        sizes,
        carray(pointer(where[AT.members]), (n, capacity), np.int32),
        carray(pointer(where[AT.absorbing]), (n, capacity), np.bool_),
        carray(pointer(where[AT.blocked]), (n, n_actions, capacity), np.bool_),
        carray(pointer(where[AT.row_counts]), (n, N_ROW_COUNTS, n_actions, capacity), np.uint32),
        carray(pointer(where[AT.triples]), (n, N_TRIPLE_ROWS, triple_capacity), np.uint32),
        carray(pointer(where[AT.triple_values]), (n, N_TRIPLE_VALUES, triple_capacity), np.float64),
        tables,
    )
    V = carray(pointer(where[AT.V]), (n, capacity), np.float64)
    history = carray(pointer(where[AT.history]), (n, capacity + N_LINES, where[DEPTH]), np.float64)
    return states, model, Plan(sizes, tables, V, history)
