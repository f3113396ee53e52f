"""Gittins indices of Bernoulli arms whose p is drawn from U(0, 1).

An arm pulled n times with s successes has p ~ Beta(s + 1, n - s + 1), so its next pull pays with
probability m = (s + 1) / (n + 2). Its index is the fair price of a pull: the lambda at which a
player is indifferent between leaving the arm and paying lambda per pull, with the right to stop at
any time (Gittins, Glazebrook and Weber, Multi-armed Bandit Allocation Indices, 2nd edition, 2011).
Let g(n, s) be the value of paying for one more pull and acting optimally afterwards,

    g(n, s)  =  m - lambda + gamma (m G(n + 1, s + 1) + (1 - m) G(n + 1, s)),     G = max(g, 0).

The index is the root of g in lambda. There are two kinds:

- *finite horizon*: gamma = 1, and the last pull, with one step left, has g = m - lambda;
- *discounted*: gamma < 1 and infinitely many pulls. L pulls beyond the last state requested, p
  counts as known: g = (m - lambda) / (1 - gamma). The remaining uncertainty of p, after 1 / (1 -
  gamma) pulls or more, would add at most gamma^L / (4 sqrt(1 - gamma)) to a g that is L pulls
  earlier: half the mean absolute deviation of p, discounted. L is chosen to make this at most 1e-5.

One backward pass over all states solves for g on the whole grid lambda = 0, 1/M, ..., 1; this is
exact up to rounding. The root lies between two grid points, and the index is found there by linear
interpolation. Only G(n + 1, s + 1) is interpolated, down to 0 at that state's own index. G(n + 1,
s) is 0 at the root, because a failure lowers the index. G is convex, so the error is upwards and
below 1/M; at a horizon of 500 it is 2e-5 on average and 1.3e-4 at most (compared with M = 16384).

The pass is fast because each state needs work at only a few lambdas. If lambda is at or above the
index, G = 0. If lambda is so small that stopping is almost never optimal, G = w (m - lambda), where
w is the discounted number of pulls left, because m is the mean of all later m. The band between
the two shrinks as 1 / sqrt(n). The right to stop is neglected where it is worth less than 1e-10.
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
NEGLIGIBLE = 1e-10  # a right to stop that is worth less counts as worthless
KNOWN_ARM_ERROR = 1e-5  # largest error from treating an arm as known
MOST_PULLS = 5000  # limit of a square of indices: 200 MB
MOST_STEPS = 1000  # limit of a table: 16 seconds and 670 MB
MOST_LEVELS = 30_000  # limit of pulls of one arm: 20 seconds and 250 MB, for gamma = 0.9995


def finite_horizon_gittins_indices(horizon: int) -> FloatArray:
    """Return the indices of an arm within a budget of `horizon` pulls.

    Args:
        horizon: Number of steps, from 1 to 5000.

    Returns:
        Shape (horizon, horizon), by successes and failures: entry [s, f] is for an arm pulled s + f
        times with horizon - s - f steps left. NaN where no step is left.

    Raises:
        ValueError: The horizon is not an integer from 1 to 5000.

    Example:
        With one step left, the index is the mean. With two, lambda = 5/9 solves
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
        gamma: Discount factor, in [0, 1). 0.9995 takes about 20 seconds, 0.999 takes four.
        horizon: Return the states with fewer pulls than this, from 1 to 5000.

    Returns:
        Shape (horizon, horizon), by successes and failures; NaN where s + f >= horizon.

    Raises:
        ValueError: gamma is outside [0, 1) or too close to 1, or the horizon is not an integer from
            1 to 5000.

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
            f"`gamma` must be smaller, got {gamma!r}: it needs {base} pulls per arm before later"
            f" ones are negligible, and at most {MOST_LEVELS} are allowed."
        )
    indices = np.empty(triangle(horizon))
    _solve(base, 1 / (1 - gamma), float(gamma), *_room(base + 1), indices)
    return _by_successes_and_failures(indices, horizon)


@njit(cache=True)
def triangle(n):
    """Return the number of states with fewer than n pulls; (n, s) has number `triangle(n) + s`."""
    return n * (n + 1) // 2


@njit(cache=True)
def pyramid(horizon):
    """Return the number of states of all shorter horizons, the offset of this one in a table."""
    return (horizon - 1) * horizon * (horizon + 1) // 6


