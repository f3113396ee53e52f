"""Return a learned model as dense arrays, for inspection or for other solvers."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vamdp.estimators.grouping import LIVING, TERMINAL_COPY
from vamdp.estimators.model_based.options import EstimatorOptions
from vamdp.estimators.model_based.storage import (
    BASE,
    COUNT,
    N_CONCRETE,
    N_STATES,
    N_TRIPLES,
    ROW,
    SEEN,
    SUCCESSOR,
    Storage,
)
from vamdp.estimators.state_arguments import State


class AbstractState(NamedTuple):
    """One state of a learned model.

    Attributes:
        members: Its concrete states, in order of first visit.
        terminal: Whether it is absorbing.
    """

    members: tuple[State, ...]
    terminal: bool


class LearnedModel(NamedTuple):
    """A learned model as dense arrays over its S abstract states, as planning uses it.

    Attributes:
        states: The S abstract states, in the order of the arrays.
        P: Transition probabilities ``P[s, a, s']``, shape (S, A, S); terminal states lead to
            themselves.
        R: Expected rewards ``R[s, a]``, shape (S, A), including prior and bonus.
    """

    states: list[AbstractState]
    P: npt.NDArray[np.float64]
    R: npt.NDArray[np.float64]


def as_dense(model: Storage, options: EstimatorOptions) -> LearnedModel:
    """Return the dense model of one task, given its rows of the storage (no task axis)."""
    n_actions, capacity = model.blocked.shape
    n_states, n_concrete, n_triples = model.sizes[[N_STATES, N_CONCRETE, N_TRIPLES]]
    members: list[list[State]] = [[] for _ in range(n_states)]
    for c in range(n_concrete):
        for column in (LIVING, TERMINAL_COPY):
            if model.ids[c, column] >= 0:
                members[model.ids[c, column]].append(decode(model.keys[c]))
    absorbing = model.absorbing[:n_states]
    P = np.zeros((n_states, n_actions, n_states))
    a, s = np.divmod(model.triples[ROW, :n_triples], np.uint32(capacity))
    P[s, a, model.triples[SUCCESSOR, :n_triples]] = model.triples[SEEN, :n_triples]
    n = model.row_counts[COUNT, :, :n_states].T.astype(np.float64)[..., None]  # (S, A, 1)
    if n_states:
        smoothed = (P + options.smoothing) / np.maximum(n + options.smoothing * n_states, 1e-300)
        P = np.where(n > 0, smoothed, 1 / n_states)
    P[absorbing] = np.eye(n_states)[absorbing, None, :]
    R = np.ascontiguousarray(model.tables[BASE, :, :n_states].T)
    states = [AbstractState(tuple(m), bool(t)) for m, t in zip(members, absorbing, strict=True)]
    return LearnedModel(states, P, R)


def decode(key: npt.NDArray[np.uint64]) -> State:
    """Return the state of a key: an int if it is one integer, otherwise a tuple."""
    numbers = tuple(int(x) if x.is_integer() else x for x in key.view(np.float64).tolist())
    return numbers if len(numbers) > 1 or not isinstance(numbers[0], int) else numbers[0]
