"""Finite-horizon planning in models of many tasks, optionally with optimism.

Let g[s'] be the probability that an episode continues after arriving in s', and V_0 = 0. The values
with h steps to go are

    Q_h[s, a] = R[s, a] + max_p sum_s' p[s'] g[s'] V_{h-1}[s'],        V_h[s] = max_a Q_h[s, a],

where p ranges over the distributions in an L1 ball around the model's row,
||p - P[s, a]||_1 <= radius[s, a]. With radius 0 this is plain backward induction. With a larger
radius, the best p is found as in UCRL2 (Jaksch et al. 2010, Figure 2): move up to radius / 2 of
probability from the successors of least worth to the successor of largest worth.

Arrays have the axes (n_models, n_tasks, S, A, S'): an agent can hold several models of each task.
V[m, i, h, s] stores the values for every number of steps to go, so an agent that follows its plan
never replans. The last backup, for the agent's current state, is computed when it acts.
"""

from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from vamdp.compiled import njit


class Models(NamedTuple):
    """The models of n_tasks tasks and the values planned from them.

    Attributes:
        P: Transition probabilities, shape (n_models, n_tasks, S, A, S').
        R: Mean rewards, shape (n_models, n_tasks, S, A).
        radius: L1 radius within which a row of P may vary, shape (n_models, n_tasks, S, A).
        goes_on: Probability that an episode continues after arriving, shape (n_tasks, S).
        V: V[m, i, h] are the values with h steps to go, shape (n_models, n_tasks, task_horizon, S).
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
        """Return models with all arrays zero."""
        rows = (n_models, n_tasks, n_states, n_actions)
        return cls(
            P=np.zeros((*rows, n_states)),
            R=np.zeros(rows),
            radius=np.zeros(rows),
            goes_on=np.zeros((n_tasks, n_states)),
            V=np.zeros((n_models, n_tasks, task_horizon, n_states)),
        )


def plan(models: Models, tasks: npt.NDArray[np.intp], steps_to_go: npt.NDArray[np.int64]) -> None:
    """Write V of the listed tasks for 0 to steps_to_go - 1 steps; the rest of V is unchanged.

    Args:
        models: The models of all tasks.
        tasks: Indices of the tasks to plan for.
        steps_to_go: Steps left in each task, listed or not, shape (n_tasks,), in [1, task_horizon].
    """
    _plan(tasks, steps_to_go, *models)


def q_values(
    models: Models, states: npt.NDArray[np.int64], steps_to_go: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return Q of one state per task, shape (n_models, n_tasks, A).

    Args:
        models: Models that were planned for at least `steps_to_go` steps.
        states: The state of each task, shape (n_tasks,).
        steps_to_go: Steps left in each task, shape (n_tasks,), in [1, task_horizon].
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
            order[:] = np.arange(n_states)  # otherwise rounding depends on the previous task
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
    """One more backup, for the current state of each task."""
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
    """Write worth[s'] = g[s'] V[s'], and sort `order`, the states by ascending worth.

    This is an insertion sort, because `order` comes from the previous sweep and is nearly sorted.
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
    """Return the largest expected worth of a successor over the distributions in the L1 ball."""
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
