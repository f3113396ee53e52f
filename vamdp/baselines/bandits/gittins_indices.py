"""Gittins indices of Bernoulli arms whose p is drawn from U(0, 1).

An arm pulled n times with s successes has p ~ Beta(s + 1, n - s + 1), so it pays next time with
probability m = (s + 1) / (n + 2). Its index is the fair price of a pull: the lambda at which one is
indifferent between leaving the arm and paying lambda for each pull, with the right to stop at any
time (Gittins, Glazebrook and Weber, Multi-armed Bandit Allocation Indices, 2nd edition, 2011). With
g(n, s) the worth of paying for one more pull and then doing the best,

    g(n, s)  =  m - lambda + gamma (m G(n + 1, s + 1) + (1 - m) G(n + 1, s)),     G = max(g, 0),

the index is the root of g in lambda. Two kinds:

- *finite horizon*: gamma = 1, and the last pull, with one step left, has g = m - lambda;
- *discounted*: gamma < 1 and pulls without end. Far beyond the pulls that are asked for the arm
  counts as known, g = (m - lambda) / (1 - gamma). That p is still uncertain there, after 1 / (1 -
  gamma) pulls or more, would add at most gamma^L / (4 sqrt(1 - gamma)) to any g that is L pulls
  away: half the mean absolute deviation of p, discounted. L makes this at most 1e-5.

g is solved for on the grid lambda = 0, 1/M, ..., 1 at once, one backward pass for all states. That
is exact but for rounding. Between the two points that enclose the root the index comes from a
straight line. It is drawn for G(n + 1, s + 1) alone, which ends at that state's own index:
G(n + 1, s) is 0 at the root, as a failure makes the index smaller. G is convex, so the line errs
upwards, by less than 1/M in any case; at a horizon of 500 by 2e-5 in the mean and 1.3e-4 at most
(against M = 16384).

What makes it fast: only a few lambdas need work in any state. Where lambda is at or above the
index, G = 0. Where lambda is so small that one would hardly ever stop, G = w (m - lambda), with w
the discounted number of pulls left: m is the mean of all later m. Between the two lies a band that
shrinks as 1 / sqrt(n). The right to stop is neglected where it is worth less than 1e-10.
"""

import math

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import as_number, check_positive_integer
from vamdp.compiled import njit

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

M = 1024  # steps of the grid of lambdas; a power of 2, so that j * STEP is exact
STEP = 1 / M
NEGLIGIBLE = 1e-10  # worth of the right to stop that counts as nothing
KNOWN_ARM_ERROR = 1e-5  # how far an arm that counts as known may move an index
MOST_PULLS = 5000  # of a square of indices: 200 MB
MOST_STEPS = 1000  # of a table: 16 seconds and 670 MB
MOST_LEVELS = 30_000  # pulls of one arm: 20 seconds and 250 MB, for gamma = 0.9995


def finite_horizon_gittins_indices(horizon: int) -> FloatArray:
    """Return the indices of an arm that could get all of `horizon` pulls.

    Args:
        horizon: Steps in all, from 1 to 5000.

    Returns:
        Shape (horizon, horizon), by successes and failures: entry [s, f] belongs to an arm pulled
        s + f times with horizon - s - f steps left. NaN where no step is left.

    Raises:
        ValueError: The horizon is no integer from 1 to 5000.

    Example:
        With one step left the index is the mean. With two, lambda = 5/9 solves
        1/2 - lambda + 1/2 (2/3 - lambda) = 0.

        >>> finite_horizon_gittins_indices(2).round(4)
        array([[0.5556, 0.3333],
               [0.6667,    nan]])
    """
    _check_horizon(horizon)
    indices = np.empty(triangle(horizon))
    _solve(int(horizon) - 1, 1.0, 1.0, *_room(horizon), indices)
    return _by_successes_and_failures(indices, horizon)


def discounted_gittins_indices(gamma: float, horizon: int) -> FloatArray:
    """Return the indices of an arm under discounting.

    Args:
        gamma: The discount, in [0, 1); 0.9995 takes about 20 seconds, 0.999 four.
        horizon: States with fewer pulls than this are asked for, from 1 to 5000.

    Returns:
        Shape (horizon, horizon), by successes and failures; NaN where s + f >= horizon.

    Raises:
        ValueError: gamma is outside [0, 1) or too close to 1 to be solved for, or the horizon is no
            integer from 1 to 5000.

    Example:
        >>> discounted_gittins_indices(0.9, horizon=1).round(4)
        array([[0.7029]])
    """
    _check_horizon(horizon)
    if not 0 <= as_number(gamma) < 1:
        raise ValueError(f"`gamma` must be in [0, 1), got {gamma!r}.")
    beyond = 0
    if gamma > 0:
        beyond = math.ceil(math.log(4 * KNOWN_ARM_ERROR * math.sqrt(1 - gamma)) / math.log(gamma))
    base = int(horizon) + beyond
    if base > MOST_LEVELS:
        raise ValueError(
            f"`gamma` must be smaller, got {gamma!r}: it takes {base} pulls of an arm until later"
            f" ones do not count, and {MOST_LEVELS} are allowed."
        )
    indices = np.empty(triangle(horizon))
    _solve(base, 1 / (1 - gamma), float(gamma), *_room(base + 1), indices)
    return _by_successes_and_failures(indices, horizon)


