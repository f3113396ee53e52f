"""Map concrete states to the abstract states of the learned model.

An *abstract state* is either a single concrete state (no abstraction) or a cluster of up to
``cluster_size`` neighbours (RL3-coarse). A concrete state has up to two abstract states: its living
one, and its *terminal copy*, the absorbing state that a terminated transition into it reaches. They
are separate because some environments end in states that also occur during play (Blackjack).

Clusters grow greedily: a new state joins the cluster of the nearest known state, among those within
``cluster_radius`` (Manhattan distance) whose cluster is not full. Ties go to the state seen first.
If there is no such state, the new one founds a cluster. (RL3, arXiv 2306.15909, section 5.3.)
"""

import numpy as np

from vamdp.compiled import njit

# Columns of `ids` (capacity, 2), one row per concrete state: its abstract states, or NOWHERE.
LIVING, TERMINAL_COPY = 0, 1
NOWHERE = -1


@njit(cache=True, inline="always")
def nearest_cluster(task, c, n_concrete, keys, ids, members, size, radius):
    """Return the abstract state that concrete state c joins, or NOWHERE."""
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