def finite_horizon_table(horizon: int) -> npt.NDArray[np.float32]:
    """Return the indices for every number of steps left, packed.

    Entry `pyramid(n + left) + triangle(n) + s` is for an arm pulled n times with s successes, and
    `left` steps to go; n + left is at most the horizon. The table takes 2 s and 84 MB at a horizon
    of 500; both grow with its cube.

    Raises:
        ValueError: The horizon is not an integer from 1 to 1000.
    """
    check_positive_integer("horizon", horizon)
    if horizon > MOST_STEPS:
        raise ValueError(
            f"`horizon` must be at most {MOST_STEPS}, got {horizon}: its indices would take"
            f" {4 * pyramid(horizon + 1) / 2**30:.3g} GiB. Use discounted indices, which need no"
            " such table."
        )
    table = np.empty(pyramid(horizon + 1), np.float32)
    _solve_all(int(horizon), *_room(horizon), table)
    return table


def _check_horizon(horizon: int) -> None:
    check_positive_integer("horizon", horizon)
    if horizon > MOST_PULLS:
        raise ValueError(f"`horizon` must be at most {MOST_PULLS}, got {horizon}.")


def _room(n_rows: int) -> tuple[FloatArray, IntArray, IntArray, FloatArray]:
    """Allocate G, low, high and index of `_solve` for n_rows values of s."""
    low, high = np.empty((2, n_rows), np.int64)
    return np.empty((n_rows, M + 2)), low, high, np.empty(n_rows)


def _by_successes_and_failures(indices: FloatArray, n: int) -> FloatArray:
    """Unpack the indices of the states with fewer than n pulls into a square [s, f]."""
    s, f = np.indices((n, n))
    inside = s + f < n
    square = np.full((n, n), np.nan)
    square[inside] = indices[triangle(s + f)[inside] + s[inside]]
    return square


@njit(cache=True)
def _solve(base, w, gamma, G, low, high, index, indices):
    """Write the indices of as many states as fit into `indices`, packed by `triangle`.

    At level n = base, g = w (m - lambda): one step is left, or the arm counts as known. Each level
    below sets w to 1 + gamma w.

    G[s] holds the values of state s over the grid of lambdas, at the level processed last. Only the
    band low[s] <= j < high[s] is stored: below it G is w (m - lambda), above it 0.
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
    """Fill a `finite_horizon_table`, one triangle per horizon."""
    for shorter in range(1, horizon + 1):
        indices = table[pyramid(shorter) : pyramid(shorter + 1)]
        _solve(shorter - 1, 1.0, 1.0, G, low, high, index, indices)


@njit(cache=True)
def _step(n, s, w, gamma, G, low, high, index):
    """Turn row s from level n + 1 into level n, and write the index of state (n, s).

    Rows s (a failure) and s + 1 (a success) are at level n + 1, whose discounted number of pulls
    left is w. The index is at most that of a success, so no lambda beyond that row's first G = 0 is
    needed.
    """
    lo = min(low[s], low[s + 1])
    hi = max(high[s], high[s + 1]) + 1
    for row in range(s, s + 2):  # fill both rows for lo <= j < hi
        m = (row + 1) / (n + 3)
        for j in range(lo, low[row]):
            G[row, j] = w * (m - j * STEP)
        for j in range(high[row], hi):
            G[row, j] = 0.0
    m = (s + 1) / (n + 2)
    success, row = G[s + 1], G[s]
    up, down = gamma * m, gamma * (1.0 - m)
    for j in range(np.uint64(lo), np.uint64(hi)):  # signed indices take half as long again
        row[j] = (m - j * STEP) + (up * success[j] + down * row[j])
    w_next, w = w, 1.0 + gamma * w
    k = hi - 1  # becomes the first lambda with g <= 0
    while k > lo and row[k - 1] <= 0.0:
        k -= 1
    first = lo  # becomes the first lambda at which the right to stop has value
    while first < k and row[first] - w * (m - first * STEP) <= NEGLIGIBLE:
        first += 1
    low[s], high[s] = first, k
    left, right, G_right = (k - 1) * STEP, k * STEP, success[k]
    G_left = success[k - 1] if k > lo else w_next * ((s + 2) / (n + 3) - left)
    if index[s + 1] < right:
        right, G_right = index[s + 1], 0.0
    g_left, g_right = m - left + up * G_left, m - right + up * G_right
    index[s] = left + (right - left) * g_left / (g_left - g_right)
