"""Compiled steps of tabular tasks, and the arrays that hold the tasks of a batch.

`transition` is the only function that steps a task. `TaskEnv` calls it for its one task, and the
loop of `TaskVectorEnv` calls it once per environment, so both agree bit for bit.

Randomness. Every environment has two random streams. The *tasks* stream is a NumPy generator that
draws the tasks. The *dynamics* stream is SplitMix64 (Steele, Lea and Flood, Fast splittable
pseudorandom number generators, OOPSLA 2014, figure 17): a 64-bit counter with a fixed odd
increment, and a hash of it. Its state is one integer per environment, so the compiled step draws
from it without calling Python. Every new task sets this state to an integer from the tasks stream.
Neither stream therefore depends on the number of steps or restarts in the previous task. A batch
restarts an episode right after the last step of a task and a single environment does not, and both
still draw the same tasks.

A step draws one uniform for the successor, then one for a Bernoulli reward or two for a Gaussian
one. A restart draws one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vamdp.compiled import njit
from vamdp.mdp.tabular_mdp import TabularMDP
from vamdp.split_mix import uniform

# Compiled code stores reward noise as one number: a standard deviation, or this marker.
BERNOULLI = -1.0


@njit(cache=True, borrows=True)
def _normal(keys, i):
    """Draw a standard normal with stream i (Box and Muller, 1958, without the sine half)."""
    radius = math.sqrt(-2.0 * math.log(1.0 - uniform(keys, i)))  # 1 - u is never 0
    return radius * math.cos(2.0 * math.pi * uniform(keys, i))


@njit(cache=True, borrows=True)
def _outcome(rows, probability, i, row, keys):
    """Draw an outcome of a row of task i; the last outcome absorbs rounding errors."""
    u = uniform(keys, i)
    k = rows[i, row]
    last = rows[i, row + 1] - 1
    while k < last and u >= probability[i, k]:
        u -= probability[i, k]
        k += 1
    return k


@njit(cache=True, borrows=True)
def transition(rows, probability, successor, reward, ends, noise, keys, i, row):
    """Take one step of task i from row = state * n_actions + action.

    Returns the next state, the reward and whether the episode terminated.
    """
    k = _outcome(rows, probability, i, row, keys)
    paid = reward[i, k]
    if noise[i] == BERNOULLI:
        paid = 1.0 if uniform(keys, i) < paid else 0.0
    elif noise[i] > 0.0:
        paid += noise[i] * _normal(keys, i)
    return successor[i, k], paid, ends[i, k]


@njit(cache=True, borrows=True)
def start_state(rows, probability, successor, i, row, keys):
    """Draw the start state of an episode of task i; `row` is the start row's number."""
    return successor[i, _outcome(rows, probability, i, row, keys)]


@njit(cache=True, borrows=True)
def start_all(rows, probability, successor, keys, start_row, chosen, states, elapsed):
    """Start an episode in the chosen environments."""
    for i in chosen:
        states[i] = start_state(rows, probability, successor, i, start_row, keys)
        elapsed[i] = 0


@njit(cache=True, borrows=True)
def step_all(
    rows,
    probability,
    successor,
    reward,
    ends,
    noise,
    keys,
    n_states,
    n_actions,
    limit,
    actions,
    states,
    elapsed,
    observations,
    rewards,
    terminated,
    truncated,
    ended,
    final,
):
    """Step every environment, and return the number of episodes that ended.

    If an action is invalid or an environment has no running episode, nothing changes; returns -1.
    """
    for i in range(actions.size):
        if actions[i] < 0 or actions[i] >= n_actions or states[i] < 0:
            return -1
    n_ended = 0
    for i in range(actions.size):
        state, rewards[i], terminated[i] = transition(
            rows,
            probability,
            successor,
            reward,
            ends,
            noise,
            keys,
            i,
            states[i] * n_actions + actions[i],
        )
        elapsed[i] += 1
        truncated[i] = elapsed[i] >= limit
        ended[i] = terminated[i] or truncated[i]
        final[i] = state
        if ended[i]:
            n_ended += 1
            state = start_state(rows, probability, successor, i, n_states * n_actions, keys)
            elapsed[i] = 0
        states[i] = observations[i] = state
    return n_ended


class TaskTable(NamedTuple):
    """The tasks of n environments, one per row, in the order of `transition`'s arguments.

    Attributes:
        rows: Index of each row's first outcome, shape (n, S*A + 2).
        probability: Probability of each outcome, shape (n, capacity).
        successor: Next state of each outcome, shape (n, capacity).
        reward: Mean reward of each outcome, shape (n, capacity).
        ends: Whether each outcome terminates the episode, shape (n, capacity).
        noise: Standard deviation of the reward, or BERNOULLI, shape (n,).
        keys: States of the dynamics streams, shape (n,).
    """

    rows: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]
    successor: npt.NDArray[np.int64]
    reward: npt.NDArray[np.float64]
    ends: npt.NDArray[np.bool_]
    noise: npt.NDArray[np.float64]
    keys: npt.NDArray[np.uint64]

    @classmethod
    def empty(cls, n: int, n_rows: int) -> TaskTable:
        """Return a table for n tasks of n_rows rows, without outcomes so far."""
        return cls(
            rows=np.zeros((n, n_rows + 1), np.int64),
            probability=np.zeros((n, 0)),
            successor=np.zeros((n, 0), np.int64),
            reward=np.zeros((n, 0)),
            ends=np.zeros((n, 0), np.bool_),
            noise=np.zeros(n),
            keys=np.zeros(n, np.uint64),
        )

    def with_task(self, i: int, task: TabularMDP, key: int) -> TaskTable:
        """Write task i and its dynamics key; returns this table, or a wider copy if needed."""
        K = len(task.probability)
        table = self if K <= self.probability.shape[1] else self._widened(K)
        table.rows[i] = task.rows
        table.probability[i, :K] = task.probability
        table.successor[i, :K] = task.successor
        table.reward[i, :K] = task.reward
        table.ends[i, :K] = task.ends
        noise = task.reward_noise
        table.noise[i] = BERNOULLI if noise == "bernoulli" else noise or 0.0
        table.keys[i] = key
        return table

    def _widened(self, capacity: int) -> TaskTable:
        extra = ((0, 0), (0, capacity - self.probability.shape[1]))
        return self._replace(
            probability=np.pad(self.probability, extra),
            successor=np.pad(self.successor, extra),
            reward=np.pad(self.reward, extra),
            ends=np.pad(self.ends, extra),
        )
