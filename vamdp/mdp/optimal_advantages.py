"""Optimal advantages of a known task that is played forever with restarts.

The problem. A task is played without end: when an episode terminates or is cut by its time limit,
the next step begins from the start distribution. Rewards are discounted by gamma at every step,
including the steps across restarts. With k steps left until the limit, and C the mean of
`V(limit, s)` over the start distribution,

    Q(k, s, a) = sum_j probability[j] (reward[j] + gamma next),   where next is
    C if outcome j ends or k = 1,  else V(k - 1, successor[j]);        V(k, s) = max_a Q(k, s, a),

where the sum is over the outcomes j of row `s*A + a`. Without a limit there is no k. The results
are the advantages `A = Q - V <= 0`.

The solution. Subtracting C from every value leaves A unchanged. With `h = V - C` and the gain per
step `g = (1 - gamma) C`,

    h(k, s) = max_a sum_j probability[j] (reward[j] - g + gamma next'),  next' = 0 at a restart,

and g is the number for which the mean of h over the start states is 0. This is a single episode in
which every step costs g, so g is the only unknown. A policy whose episode has discounted reward R
and discounted length N is worth `R - g N`. The best policy's worth is a maximum of such lines, so
it is convex and falls in g. Newton's method, `g <- R / N` of the best policy for the current g,
reaches the root in a few rounds (Dinkelbach, On nonlinear fractional programming, 1967).

The equation for h also holds for gamma = 1: g is then the largest mean reward per step, and A is
the limit of the discounted advantages. This case needs a time limit, because episodes might never
end otherwise.

h and g contain the same information as V: `(1 - gamma) V = g + (1 - gamma) h`. Stored separately,
they exist for gamma = 1 as well, and h (the worth of a state relative to a fresh start) keeps its
precision when gamma is near 1 and C is large.

With a limit, a round is one backward induction. Without one, it is policy iteration (Howard, 1960):
R and N of a policy solve `(I - gamma P) x = b`. The matrix is diagonally dominant, so Gaussian
elimination needs no pivoting. It fills in only between the first and last entry of a row: a grid,
whose moves lead to nearby state numbers, costs S times its width squared.

Gains and relative values, for gamma = 1: Puterman, Markov Decision Processes, 1994, chapter 8.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import check_discount, check_positive_integer
from vamdp.compiled import njit
from vamdp.mdp.tabular_mdp import TabularMDP

# A few rounds suffice; the limit stops a loop that rounding might otherwise continue.
MOST_ROUNDS = 1000
# A change of the gain below this fraction of the largest reward counts as rounding.
GAIN_PRECISION = 1e-14
# An action that is better by less than this fraction of the largest value is not an improvement.
VALUE_PRECISION = 1e-12


def check_gamma(gamma: float, max_episode_steps: int | None) -> None:
    """Raise ValueError unless the optimum with restarts exists for this discount."""
    check_discount(gamma)
    if gamma == 1.0 and max_episode_steps is None:
        raise ValueError(
            f"`gamma` must be below 1 if episodes have no time limit, got {gamma!r}: an episode "
            "might never end. Pass gamma=0.99, or cut episodes with gymnasium.wrappers.TimeLimit."
        )


class Optimum(NamedTuple):
    """The optimum of a task that is played forever with restarts.

    Attributes:
        advantages: A, shape (max_episode_steps, S, A): entry [k - 1, s, a] is for k steps left.
            Without a limit, shape (1, S, A). The best actions of each state have 0, others less.
        values: h, shape (max_episode_steps, S) or (1, S): V minus its mean over the start states.
        gain: g, shape (1,): (1 - gamma) times that mean; for gamma = 1 the mean reward per step.
    """

    advantages: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    gain: npt.NDArray[np.float64]


def optimum(
    task: TabularMDP,
    gamma: float,
    max_episode_steps: int | None = None,
    out: Optimum | None = None,
) -> Optimum:
    """Return the optimum of a task that is played forever with restarts.

    Args:
        task: The task.
        gamma: Discount factor in [0, 1]; below 1 if there is no time limit.
        max_episode_steps: Steps after which an episode is cut, at least 1. None: never.
        out: Arrays to write the result into. None: new arrays.

    Raises:
        ValueError: `gamma` or `max_episode_steps` is out of range.

    Example:
        >>> from vamdp.domains import Bandits
        >>> optimum(Bandits(n_arms=2).task(np.array([0.25, 1.0])), gamma=0.5).gain
        array([1.])
    """
    check_gamma(gamma, max_episode_steps)
    if max_episode_steps is not None:
        check_positive_integer("max_episode_steps", max_episode_steps)
    if out is None:
        shape = (max_episode_steps or 1, task.n_states)
        out = Optimum(np.empty((*shape, task.n_actions)), np.empty(shape), np.empty(1))
    _solve(
        task.rows,
        task.probability,
        task.successor,
        task.reward,
        task.ends,
        task.reward_noise == "bernoulli",
        float(gamma),
        max_episode_steps is not None,
        out.advantages,
        out.values,
        out.gain,
    )
    return out


def optimal_advantages(
    task: TabularMDP, gamma: float, max_episode_steps: int | None = None
) -> npt.NDArray[np.float64]:
    """Return the advantages of a task that is played forever with restarts.

    Args:
        task: The task.
        gamma: Discount factor in [0, 1]; below 1 if there is no time limit.
        max_episode_steps: Steps after which an episode is cut, at least 1. None: never.

    Returns:
        `Optimum.advantages`, shape (max_episode_steps or 1, S, A).

    Raises:
        ValueError: `gamma` or `max_episode_steps` is out of range.

    Example:
        >>> from vamdp.domains import Bandits
        >>> optimal_advantages(Bandits(n_arms=2).task(np.array([0.25, 1.0])), gamma=0.99)
        array([[[-0.75,  0.  ]]])
    """
    return optimum(task, gamma, max_episode_steps).advantages


@njit(cache=True)
def _solve(
    rows, probability, successor, reward, ends, is_bernoulli, gamma, has_limit,
    advantages, values, gain,
):  # fmt: skip
    """Write an `Optimum` into the last three arguments."""
    _, S, A = advantages.shape
    expected = np.zeros(S * A)  # reward of each row
    weight = np.zeros(rows[S * A])  # gamma times the probability that the episode goes on
    for row in range(S * A):
        for j in range(rows[row], rows[row + 1]):
            paid = min(max(reward[j], 0.0), 1.0) if is_bernoulli else reward[j]
            expected[row] += probability[j] * paid
            if not ends[j]:
                weight[j] = gamma * probability[j]
    start = np.zeros(S)
    for j in range(rows[S * A], rows[S * A + 1]):
        start[successor[j]] += probability[j]
    if has_limit:
        _solve_cut_episodes(rows, successor, expected, weight, start, advantages, values, gain)
    else:
        _solve_stationary(rows, successor, expected, weight, start, advantages, values[0], gain)


@njit(cache=True)
def _mean(start, numbers):
    """Return the mean over the start distribution, added up in the order of states."""
    total = 0.0
    for s in range(start.size):
        total += start[s] * numbers[s]
    return total


@njit(cache=True)
def _maximise(rows, successor, expected, weight, g, s, following, Q):
    """Write Q (A,) of state s, given its successors' values; returns the first best action."""
    best, most = 0, -np.inf
    for a in range(Q.size):
        row = s * Q.size + a
        q = expected[row] - g
        for j in range(rows[row], rows[row + 1]):
            q += weight[j] * following[successor[j]]
        Q[a] = q
        if q > most:
            best, most = a, q
    return best


