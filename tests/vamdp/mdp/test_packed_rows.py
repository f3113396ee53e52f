"""A sweep over packed rows is a Bellman backup and its maxima, to the last bit."""

import numpy as np
import pytest

from vamdp.mdp.bellman import backup, maximise
from vamdp.mdp.packed_rows import (
    LENGTH,
    N_PLACES,
    PLACE,
    pack_rows,
    row_value,
    sweep_rows,
    total_of,
)

A, CAPACITY, S = 3, 8, 6


def model(seed, with_masks):
    """Rows with 0 to 3 successors in mixed order, some of those without alike, some not."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(A, CAPACITY))
    spread = rng.random((A, CAPACITY)) * 0.1
    lengths = rng.integers(0, 4, (A, CAPACITY))
    lengths[:, 0] = 0
    base[:, 1], spread[:, 1], lengths[:, 1] = 0.5, 0.01, [0, 2, 0]
    base[:, 2], lengths[:, 2] = 0.25, 0  # alike but for the spread: none stands for another
    rows = [a * CAPACITY + s for a in range(A) for s in range(S) for _ in range(lengths[a, s])]
    row = rng.permutation(rows).astype(np.uint32)
    blocked = rng.random((A, CAPACITY)) < 0.3
    blocked[rng.integers(A, size=CAPACITY), np.arange(CAPACITY)] = False
    triples = (row, rng.integers(0, S, row.size).astype(np.uint32), rng.normal(size=row.size))
    return base, spread, *triples, blocked & with_masks


@pytest.mark.parametrize("with_masks", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_a_sweep_equals_a_backup_and_its_maxima_to_the_last_bit(seed, with_masks):
    base, spread, row, successor, weight, blocked = model(seed, with_masks)
    n_triples = row.size
    packed, n_rows = np.empty(3 * A * S + 2 * n_triples), np.empty(S + 1, np.uint32)
    numbers, floor = packed.view(np.uint64), np.empty((2, S))
    places = np.empty((N_PLACES, A * CAPACITY), np.uint32)
    most = pack_rows(
        base, spread, row, successor, weight, blocked, with_masks, S, n_triples,
        packed, numbers, n_rows, floor, places,
    )  # fmt: skip
    Vs = np.zeros(3 * (CAPACITY + 1))
    now, new = np.uint64(CAPACITY + 1), np.uint64(2 * (CAPACITY + 1))
    V = np.random.default_rng(seed + 100).normal(size=CAPACITY)
    Vs[now : now + CAPACITY] = V
    total = total_of(Vs, now, np.uint64(S))
    sweep_rows(packed, numbers, n_rows, most, floor, np.uint64(S), total, Vs, now, new)

    Q, new_V = np.zeros((A, CAPACITY)), np.zeros(CAPACITY)
    backup(base, spread, row, successor, weight, S, n_triples, V, Q)
    maximise(Q, blocked, with_masks, S, new_V)
    np.testing.assert_array_equal(Vs[new : new + np.uint64(S)], new_V[:S])
    for r in (a * CAPACITY + s for a in range(A) for s in range(S)):
        b, p, n = base.flat[r], spread.flat[r], places[LENGTH, r]
        assert row_value(packed, numbers, places[PLACE, r], n, b, p, total, Vs, now) == Q.flat[r]
