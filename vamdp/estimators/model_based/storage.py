"""The memory of learned models: one array per quantity, one row per task.

One set of arrays holds a batch of tasks, so that compiled functions take few arguments and read
contiguous memory. All tasks have the same capacity, ``capacity`` states and ``triple_capacity``
transitions; when one task needs more, all get more. Nothing grows with the square of the states.
Tables are action-major, ``[a, s]``.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vamdp.estimators.grouping import NOWHERE
from vamdp.estimators.model_based.unchanged_sweeps import history_depth
from vamdp.estimators.state_numbers import rehash
from vamdp.mdp.sweep_history import N_LINES

# Columns of `sizes`. N_RECORDED: number of recorded sweeps of the last planning that are still
# valid; 0 if more than one row has changed since. CHANGED: the flat row that changed last since the
# last planning, plus one; 0 if Q and V are up to date.
N_SIZES = 7
N_STATES, N_CONCRETE, N_TRIPLES, N_SWEEPS, ANY_BLOCKED, N_RECORDED, CHANGED = range(N_SIZES)
# Planes of `tables` (float64) and of `row_counts` (unsigned), each (A, capacity).
N_TABLES, N_ROW_COUNTS = 3, 2
Q_TABLE, BASE, SPREAD = range(N_TABLES)
COUNT, FIRST_TRIPLE = range(N_ROW_COUNTS)
# Rows of `triples`: flat row, successor, N(s, a, s'), and the next triple of the row. Chains store
# a triple's number plus one, the oldest first; 0 is the end.
N_TRIPLE_ROWS = 4
ROW, SUCCESSOR, SEEN, NEXT = range(N_TRIPLE_ROWS)
# Planes of `triple_values`.
N_TRIPLE_VALUES = 2
WEIGHT, REWARD_SUM = range(N_TRIPLE_VALUES)
# Columns of `ids`.
N_IDS = 2


class Storage(NamedTuple):
    """The learned models of n_tasks tasks.

    Attributes:
        sizes: (n_tasks, 7) numbers of states and triples in use, sweeps of the last planning,
            whether any action is blocked, number of recorded sweeps that are still valid, and the
            row that has changed since.
        tables: (n_tasks, 3, A, capacity) Q, and base and spread for planning.
        row_counts: (n_tasks, 2, A, capacity) N(s, a) and the head of the row's chain of triples.
        V: (n_tasks, capacity) state values.
        members: (n_tasks, capacity) number of concrete states in each abstract state.
        absorbing: (n_tasks, capacity) whether an abstract state is terminal.
        blocked: (n_tasks, A, capacity) actions that every member of an abstract state masks.
        triples: (n_tasks, 4, triple_capacity) the transitions (s, a, s') in order of first visit.
        triple_values: (n_tasks, 2, triple_capacity) the triple's weight in planning,
            gamma N(s,a,s') / (N(s,a) + alpha S), and the sum of its rewards.
        keys: (n_tasks, capacity, d) concrete states, as bit patterns of float64 coordinates.
        ids: (n_tasks, capacity, 2) abstract state and terminal copy of each concrete state.
        visits: (n_tasks, capacity, A) how often each action was taken in a concrete state.
        masked: (n_tasks, capacity, A) actions that a concrete state does not allow.
        hash_table: (n_tasks, 2 capacity) concrete states by key, see `state_numbers`.
        history: (n_tasks, capacity + N_LINES, depth) the recorded sweeps of the last planning, see
            `unchanged_sweeps`. It affects speed but no value, so it is neither saved nor copied
            when the capacity for states grows.
    """

    sizes: npt.NDArray[np.int64]
    tables: npt.NDArray[np.float64]
    row_counts: npt.NDArray[np.uint32]
    V: npt.NDArray[np.float64]
    members: npt.NDArray[np.int32]
    absorbing: npt.NDArray[np.bool_]
    blocked: npt.NDArray[np.bool_]
    triples: npt.NDArray[np.uint32]
    triple_values: npt.NDArray[np.float64]
    keys: npt.NDArray[np.uint64]
    ids: npt.NDArray[np.int32]
    visits: npt.NDArray[np.int32]
    masked: npt.NDArray[np.bool_]
    hash_table: npt.NDArray[np.uint32]
    history: npt.NDArray[np.float64]


def allocate(
    n_tasks: int,
    n_actions: int,
    n_coordinates: int,
    capacity: int,
    triple_capacity: int,
    n_recorded: int,
) -> Storage:
    """Return storage for n_tasks empty models, which records at most n_recorded sweeps.

    `capacity` must be a power of two.
    """
    return Storage(
        sizes=np.zeros((n_tasks, N_SIZES), np.int64),
        tables=np.zeros((n_tasks, N_TABLES, n_actions, capacity)),
        row_counts=np.zeros((n_tasks, N_ROW_COUNTS, n_actions, capacity), np.uint32),
        V=np.zeros((n_tasks, capacity)),
        members=np.zeros((n_tasks, capacity), np.int32),
        absorbing=np.zeros((n_tasks, capacity), np.bool_),
        blocked=np.zeros((n_tasks, n_actions, capacity), np.bool_),
        triples=np.zeros((n_tasks, N_TRIPLE_ROWS, triple_capacity), np.uint32),
        triple_values=np.zeros((n_tasks, N_TRIPLE_VALUES, triple_capacity)),
        keys=np.zeros((n_tasks, capacity, n_coordinates), np.uint64),
        ids=np.full((n_tasks, capacity, N_IDS), NOWHERE, np.int32),
        visits=np.zeros((n_tasks, capacity, n_actions), np.int32),
        masked=np.zeros((n_tasks, capacity, n_actions), np.bool_),
        hash_table=np.zeros((n_tasks, 2 * capacity), np.uint32),
        history=np.zeros((n_tasks, capacity + N_LINES, history_depth(capacity, n_recorded))),
    )


def grow(old: Storage, capacity: int, triple_capacity: int, n_recorded: int) -> Storage:
    """Return the same models with larger capacity; arrays that need not grow are shared."""
    n_tasks, n_actions, old_capacity = old.blocked.shape
    new = allocate(n_tasks, n_actions, old.keys.shape[2], capacity, triple_capacity, n_recorded)
    same = {name: array for name, array in old._asdict().items()
            if array.shape == getattr(new, name).shape}  # fmt: skip
    for name in Storage._fields:
        if name not in same and name not in ("hash_table", "history"):
            source = getattr(old, name)
            getattr(new, name)[tuple(slice(0, n) for n in source.shape)] = source
    new = new._replace(**same)
    if capacity != old_capacity:
        new.sizes[:, N_RECORDED] = 0
        # A flat row is a * capacity + s.
        a, s = np.divmod(new.triples[:, ROW], np.uint32(old_capacity))
        new.triples[:, ROW] = a * np.uint32(capacity) + s
        rehash(new.sizes[:, N_CONCRETE], new.keys, new.hash_table)
    return new