@njit(cache=True)
def _solve_cut_episodes(rows, successor, expected, weight, start, advantages, values, gain):
    """Solve with a time limit: Newton's method on the gain, one backward induction per round."""
    depth, S, A = advantages.shape
    h, N = np.zeros((2, S)), np.zeros((2, S))
    threshold = GAIN_PRECISION * np.abs(expected).max()
    g = 0.0
    for n_rounds in range(MOST_ROUNDS):
        h[1], N[1] = 0.0, 0.0  # after the last step the episode restarts
        for k in range(depth):
            now, before = k % 2, 1 - k % 2
            for s in range(S):
                Q = advantages[k, s]
                best = _maximise(rows, successor, expected, weight, g, s, h[before], Q)
                h[now, s] = values[k, s] = Q[best]
                length = 1.0
                for j in range(rows[s * A + best], rows[s * A + best + 1]):
                    length += weight[j] * N[before, successor[j]]
                N[now, s] = length
                for a in range(A):
                    Q[a] -= h[now, s]
        last = (depth - 1) % 2
        step = _mean(start, h[last]) / _mean(start, N[last])
        # From its second point on, Newton's method only climbs; a smaller step is rounding.
        if n_rounds > 0 and step <= threshold:
            break
        g += step
    gain[0] = g


@njit(cache=True)
def _solve_stationary(rows, successor, expected, weight, start, advantages, h, gain):
    """Solve without a limit: policy iteration on the gain and the relative values h (S,)."""
    _, S, A = advantages.shape
    policy = np.zeros(S, np.int64)
    for s in range(S):
        policy[s] = np.argmax(expected[s * A : (s + 1) * A])
    R, N = np.empty(S), np.empty(S)
    matrix = np.zeros((S, S))
    for _ in range(MOST_ROUNDS):
        _evaluate(rows, successor, expected, weight, policy, matrix, R, N)
        g = _mean(start, R) / _mean(start, N)
        h[:] = R - g * N
        threshold = VALUE_PRECISION * np.abs(h).max()
        changed = False
        for s in range(S):
            Q = advantages[0, s]
            best = _maximise(rows, successor, expected, weight, g, s, h, Q)
            if Q[best] > Q[policy[s]] + threshold:
                policy[s] = best
                changed = True
            Q -= Q[best]
        if not changed:
            break
    gain[0] = g


@njit(cache=True)
def _evaluate(rows, successor, expected, weight, policy, matrix, R, N):
    """Solve `(I - gamma P) R = expected` and `(I - gamma P) N = 1` for a policy.

    `matrix` (S, S) is scratch space. Row s is eliminated as soon as it is written, from its first
    column to the diagonal; `last[s]` is the last column that is then nonzero.
    """
    S = policy.size
    A = expected.size // S
    last = np.empty(S, np.int64)
    for s in range(S):
        line = matrix[s]
        line[:] = 0.0
        line[s] = 1.0
        row = s * A + policy[s]
        first, last[s] = s, s
        for j in range(rows[row], rows[row + 1]):
            line[successor[j]] -= weight[j]
            first, last[s] = min(first, successor[j]), max(last[s], successor[j])
        R[s], N[s] = expected[row], 1.0
        for i in range(first, s):
            if line[i] == 0.0:
                continue
            factor = line[i] / matrix[i, i]
            for column in range(i + 1, last[i] + 1):
                line[column] -= factor * matrix[i, column]
            R[s] -= factor * R[i]
            N[s] -= factor * N[i]
            last[s] = max(last[s], last[i])
    for s in range(S - 1, -1, -1):
        for column in range(s + 1, last[s] + 1):
            R[s] -= matrix[s, column] * R[column]
            N[s] -= matrix[s, column] * N[column]
        R[s] /= matrix[s, s]
        N[s] /= matrix[s, s]
