"""From a state to its number: where every tabular learner begins.

A *concrete state* is what the environment shows: an int, or a tuple of numbers. Each task numbers
its concrete states in order of first sight, through a hash table with open addressing. Keys are the
coordinates' float64 bit patterns, so that one table serves ints and floats alike.

`keys` (n_tasks, capacity, d) holds the states by number, `hash_table` (n_tasks, 2 capacity) the
numbers plus one; 0 marks a free slot. Capacities are powers of two.
"""

import numpy as np

from vamdp.compiled import njit

# The finaliser of MurmurHash3 (Austin Appleby, public domain): each bit of the input reaches all.
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)


@njit(cache=True, inline="always")
def _slot_of(task, key, keys, hash_table):
    """The slot of the task's hash table that holds `key`, or the free one where it belongs."""
    h = np.uint64(0)
    for i in range(key.size):
        h ^= key[i]
        h ^= h >> _SHIFT
        h *= _MIX_1
        h ^= h >> _SHIFT
        h *= _MIX_2
        h ^= h >> _SHIFT
    last = np.uint64(hash_table.shape[1] - 1)  # the size is a power of two
    slot = h & last
    while hash_table[task, slot] != 0:
        known = hash_table[task, slot] - 1
        same = True
        for i in range(key.size):
            same = same and keys[task, known, i] == key[i]
        if same:
            break
        slot = (slot + np.uint64(1)) & last
    return slot


@njit(cache=True, inline="always")
def number_of(task, key, keys, hash_table):
    """The number of the state with this key; -1 if it was never seen."""
    return np.int64(hash_table[task, _slot_of(task, key, keys, hash_table)]) - 1


@njit(cache=True, inline="always")
def number_or_next(task, key, n_states, keys, hash_table):
    """The number of the state with this key; the next one, n_states, if it was never seen."""
    slot = _slot_of(task, key, keys, hash_table)
    if hash_table[task, slot] == 0:
        hash_table[task, slot] = n_states + 1
        for j in range(key.size):
            keys[task, n_states, j] = key[j]
    return np.int64(hash_table[task, slot]) - 1


@njit(cache=True)
def rehash(n_states, keys, hash_table):
    """Write hash tables anew for the first n_states (n_tasks,) keys of each task."""
    for task in range(n_states.size):
        hash_table[task, :] = 0
        for c in range(n_states[task]):
            hash_table[task, _slot_of(task, keys[task, c], keys, hash_table)] = c + 1
