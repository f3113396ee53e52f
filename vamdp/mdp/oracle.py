"""The best that can be done with a task that is known.

Optimal values come by backward induction with the sweep that the learner uses too (Puterman, Markov
Decision Processes, 1994, section 4.5),

    V(n + 1, s) = max_a sum_k probability[k] (reward[k] + gamma (1 - ends[k]) V(n, successor[k])),

the sum over the outcomes k of row `s*A + a`. The oracle's total over an interaction budget adds
restarts. With `W(m, t, s)` the best total of the last m steps, t steps into an episode, and `G(m)`
the mean of `W(m, 0, s)` over the start distribution,

    W(m, t, s) = max_a sum_k probability[k] (reward[k] + next),   where next is
    G(m - 1) if outcome k ends or t + 1 = task_horizon,  else W(m - 1, t + 1, successor[k]).

That takes budget * task_horizon sweeps. Two cases are cheaper. With task_horizon >= budget no time
limit is ever met and t drops out: `budget` sweeps. Where nothing ever ends the episodes are alike:
`task_horizon` sweeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from vamdp.mdp.value_iteration import NO_HISTORY, _backup, _iterate, _maximise, check_discount

if TYPE_CHECKING:
    from vamdp.mdp.tabular_mdp import TabularMDP

# As a threshold it stops planning only once nothing moves at all: no later sweep would differ.
SMALLEST = float(np.nextafter(0.0, 1.0))


class _Model(NamedTuple):
    """A task in the layout of `vamdp.mdp.value_iteration`: row `a*S + s`, without the start row."""

    base: npt.NDArray[np.float64]  # (A, S) expected rewards
    row: npt.NDArray[np.uint32]  # (K,)
    successor: npt.NDArray[np.uint32]  # (K,)
    probability: npt.NDArray[np.float64]  # (K,)
    ends: npt.NDArray[np.bool_]  # (K,)


def _model(task: TabularMDP) -> _Model:
    S, A = task.n_states, task.n_actions
    K = int(task.rows[-2])
    s, a = np.divmod(np.repeat(np.arange(S * A), np.diff(task.rows[:-1])), A)
    row = a * S + s
    reward = task.reward[:K]
    if task.reward_noise == "bernoulli":
        reward = np.clip(reward, 0.0, 1.0)
    base = np.zeros(A * S)
    np.add.at(base, row, task.probability[:K] * reward)
    return _Model(
        base.reshape(A, S),
        row.astype(np.uint32),
        task.successor[:K].astype(np.uint32),
        task.probability[:K],
        task.ends[:K],
    )


def optimal_values(task: TabularMDP, horizon: int, gamma: float) -> npt.NDArray[np.float64]:
    """Return `V(horizon, s)`, shape (S,); see `TabularMDP.optimal_values`."""
    _check_count("horizon", horizon)
    check_discount(gamma)
    model = _model(task)
    goes_on = ~model.ends
    V = np.zeros(task.n_states)
    Q = np.zeros_like(model.base)
    _iterate(
        model.base,
        np.zeros_like(model.base),
        model.row[goes_on],
        model.successor[goes_on],
        gamma * model.probability[goes_on],
        np.zeros((1, 1), np.bool_),
        False,
        task.n_states,
        int(goes_on.sum()),
        0,
        int(horizon),
        SMALLEST,
        V,
        Q,
        NO_HISTORY,
    )
    return V


def optimal_return(task: TabularMDP, budget: int, task_horizon: int) -> float:
    """Return `G(budget)`; see `TabularMDP.optimal_return`."""
    _check_count("budget", budget)
    _check_count("task_horizon", task_horizon)
    start = task.start_distribution
    if not task.ends.any():
        n_whole, rest = divmod(int(budget), int(task_horizon))
        total = 0.0
        if n_whole:
            total += n_whole * float(start @ optimal_values(task, task_horizon, 1.0))
        if rest:
            total += float(start @ optimal_values(task, rest, 1.0))
        return total
    model = _model(task)
    S = task.n_states
    has_limit = task_horizon < budget
    W = np.zeros((int(task_horizon) + 1 if has_limit else 2, S + 1))
    _spend(
        model.base,
        np.zeros_like(model.base),
        model.row,
        np.where(model.ends, np.uint32(S), model.successor),
        model.probability,
        start,
        int(budget),
        has_limit,
        W,
        np.zeros_like(model.base),
    )
    return float(start @ W[0, :S])


@njit(cache=True)
def _spend(base, spread, row, successor, probability, start, budget, has_limit, W, Q):
    """Backward induction over the budget; leaves `W[t, s]` with all of it to go.

    W has a row per clock reading t and one more, and S + 1 columns, zeros on entry. Column S is the
    value of a restart: ending outcomes lead there. So does everything in the last row, which is
    where the time limit is met.
    """
    last = W.shape[0] - 1
    n_states = W.shape[1] - 1
    blocked = np.zeros((1, 1), np.bool_)
    for _ in range(budget):
        restart = 0.0
        for s in range(n_states):
            restart += start[s] * W[0, s]
        W[:, n_states] = restart
        W[last, :] = restart
        # Upwards in t: row t + 1 is read before it is overwritten.
        for t in range(last):
            following = W[t + 1] if has_limit else W[t]
            _backup(base, spread, row, successor, probability, n_states, row.size, following, Q)
            _maximise(Q, blocked, False, n_states, W[t])


def _check_count(name: str, value: int) -> None:
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"`{name}` must be an integer of at least 1, got {value!r}.")
