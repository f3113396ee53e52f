"""Pack the rows of a model into one stream that a sweep of value iteration reads once, in order.

Until value iteration stops, a sweep needs only V, the maxima of Q. For every row it adds up

    base + spread * sum of V + weight_1 V[successor_1] + ... + weight_t V[successor_t]

in a register, and keeps the result if it is the state's largest so far. The stream holds, row after
row, the words

    base, spread, state and successor_t, weight_1, successor_1, ..., weight_t

of eight bytes each. States and successors are integers. The state and the last successor share one
word, because loads dominate the time of a sweep. Rows with the same number of successors are stored
together, so that the processor predicts where each ends. Most actions of a learned model are
untried or have led to one successor. Rows of a state without successors are mostly equal, so one of
them represents all: the state's `floor`, the value its maximum starts from.

The terms of a row are added in the order of its triples, as in `bellman.backup`, so both give the
same bits.
"""

import numpy as np

from vamdp.compiled import njit

# Unsigned like all positions here: numba tests signed positions for negative indices.
_1, _2, _3, _4 = (np.uint64(n) for n in range(1, 5))
# Words of a row besides its successors, and words per successor. The last successor takes one.
HEAD, PAIR = 3, 2
# Position of the last successor in its word, and the bits of the state in the same word.
_SHIFT, _STATE = np.uint64(32), np.uint64(2**32 - 1)

# Rows of `floor`.
FLOOR_BASE, FLOOR_SPREAD = range(2)
# Rows of `places`: position of the row's words, number of successors, successors still to write.
PLACE, LENGTH, _LEFT = range(3)
N_PLACES = 3
# The position of rows that the floor represents.
_NOWHERE = np.uint32(2**32 - 1)


@njit(cache=True, borrows=True)
def pack_rows(
    base, spread, row, successor, weight, blocked, any_blocked, n_states, n_triples,
    packed, numbers, n_rows, floor, places,
):  # fmt: skip
    """Write all rows; returns the largest number of successors of a row.

    The arguments describe a model as in `bellman.iterate`. V leaves blocked rows out, so they are
    assigned to an extra state, number `capacity`. Writes `packed` (3 A S + 2 n_triples,), of which
    `numbers` is a view as integers; `n_rows` (S + 1,), the number of packed rows of each length;
    `floor` (2, S); `places` (N_PLACES, A capacity).
    """
    n_actions, capacity = base.shape
    for a in range(n_actions):
        for s in range(n_states):
            places[LENGTH, a * capacity + s] = 0
    for k in range(n_triples):
        places[LENGTH, row[k]] += 1
    most = _sort_rows(base, spread, blocked, any_blocked, n_states, n_rows, floor, places)
    _lay_out(base, spread, blocked, any_blocked, n_states, n_rows, places, packed, numbers)
    # PLACE is the row's cursor while its successors are written.
    for k in range(n_triples):
        r = row[k]
        p = places[PLACE, r]
        packed[p + HEAD] = weight[k]
        places[_LEFT, r] -= 1
        if places[_LEFT, r] > 0:
            numbers[p + HEAD + 1] = successor[k]
            places[PLACE, r] = p + PAIR
        else:  # move back to the row's first word; the last successor goes beside the state
            p -= PAIR * (places[LENGTH, r] - 1)
            numbers[p + 2] |= np.uint64(successor[k]) << _SHIFT
            places[PLACE, r] = p
    return most


@njit(cache=True, borrows=True)
def _sort_rows(base, spread, blocked, any_blocked, n_states, n_rows, floor, places):
    """Count the rows of each length; rows that the floor represents get the place _NOWHERE."""
    n_actions, capacity = base.shape
    most = 0
    n_rows[:] = 0
    floor[FLOOR_BASE, :] = -np.inf
    floor[FLOOR_SPREAD, :] = 0.0
    for a in range(n_actions):
        for s in range(n_states):
            t = places[LENGTH, a * capacity + s]
            places[PLACE, a * capacity + s] = 0
            if t == 0 and not (any_blocked and blocked[a, s]):
                if floor[FLOOR_BASE, s] == -np.inf:
                    floor[FLOOR_BASE, s] = base[a, s]
                    floor[FLOOR_SPREAD, s] = spread[a, s]
                if floor[FLOOR_BASE, s] == base[a, s] and floor[FLOOR_SPREAD, s] == spread[a, s]:
                    places[PLACE, a * capacity + s] = _NOWHERE
                    continue
            n_rows[t] += 1
            most = max(most, t)
    return most