@njit(cache=True)
def triangle(n):
    """States with fewer than n pulls; so state (n, s) is number `triangle(n) + s`."""
    return n * (n + 1) // 2


@njit(cache=True)
def pyramid(horizon):
    """States of all shorter horizons, where the indices of this one begin in a table of all."""
    return (horizon - 1) * horizon * (horizon + 1) // 6


def finite_horizon_table(horizon: int) -> npt.NDArray[np.float32]:
    """Return the indices for all numbers of steps left, packed.

    Entry `pyramid(n + left) + triangle(n) + s` belongs to an arm pulled n times with s successes,
    and `left` steps to go; n + left is at most the horizon. It takes 2 s and 84 MB at a horizon of
    500; both grow with its cube.

    Raises:
        ValueError: The horizon is no integer from 1 to 1000.
    """
    check_positive_integer("horizon", horizon)
    if horizon > MOST_STEPS:
        raise ValueError(
            f"`horizon` must be at most {MOST_STEPS}, got {horizon}: its indices would take"
            f" {4 * pyramid(horizon + 1) / 2**30:.3g} GiB. Discounted indices need no such table."
        )
    table = np.empty(pyramid(horizon + 1), np.float32)
    _solve_all(int(horizon), *_room(horizon), table)
    return table


def _check_horizon(horizon: int) -> None:
    check_positive_integer("horizon", horizon)
    if horizon > MOST_PULLS:
        raise ValueError(f"`horizon` must be at most {MOST_PULLS}, got {horizon}.")


def _room(n_rows: int) -> tuple[FloatArray, IntArray, IntArray, FloatArray]:
    """Room for G, low, high and index of `_solve`, for so many values of s."""
    low, high = np.empty((2, n_rows), np.int64)
    return np.empty((n_rows, M + 2)), low, high, np.empty(n_rows)


def _by_successes_and_failures(indices: FloatArray, n: int) -> FloatArray:
    """Packed indices of the states with fewer than n pulls as a square [s, f]."""
    s, f = np.indices((n, n))
    inside = s + f < n
    square = np.full((n, n), np.nan)
    square[inside] = indices[triangle(s + f)[inside] + s[inside]]
    return square


@njit(cache=True)
def _solve(base, w, gamma, G, low, high, index, indices):
    """Write the indices of as many states as fit into `indices`, packed by `triangle`.

    At level n = base, g = w (m - lambda): with one step left, or where the arm counts as known. At
    the levels below w is 1 + gamma w.

    G[s] is the row of state s over the grid's lambdas, of the level last done. Only the band low[s]
    <= j < high[s] is stored: below it G is w (m - lambda), from its end on 0.
    """
    for s in range(base + 1):
        m = (s + 1) / (base + 2)
        low[s] = high[s] = math.ceil(m * M)  # the first lambda >= m
        if triangle(base) + s < indices.size:
            indices[triangle(base) + s] = m
        index[s] = m
    for n in range(base - 1, -1, -1):
        for s in range(n + 1):
            _step(n, s, w, gamma, G, low, high, index)
            if triangle(n) + s < indices.size:
                indices[triangle(n) + s] = index[s]
        w = 1.0 + gamma * w


@njit(cache=True)
def _solve_all(horizon, G, low, high, index, table):
    """`finite_horizon_table`: one triangle for each horizon."""
    for shorter in range(1, horizon + 1):
        indices = table[pyramid(shorter) : pyramid(shorter + 1)]
        _solve(shorter - 1, 1.0, 1.0, G, low, high, index, indices)


@njit(cache=True)
def _step(n, s, w, gamma, G, low, high, index):
    """Turn row s from level n + 1 to level n, and return the index of state (n, s).

    Rows s (a failure) and s + 1 (a success) are at level n + 1, where w is the pulls' number. The
    index is at most that of a success, so no lambda beyond the first with G = 0 there is needed.
    """
    lo = min(low[s], low[s + 1])
    hi = max(high[s], high[s + 1]) + 1
    for row in range(s, s + 2):  # both rows for all of lo <= j < hi
        m = (row + 1) / (n + 3)
        for j in range(lo, low[row]):
            G[row, j] = w * (m - j * STEP)
        for j in range(high[row], hi):
            G[row, j] = 0.0
    m = (s + 1) / (n + 2)
    success, row = G[s + 1], G[s]
    up, down = gamma * m, gamma * (1.0 - m)
    for j in range(np.uint64(lo), np.uint64(hi)):  # signed it takes half as long again
        row[j] = (m - j * STEP) + (up * success[j] + down * row[j])
    w_next, w = w, 1.0 + gamma * w
    k = hi - 1  # of the first lambda with g <= 0
    while k > lo and row[k - 1] <= 0.0:
        k -= 1
    first = lo  # of the first lambda that makes one stop at times
    while first < k and row[first] - w * (m - first * STEP) <= NEGLIGIBLE:
        first += 1
    low[s], high[s] = first, k
    left, right, G_right = (k - 1) * STEP, k * STEP, success[k]
    G_left = success[k - 1] if k > lo else w_next * ((s + 2) / (n + 3) - left)
    if index[s + 1] < right:
        right, G_right = index[s + 1], 0.0
    g_left, g_right = m - left + up * G_left, m - right + up * G_right
    index[s] = left + (right - left) * g_left / (g_left - g_right)
