"""The Bayes-optimal return: the largest expected total from Bernoulli arms with p ~ U(0, 1).

After n pulls with s successes, the posterior of an arm is Beta(s + 1, n - s + 1), and its next pull
pays with probability m = (s + 1) / (n + 2). Let x hold n and s of all arms after t pulls in all,
and let V(t, x) be the largest expected total of the remaining horizon - t steps. Then

    V(t, x) = max_a  m_a (1 + V(t + 1, x + success of a)) + (1 - m_a) V(t + 1, x + failure of a)

and V(horizon, x) = 0 (Bellman; Berry and Fristedt, Bandit Problems, 1985). The order of the arms
does not matter, so x is a multiset: with k arms, up to k! states become one. Only two levels t are
stored.

Index of a multiset: (n, s) has the number n (n + 1) / 2 + s, so more pulls have higher numbers. A
multiset is the list of its numbers in descending order, c_1 >= ... >= c_k. Let `count[m, n, c]` be
the number of multisets of m arms with n pulls in all and only numbers below c. In lexicographic
order the index is the number of smaller multisets,

    place = sum_i count[k - i + 1, n_i, c_i],     n_i = t - (pulls of arms 1, ..., i - 1).
"""

import math

import numpy as np

from vamdp.argument_checks import check_positive_integer
from vamdp.baselines.bandits.gittins_indices import triangle
from vamdp.compiled import njit

MOST_BYTES = 2**31


def bayes_optimal_return(n_arms: int, horizon: int) -> float:
    """Return the Bayes-optimal expected total reward.

    The time grows with the number of states, about (horizon + 2 n_arms choose 2 n_arms) / n_arms!.
    It is a second for 5 arms and 30 steps, or 2 arms and 200.

    Args:
        n_arms: At least 1.
        horizon: Number of pulls, at least 1.

    Returns:
        The expectation over tasks and rewards.

    Raises:
        ValueError: An argument is not an integer of at least 1, or the states would take more than
            2 GiB.

    Example:
        With two arms, the first pull decides whether to stay (2/3) or to switch (1/2).

        >>> round(bayes_optimal_return(n_arms=2, horizon=2), 6)
        1.083333
    """
    check_positive_integer("n_arms", n_arms)
    check_positive_integer("horizon", horizon)
    k, n_levels = int(n_arms), int(horizon)
    shape = (k + 1, n_levels, triangle(n_levels) + 1)
    n_bytes = 8 * math.prod(shape)
    if n_bytes <= MOST_BYTES:
        n_states = _n_multisets(k, n_levels - 1)
        n_bytes += 2 * 8 * n_states
    if n_bytes > MOST_BYTES:
        raise ValueError(
            f"`horizon` must be smaller for {k} arms, got {horizon}: the states would take at least"
            f" {n_bytes / 2**30:.3g} GiB, and {MOST_BYTES / 2**30:.3g} GiB are allowed."
        )
    count = np.zeros(shape, np.int64)
    _count_multisets(count)
    V, V_next = np.zeros((2, n_states))
    for t in range(n_levels - 1, -1, -1):
        _back_up(t, t == n_levels - 1, count, V_next, V)
        V, V_next = V_next, V
    return float(V_next[0])


def _n_multisets(k: int, n: int) -> int:
    """Return the number of multisets of k arms with n pulls in all, as an unbounded Python int."""
    # (arms, pulls in all) -> number of multisets of arms with fewer than `pulls` pulls each
    found = {(0, 0): 1}
    for pulls in range(n + 1):
        for (arms, total), ways in list(found.items()):
            for more in range(1, k - arms + 1):
                after = (arms + more, total + more * pulls)
                if after[1] > n:
                    break
                # `more` of the pulls + 1 states, with repetition
                found[after] = found.get(after, 0) + ways * math.comb(pulls + more, more)
    return found.get((k, n), 0)


@njit(cache=True)
def _count_multisets(count):
    """Fill `count[m, n, c]`, defined in the module docstring; zeros on entry."""
    n_arms, n_levels = count.shape[:2]
    count[0, 0, :] = 1
    for m in range(1, n_arms):
        for pulls in range(n_levels):
            for c in range(triangle(pulls), triangle(pulls + 1)):
                # Numbers below c + 1: all are below c, or the highest is c.
                for n in range(n_levels):
                    highest = count[m - 1, n - pulls, c + 1] if n >= pulls else 0
                    count[m, n, c + 1] = count[m, n, c] + highest


@njit(cache=True)
def _back_up(t, is_last, count, V_next, V):
    """Write V(t, x) of all multisets x in order; V_next holds V(t + 1, x), unused if `is_last`."""
    k = count.shape[0] - 1
    c, pulls = np.zeros((2, k), np.int64)
    _smallest(0, t, c, pulls)
    place, more = 0, True
    while more:
        best = 0.0
        for i in range(k):
            if i > 0 and c[i] == c[i - 1]:
                continue  # an arm in the same state was evaluated already
            s = c[i] - triangle(pulls[i])
            m = (s + 1) / (pulls[i] + 2)
            value = m
            if not is_last:
                failure = triangle(pulls[i] + 1) + s
                won = V_next[_place_after(i, failure + 1, t, c, pulls, count)]
                lost = V_next[_place_after(i, failure, t, c, pulls, count)]
                value += m * won + (1.0 - m) * lost
            best = max(best, value)
        V[place] = best
        place += 1
        more = _to_next(t, c, pulls)


@njit(cache=True)
def _place_after(i, number, t, c, pulls, count):
    """Return the index at level t + 1 after arm i gets a higher number."""
    k = c.size
    to = i  # its new position; the arms from there to i - 1 move back by one
    while to > 0 and c[to - 1] < number:
        to -= 1
    place, n = 0, t + 1
    for j in range(k):
        if j == to:
            place += count[k - j, n, number]
            n -= pulls[i] + 1
        else:
            arm = j - 1 if to < j <= i else j
            place += count[k - j, n, c[arm]]
            n -= pulls[arm]
    return place


@njit(cache=True)
def _smallest(i, n, c, pulls):
    """Give arms i, ..., k - 1 the lexicographically smallest numbers with n pulls in all.

    The pulls are spread evenly, and all are failures.
    """
    for j in range(i, c.size):
        left = c.size - j
        pulls[j] = (n + left - 1) // left
        c[j] = triangle(pulls[j])
        n -= pulls[j]


@njit(cache=True)
def _to_next(t, c, pulls):
    """Advance to the next multiset with t pulls in lexicographic order; False at the last."""
    n = 0  # pulls of arms i, ..., k - 1
    for i in range(c.size - 1, -1, -1):
        n += pulls[i]
        number = c[i] + 1
        needed = pulls[i] + (number == triangle(pulls[i] + 1))
        in_order = i == 0 or number <= c[i - 1]
        # The last arm must take all remaining pulls; others may take fewer.
        if in_order and (needed <= n if i < c.size - 1 else needed == n):
            c[i], pulls[i] = number, needed
            _smallest(i + 1, n - needed, c, pulls)
            return True
    return False
