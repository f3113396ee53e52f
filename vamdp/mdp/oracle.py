"""The optimal values of a known task, and the largest total reward over an interaction budget.

Optimal values are computed by backward induction, with the same sweep as the learner's (Puterman,
Markov Decision Processes, 1994, section 4.5),

    V(n + 1, s) = max_a sum_k probability[k] (reward[k] + gamma (1 - ends[k]) V(n, successor[k])),

where the sum is over the outcomes k of row `s*A + a`. The total over a budget adds restarts. Let
`W(m, t, s)` be the largest total of the last m steps, t steps into an episode, and `G(m)` the mean
of `W(m, 0, s)` over the start distribution. Then

    W(m, t, s) = max_a sum_k probability[k] (reward[k] + next),   where next is
    G(m - 1) if outcome k ends or t + 1 = task_horizon,  else W(m - 1, t + 1, successor[k]).

This takes budget * task_horizon sweeps. Two cases are cheaper. If task_horizon >= budget, the time
limit is never reached and t drops out: `budget` sweeps. If no outcome ends an episode, all full
episodes are alike: `task_horizon` sweeps, and fewer again for the steps that remain.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import as_limit, check_discount, check_positive_integer
from vamdp.compiled import njit
from vamdp.mdp.bellman import backup, iterate, maximise
from vamdp.mdp.sweep_history import NO_HISTORY

# With this threshold, planning stops only when Q no longer changes at all.
SMALLEST = float(np.nextafter(0.0, 1.0))


class KnownModel(NamedTuple):
    """A task in the layout of `vamdp.mdp.bellman`: rows `a*S + s`, K outcomes, start states."""

    base: npt.NDArray[np.float64]  # (A, S) expected rewards
    row: npt.NDArray[np.uint32]  # (K,)
    successor: npt.NDArray[np.uint32]  # (K,)
    probability: npt.NDArray[np.float64]  # (K,)
    ends: npt.NDArray[np.bool_]  # (K,)
    start: npt.NDArray[np.float64]  # (S,) the start distribution


def optimal_values(model: KnownModel, horizon: int, gamma: float) -> npt.NDArray[np.float64]:
    """Return `V(horizon, s)`, shape (S,); `TabularMDP.optimal_values` is the public method."""
    check_positive_integer("horizon", horizon)
    check_discount(gamma)
    goes_on = ~model.ends
    Q = np.zeros_like(model.base)
    V = np.zeros(len(model.start))
    iterate(
        model.base, np.zeros_like(model.base), model.row[goes_on], model.successor[goes_on],
        gamma * model.probability[goes_on], np.zeros((1, 1), np.bool_), False,
        V.size, int(goes_on.sum()), 0, as_limit(horizon), SMALLEST, V, Q, NO_HISTORY,
    )  # fmt: skip
    return V


def optimal_return(model: KnownModel, budget: int, task_horizon: int) -> float:
    """Return `G(budget)`; `TabularMDP.optimal_return` is the public method."""
    check_positive_integer("budget", budget)
    check_positive_integer("task_horizon", task_horizon)
    start, S = model.start, len(model.start)
    if not model.ends.any():
        n_whole, rest = divmod(int(budget), int(task_horizon))
        total = 0.0
        if n_whole:
            total += n_whole * float(start @ optimal_values(model, task_horizon, 1.0))
        if rest:
            total += float(start @ optimal_values(model, rest, 1.0))
        return total
    has_limit = task_horizon < budget
    W = np.zeros((int(task_horizon) + 1 if has_limit else 2, S + 1))
    _spend(
        model.base, np.zeros_like(model.base), model.row,
        np.where(model.ends, np.uint32(S), model.successor), model.probability,
        start, int(budget), has_limit, W, np.zeros_like(model.base),
    )  # fmt: skip
    return float(start @ W[0, :S])


@njit(cache=True)
def _spend(base, spread, row, successor, probability, start, budget, has_limit, W, Q):
    """Backward induction over the budget; leaves `W[t, s]` for the whole budget.

    W is zero on entry. It has S + 1 columns and one row per step t of an episode, plus a last one.
    Column S is the value of a restart: outcomes that end the episode lead there. The last row holds
    the same value in every column, because the time limit is reached there.
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
        # t ascends, so that row t + 1 is read before it is overwritten.
        for t in range(last):
            following = W[t + 1] if has_limit else W[t]
            backup(base, spread, row, successor, probability, n_states, row.size, following, Q)
            maximise(Q, blocked, False, n_states, W[t])