@njit(cache=True)
def _lay_out(base, spread, blocked, any_blocked, n_states, n_rows, places, packed, numbers):
    """Give each row its place, and write the row without its successors."""
    n_actions, capacity = base.shape
    next_row = np.empty(n_rows.size, np.uint32)  # where the next row of this length goes
    p = 0
    for t in range(n_rows.size):
        next_row[t] = p
        p += n_rows[t] * _n_words(t)
    for a in range(n_actions):
        for s in range(n_states):
            r = a * capacity + s
            if places[PLACE, r] == _NOWHERE:
                continue
            p = next_row[places[LENGTH, r]]
            next_row[places[LENGTH, r]] = p + _n_words(places[LENGTH, r])
            places[PLACE, r] = p
            places[_LEFT, r] = places[LENGTH, r]
            packed[p] = base[a, s]
            packed[p + 1] = spread[a, s]
            numbers[p + 2] = capacity if any_blocked and blocked[a, s] else s


@njit(cache=True, inline="always")
def _n_words(length):
    return HEAD + PAIR * length - (1 if length > 0 else 0)


@njit(cache=True, inline="always")
def total_of(Vs, start, n_states):
    """Return the sum of the V that begins at `start`; `start` and `n_states` are unsigned."""
    # Four partial sums: with one, each addition would wait for the previous one.
    sum_0 = sum_1 = sum_2 = sum_3 = 0.0
    stop = start + n_states
    in_fours = stop - n_states % _4
    for s in range(start, in_fours, _4):
        sum_0 += Vs[s]
        sum_1 += Vs[s + _1]
        sum_2 += Vs[s + _2]
        sum_3 += Vs[s + _3]
    for s in range(in_fours, stop):
        sum_0 += Vs[s]
    return (sum_0 + sum_1) + (sum_2 + sum_3)


@njit(cache=True, inline="always")
def sweep_rows(packed, numbers, n_rows, most, floor, n_states, total, Vs, now, new):
    """One sweep: reads V at Vs[now:], whose sum is `total`, and writes the new V at Vs[new:]."""
    for s in range(n_states):
        Vs[new + s] = floor[FLOOR_BASE, s] + floor[FLOOR_SPREAD, s] * total
    p = np.uint64(0)
    for _ in range(n_rows[0]):
        q = packed[p] + packed[p + _1] * total
        to = new + numbers[p + _2]
        Vs[to] = q if q > Vs[to] else Vs[to]
        p += _3
    for _ in range(n_rows[1]):
        ends = numbers[p + _2]
        q = packed[p] + packed[p + _1] * total + packed[p + _3] * Vs[now + (ends >> _SHIFT)]
        to = new + (ends & _STATE)
        Vs[to] = q if q > Vs[to] else Vs[to]
        p += _4
    for t in range(2, most + 1):
        for _ in range(n_rows[t]):
            q = packed[p] + packed[p + _1] * total
            ends = numbers[p + _2]
            to = new + (ends & _STATE)
            p += _3
            for _ in range(t - 1):
                q += packed[p] * Vs[now + numbers[p + _1]]
                p += _2
            q += packed[p] * Vs[now + (ends >> _SHIFT)]
            p += _1
            Vs[to] = q if q > Vs[to] else Vs[to]


@njit(cache=True, inline="always")
def row_value(packed, numbers, place, length, base, spread, total, Vs, now):
    """Return Q of one row, added up as in a sweep that reads V at Vs[now:]."""
    q = base + spread * total
    if length > 0:
        p = np.uint64(place) + _3
        for _ in range(length - 1):
            q += packed[p] * Vs[now + numbers[p + _1]]
            p += _2
        q += packed[p] * Vs[now + (numbers[np.uint64(place) + _2] >> _SHIFT)]
    return q
