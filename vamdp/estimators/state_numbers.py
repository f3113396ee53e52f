"""Number the states of each task in order of first visit, with a hash table.

A *concrete state* is a state of the environment: an int, or a tuple of numbers. The hash table uses
open addressing. Its keys are the float64 bit patterns of the coordinates, so that one table serves
ints and floats.

`keys` (n_tasks, capacity, d) holds the states by number. `hash_table` (n_tasks, 2 capacity) holds
the numbers plus one; 0 marks a free slot. Capacities are powers of two.
"""

import numpy as np

from vamdp.compiled import njit

# The finaliser of MurmurHash3 (Austin Appleby, public domain): each input bit affects all bits.
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)


@njit(cache=True, inline="always")
def _slot_of(task, key, keys, hash_table):
    """Return the slot of the task's hash table that holds `key`, or the free slot for it."""
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
    """Return the number of the state with this key; -1 if the state is unknown."""
    return np.int64(hash_table[task, _slot_of(task, key, keys, hash_table)]) - 1


@njit(cache=True, inline="always")
def number_or_next(task, key, n_states, keys, hash_table):
    """Return the number of the state with this key; an unknown state is added as n_states."""
    slot = _slot_of(task, key, keys, hash_table)
    if hash_table[task, slot] == 0:
        hash_table[task, slot] = n_states + 1
        for j in range(key.size):
            keys[task, n_states, j] = key[j]
    return np.int64(hash_table[task, slot]) - 1


@njit(cache=True, borrows=True)
def rehash(n_states, keys, hash_table):
    """Rebuild the hash tables for the first n_states (n_tasks,) keys of each task."""
    for task in range(n_states.size):
        hash_table[task, :] = 0
        for c in range(n_states[task]):
            hash_table[task, _slot_of(task, keys[task, c], keys, hash_table)] = c + 1
