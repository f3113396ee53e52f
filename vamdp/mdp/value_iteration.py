"""Value iteration on a known task given as dense arrays; `bellman` has the equations."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import as_limit, as_number, check_discount, check_positive_integer
from vamdp.mdp.bellman import ROUNDING, iterate
from vamdp.mdp.sweep_history import NO_HISTORY

#: Largest deviation from 1 of the sum of a row's probabilities.
PROBABILITY_TOLERANCE = 1e-6


class ValueIterationResult(NamedTuple):
    """The result of value iteration.

    Attributes:
        Q: Action values, shape (S, A).
        V: State values, the row maxima of Q, shape (S,).
        n_sweeps: Number of sweeps done, at least 1.
    """

    Q: npt.NDArray[np.float64]
    V: npt.NDArray[np.float64]
    n_sweeps: int


def value_iteration(
    P: npt.ArrayLike,
    R: npt.ArrayLike,
    *,
    max_sweeps: int,
    gamma: float = 1.0,
    tolerance: float = 0.01,
    terminal: npt.ArrayLike | None = None,
) -> ValueIterationResult:
    """Solve a known finite MDP by synchronous value iteration from Q = V = 0.

    Args:
        P: Transition probabilities ``P[s, a, s']``, shape (S, A, S); rows sum to 1. The rows of
            terminal states are ignored.
        R: Expected rewards ``R[s, a]``, shape (S, A), or rewards ``R[s, a, s']``, shape (S, A, S).
            Entries where P is 0 and the rows of terminal states are ignored.
        max_sweeps: The horizon, at least 1: after n sweeps Q is optimal for n steps to go.
        gamma: Discount factor in [0, 1].
        tolerance: Stop after a sweep in which every entry of Q moved by less than this, at least 0.
            0: do all sweeps.
        terminal: Terminal states, bool of shape (S,); they keep Q = V = 0.

    Returns:
        Q (S, A), V (S,) and the number of sweeps.

    Raises:
        ValueError: An argument has the wrong shape or range; the message names the entry.

    Example:
        A state that pays 1 per step and returns to itself: V = 1 / (1 - gamma).

        >>> import numpy as np
        >>> result = value_iteration(
        ...     np.ones((1, 1, 1)), np.ones((1, 1)), gamma=0.5, max_sweeps=100, tolerance=1e-6
        ... )
        >>> round(float(result.V[0]), 5)
        2.0

    Source: Sutton and Barto (2018), section 4.4; RL3 (arXiv 2306.15909), Algorithm 1.
    """
    P, expected_R, is_terminal = check_dense(P, R, terminal)
    check_positive_integer("max_sweeps", max_sweeps)
    check_discount(gamma)
    if not as_number(tolerance) >= 0:
        raise ValueError(f"`tolerance` must be at least 0, got {tolerance!r}.")
    n_states, n_actions, _ = P.shape
    P = np.where(is_terminal[:, None, None], 0.0, P)
    states, actions, successors = np.nonzero(P)
    base = np.ascontiguousarray(np.where(is_terminal[:, None], 0.0, expected_R).T)
    Q = np.zeros((n_actions, n_states))
    V = np.zeros(n_states)
    n_sweeps = iterate(
        base, np.zeros_like(base), (actions * n_states + states).astype(np.uint32),
        successors.astype(np.uint32), gamma * P[states, actions, successors],
        np.zeros((1, 1), np.bool_), False, n_states, states.size, 0, as_limit(max_sweeps),
        tolerance - ROUNDING, V, Q, NO_HISTORY,
    )  # fmt: skip
    return ValueIterationResult(np.ascontiguousarray(Q.T), V, n_sweeps)


def check_dense(
    P: npt.ArrayLike, R: npt.ArrayLike, terminal: npt.ArrayLike | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Check a dense MDP; return P (S, A, S), the expected rewards (S, A) and terminal (S,).

    Raises:
        ValueError: A shape is wrong, a probability is outside [0, 1], a row of a non-terminal state
            does not sum to 1, or a reward that can be paid is not finite.
    """
    P = np.asarray(P, dtype=np.float64)
    R = np.asarray(R, dtype=np.float64)
    if P.ndim != 3 or P.shape[0] != P.shape[2] or 0 in P.shape:
        raise ValueError(f"`P` must have shape (S, A, S), got {P.shape}.")
    n_states, n_actions, _ = P.shape
    if R.shape not in ((n_states, n_actions), P.shape):
        raise ValueError(
            f"`R` must have shape {(n_states, n_actions)} or {P.shape} to match `P`, got {R.shape}."
        )
    is_terminal = np.zeros(n_states, np.bool_)
    if terminal is not None:
        is_terminal = np.asarray(terminal)
        if is_terminal.shape != (n_states,) or is_terminal.dtype != np.bool_:
            raise ValueError(
                f"`terminal` must be a bool array of shape ({n_states},), "
                f"got {is_terminal.dtype} of shape {is_terminal.shape}."
            )
    bad = np.argwhere(~((P >= 0) & (P <= 1 + PROBABILITY_TOLERANCE)) & ~is_terminal[:, None, None])
    if bad.size:
        s, a, s_next = bad[0]
        raise ValueError(
            f"`P[{s}, {a}, {s_next}]` must be a probability in [0, 1], got {P[s, a, s_next]}."
        )
    sums = P.sum(axis=2)
    bad = np.argwhere((np.abs(sums - 1) > PROBABILITY_TOLERANCE) & ~is_terminal[:, None])
    if bad.size:
        s, a = bad[0]
        raise ValueError(
            f"`P[{s}, {a}]` sums to {sums[s, a]:.10g}; every row must sum to 1. "
            f"Mark the state in `terminal` if episodes end there."
        )
    # All other entries are ignored; callers may have filled them with NaN or -inf.
    used = ~is_terminal[:, None, None] & (P > 0)
    read = np.asarray(used.any(axis=2) if R.ndim == 2 else used)
    bad = np.argwhere(~np.isfinite(R) & read)
    if bad.size:
        index = tuple(int(i) for i in bad[0])
        raise ValueError(f"`R{list(index)}` must be finite, got {R[index]}.")
    R = np.where(read, R, 0.0)
    expected_R = R if R.ndim == 2 else np.einsum("ijk,ijk->ij", np.where(used, P, 0.0), R)
    return P, expected_R, is_terminal
