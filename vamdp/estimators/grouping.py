"""From a state to its number, and from there to an abstract state.

A *concrete state* is what the environment shows: an int, or a tuple of numbers. The learner
numbers concrete states in order of first sight, through a hash table. The model that it learns
has *abstract states*: each concrete state's own (no abstraction), or clusters of up to
``cluster_size`` neighbours (RL3-coarse). A concrete state has up to two abstract ones: the one it
lives in and its *terminal copy*, the absorbing state that a terminated transition into it reaches.
The two are apart because some environments end in states that also occur in play (Blackjack).

Clusters grow greedily: a new state joins the cluster of the nearest state already numbered, among
those within ``cluster_radius`` (Manhattan distance) whose cluster is not full; ties go to the state
seen first; with nobody near it founds a cluster. (RL3, arXiv 2306.15909, section 5.3.)

Keys are the coordinates' float64 bit patterns, so that one table serves ints and floats alike.
"""

import numpy as np
from numba import njit

# Columns of `ids` (capacity, 2), one row a concrete state: abstract states, or NOWHERE.
LIVING, TERMINAL_COPY = 0, 1
NOWHERE = -1

# The finaliser of MurmurHash3 (Austin Appleby, public domain): each bit of the input reaches all.
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)


@njit(cache=True, inline="always")
def _find(task, key, keys, hash_table):
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
        known = hash_table[task, slot] - 1  # 0 marks a free slot, so numbers are stored plus one
        same = True
        for i in range(key.size):
            same = same and keys[task, known, i] == key[i]
        if same:
            break
        slot = (slot + np.uint64(1)) & last
    return slot


@njit(cache=True, inline="always")
def _nearest_cluster(task, c, n_concrete, keys, ids, members, size, radius):
    """The abstract state that concrete state c joins, or NOWHERE."""
    coordinates = keys.view(np.float64)
    best, best_distance = NOWHERE, radius
    for other in range(n_concrete):
        home = ids[task, other, LIVING]
        if home == NOWHERE or members[task, home] >= size:
            continue
        distance = 0.0
        for i in range(keys.shape[2]):
            distance += abs(coordinates[task, c, i] - coordinates[task, other, i])
        if distance < best_distance or (best == NOWHERE and distance == best_distance):
            best, best_distance = home, distance
    return best
