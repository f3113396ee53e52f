"""Finite-horizon planning in models of many tasks, with or without optimism.

With g[s'] the probability that an episode goes on after arriving in s', and V_0 = 0, the values of
h steps to go are

    Q_h[s, a] = R[s, a] + max_p sum_s' p[s'] g[s'] V_{h-1}[s'],        V_h[s] = max_a Q_h[s, a],

where p runs over the distributions within an L1 ball around the model's row,
||p - P[s, a]||_1 <= radius[s, a]. A radius of 0 is plain backward induction. For a larger one the
best p is found as in UCRL2 (Jaksch et al. 2010, Figure 2): give the successor that is worth most
radius / 2 more, as far as there is mass, and take it from those that are worth least.

Arrays have the axes (n_models, n_tasks, S, A, S'): an agent can hold several models of each task.
V[m, i, h, s] keeps the values of all numbers of steps to go, so that nothing need be planned anew
while an agent follows its plan; the last backup, for the one state that the agent is in, is made
when it acts.
"""

from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from vamdp.compiled import njit


class Models(NamedTuple):
    """What is planned with, for n_tasks tasks, and the values that are found.

    Attributes:
        P: Transition probabilities, shape (n_models, n_tasks, S, A, S').
        R: Mean rewards, shape (n_models, n_tasks, S, A).
        radius: How far, in L1 distance, a row of P may be bent, shape (n_models, n_tasks, S, A).
        goes_on: Probability that an episode goes on after arriving, shape (n_tasks, S).
        V: V[m, i, h] are the values of h steps to go, shape (n_models, n_tasks, task_horizon, S).
    """

    P: npt.NDArray[np.float64]
    R: npt.NDArray[np.float64]
    radius: npt.NDArray[np.float64]
    goes_on: npt.NDArray[np.float64]
    V: npt.NDArray[np.float64]

    @classmethod
    def empty(
        cls, n_models: int, n_tasks: int, n_states: int, n_actions: int, task_horizon: int
    ) -> Self:
        """Return room for models, all zeros."""
        rows = (n_models, n_tasks, n_states, n_actions)
        return cls(
            P=np.zeros((*rows, n_states)),
            R=np.zeros(rows),
            radius=np.zeros(rows),
            goes_on=np.zeros((n_tasks, n_states)),
            V=np.zeros((n_models, n_tasks, task_horizon, n_states)),
        )


def plan(models: Models, tasks: npt.NDArray[np.intp], steps_to_go: npt.NDArray[np.int64]) -> None:
    """Write V of fewer steps to go than there are; the rest of V is left as it was.

    Args:
        models: Of all tasks.
        tasks: Indices of the tasks to plan for.
        steps_to_go: Of each of all tasks, shape (n_tasks,), in [1, task_horizon].
    """
    _plan(tasks, steps_to_go, *models)


def q_values(
    models: Models, states: npt.NDArray[np.int64], steps_to_go: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return Q of one state per task, shape (n_models, n_tasks, A).

    Args:
        models: Planned for at least as many steps.
        states: Shape (n_tasks,).
        steps_to_go: Shape (n_tasks,), in [1, task_horizon].
    """
    n_models, n_tasks, _, n_actions = models.R.shape
    Q = np.empty((n_models, n_tasks, n_actions))
    _q_values(states, steps_to_go, *models, Q)
    return Q


@njit(cache=True)
def _plan(tasks, steps_to_go, P, R, radius, goes_on, V):
    """Backward induction over h = 1 ... steps_to_go - 1, for each model of each listed task."""
    n_models, _, n_states, n_actions, _ = P.shape
    worth = np.empty(n_states)
    order = np.empty(n_states, np.intp)
    for i in tasks:
        for m in range(n_models):
            V[m, i, 0] = 0.0
            order[:] = np.arange(n_states)  # else rounding would depend on the task before
            for h in range(1, steps_to_go[i]):
                _weigh(goes_on[i], V[m, i, h - 1], worth, order)
                for s in range(n_states):
                    best = -np.inf
                    for a in range(n_actions):
                        q = R[m, i, s, a] + _expect(P[m, i, s, a], radius[m, i, s, a], worth, order)
                        best = max(best, q)
                    V[m, i, h, s] = best


@njit(cache=True)
def _q_values(states, steps_to_go, P, R, radius, goes_on, V, Q):
    """One more backup, of the row of each task's present state."""
    n_models, n_tasks, n_states, n_actions, _ = P.shape
    worth = np.empty(n_states)
    order = np.empty(n_states, np.intp)
    for m in range(n_models):
        for i in range(n_tasks):
            s = states[i]
            order[:] = np.arange(n_states)
            _weigh(goes_on[i], V[m, i, steps_to_go[i] - 1], worth, order)
            for a in range(n_actions):
                Q[m, i, a] = R[m, i, s, a] + _expect(
                    P[m, i, s, a], radius[m, i, s, a], worth, order
                )


@njit(cache=True)
def _weigh(goes_on, V, worth, order):
    """worth[s'] = g[s'] V[s'], and `order` lists the states by rising worth.

    By insertion: `order` comes from the sweep before, and is nearly right.
    """
    for s in range(worth.size):
        worth[s] = goes_on[s] * V[s]
    for k in range(1, order.size):
        s, j = order[k], k
        while j > 0 and worth[order[j - 1]] > worth[s]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = s


@njit(cache=True)
def _expect(P_row, radius, worth, order):
    """The largest expected worth of a successor among the distributions in the L1 ball."""
    expected = 0.0
    for s_next in range(worth.size):
        expected += P_row[s_next] * worth[s_next]
    if radius > 0.0:
        top = order[order.size - 1]
        to_move = min(radius / 2, 1.0 - P_row[top])
        for k in range(order.size - 1):
            if to_move <= 0.0:
                break
            moved = min(to_move, P_row[order[k]])
            expected += moved * (worth[top] - worth[order[k]])
            to_move -= moved
    return expected
