"""Dense ways to plan after every step of a walk: what `planning.py` compares vamdp with.

Each is an iterator that learns one step and plans at each `next`, and gives Q (S, A).
"""

from collections.abc import Iterator

import numba
import numpy as np
import numpy.typing as npt
from walks import Walk, WalkArguments

try:
    import quantecon
except ImportError:
    quantecon = None


@numba.njit(cache=True)
def _dense_step(  # noqa: C901 (one plain function, so that nothing is lost between calls)
    s, a, s_next, reward, end, S, N, G, terminal, T, R, Q, new_Q, V, gamma, tolerance, alpha, most
):
    N[s, a, s_next] += 1
    G[s, a, s_next] += reward
    terminal[s_next] = end or terminal[s_next]
    n_actions = N.shape[1]
    for i in range(S):
        for b in range(n_actions):
            n = 0.0
            for j in range(S):
                n += N[i, b, j]
            R[i, b] = 0.0
            if terminal[i]:
                for j in range(S):
                    T[i, b, j] = 0.0
            elif n == 0:
                for j in range(S):
                    T[i, b, j] = gamma / S
            else:
                share = 1.0 / (n + alpha * S)
                for j in range(S):
                    p = (N[i, b, j] + alpha) * share
                    T[i, b, j] = gamma * p
                    if N[i, b, j] > 0:
                        R[i, b] += p * (G[i, b, j] / N[i, b, j])
            Q[i, b] = 0.0
        V[i] = 0.0
    for _ in range(most):
        moved = 0.0
        for i in range(S):
            for b in range(n_actions):
                q = R[i, b]
                # Four partial sums, so that no addition waits for the one before.
                q0 = q1 = q2 = q3 = 0.0
                row = T[i, b]
                fours = S - S % 4
                for j in range(0, fours, 4):
                    q0 += row[j] * V[j]
                    q1 += row[j + 1] * V[j + 1]
                    q2 += row[j + 2] * V[j + 2]
                    q3 += row[j + 3] * V[j + 3]
                for j in range(fours, S):
                    q0 += row[j] * V[j]
                new_Q[i, b] = q + ((q0 + q1) + (q2 + q3))
        for i in range(S):
            best = -np.inf
            for b in range(n_actions):
                moved = max(moved, abs(new_Q[i, b] - Q[i, b]))
                Q[i, b] = new_Q[i, b]
                best = max(best, new_Q[i, b])
            V[i] = best
        if moved < tolerance - 1e-10:
            break


def dense_numba(walk: Walk, arguments: WalkArguments) -> Iterator[npt.NDArray[np.float64]]:
    """What the paper's released code does: everything rebuilt, in one compiled call a step."""
    most = int(walk.n_states[-1])
    N, G, T = (np.zeros((most, 5, most)) for _ in range(3))
    R, Q, new_Q = (np.zeros((most, 5)) for _ in range(3))
    V, terminal = np.zeros(most), np.zeros(most, np.bool_)
    scalars = (arguments.gamma, arguments.tolerance, arguments.smoothing, arguments.horizon)
    for (s, a, s_next), reward, end, S in zip(
        walk.steps.tolist(),
        walk.rewards.tolist(),
        walk.ends.tolist(),
        walk.n_states.tolist(),
        strict=True,
    ):
        _dense_step(
            s, a, s_next, reward, end, S, N, G, terminal, T, R, Q, new_Q, V, *scalars
        )  # fmt: skip
        yield Q[:S]


def dense_model(
    walk: Walk, arguments: WalkArguments
) -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]]:
    """Rebuild P (S, A, S) and R (S, A) after each step, with NumPy; 0 in terminal states."""
    most = int(walk.n_states[-1])
    N, G, terminal = np.zeros((most, 5, most)), np.zeros((most, 5, most)), np.zeros(most, bool)
    alpha = arguments.smoothing
    for (s, a, s_next), reward, end, S in zip(
        walk.steps.tolist(), walk.rewards, walk.ends, walk.n_states.tolist(), strict=True
    ):
        N[s, a, s_next] += 1
        G[s, a, s_next] += reward
        terminal[s_next] |= end
        counts = N[:S, :, :S]
        n = counts.sum(axis=2, keepdims=True)
        P = (counts + alpha) / (n + alpha * S)
        P[n[..., 0] == 0] = 1 / S
        P[terminal[:S]] = 0.0
        R = (P * G[:S, :, :S] / np.maximum(counts, 1)).sum(axis=2)
        yield P, R, terminal[:S]


def numpy_matvec(walk: Walk, arguments: WalkArguments) -> Iterator[npt.NDArray[np.float64]]:
    """Dense sweeps, each one matrix-vector product."""
    for P, R, _ in dense_model(walk, arguments):
        shape, flat = R.shape, arguments.gamma * P.reshape(R.size, -1)
        Q = np.zeros(shape)
        for _ in range(arguments.horizon):
            old, Q = Q, R + (flat @ Q.max(axis=1)).reshape(shape)
            if np.abs(Q - old).max() < arguments.tolerance - 1e-10:
                break
        yield Q


def numpy_einsum(walk: Walk, arguments: WalkArguments) -> Iterator[npt.NDArray[np.float64]]:
    """Dense sweeps, each one einsum."""
    for P, R, _ in dense_model(walk, arguments):
        Q = np.zeros(R.shape)
        for _ in range(arguments.horizon):
            old, Q = Q, R + arguments.gamma * np.einsum("ijk,k->ij", P, Q.max(axis=1))
            if np.abs(Q - old).max() < arguments.tolerance - 1e-10:
                break
        yield Q


def quantecon_solver(walk: Walk, arguments: WalkArguments) -> Iterator[npt.NDArray[np.float64]]:
    """DiscreteDP rebuilt after each step; its own stopping rule, so only its time is compared."""
    gamma = min(arguments.gamma, 0.9999)  # DiscreteDP refuses 1
    for P, R, terminal in dense_model(walk, arguments):
        P[terminal, :, :] = np.eye(len(P))[terminal, None, :]
        problem = quantecon.markov.DiscreteDP(R, P, gamma)
        result = problem.solve(
            method="value_iteration", epsilon=arguments.tolerance, max_iter=arguments.horizon
        )
        yield R + gamma * P @ result.v
