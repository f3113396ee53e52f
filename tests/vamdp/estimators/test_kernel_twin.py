"""Kernel-based stochastic factorization written densely in NumPy, from all stored transitions.

The matrices are those of the paper: K (m, n) for each action, rows normalised over its transitions,
and D (n, m), rows normalised over the representatives.
"""

import numpy as np
import pytest

import vamdp
from vamdp.estimators.kernel.kernel_learner import KernelLearner

N_ACTIONS = 3


class Twin:
    """One task."""

    def __init__(self, horizon, gamma, width, radius, most, scales):
        self.horizon, self.gamma, self.width, self.radius = horizon, gamma, width, radius
        self.most, self.given = most, scales
        self.forget()

    def forget(self):
        self.founders, self.born, self.steps = [], [], []
        self.seen, self.scales = [], []  # all states, and the scales after each step

    def note(self, s, s_next):
        """Find the scales that hold from this step on: the standard deviations of all states."""
        self.seen += [s, s_next]
        running = np.std(self.seen, axis=0)
        self.scales.append(
            np.where(running > 0, running, np.inf) if self.given is None else self.given
        )

    def distances(self, x, y, scales):
        """Distances (n, m) of states (n, d) and (m, d), each row with scales of its own."""
        gaps = np.atleast_2d(x)[:, None] - np.atleast_2d(y)[None]
        return np.sqrt(((gaps / np.atleast_2d(scales)[:, None]) ** 2).sum(axis=2))

    def kernels(self, x, born, scales):
        """k(x, z), (n, m), without the representatives that were not there yet."""
        distance = np.where(born, self.distances(x, self.founders, scales), np.inf)
        k = np.where(distance <= 4 * self.width, np.exp(-((distance / self.width) ** 2) / 2), 0.0)
        lost = k.sum(axis=1) == 0
        k[lost, distance[lost].argmin(axis=1)] = 1.0
        return k

    def update(self, s, a, r, s_next, end):
        self.note(s, s_next)
        for x in [s] if end else [s, s_next]:
            far = not self.founders or (
                self.distances(x, self.founders, self.scales[-1]).min() > self.radius
            )
            if far and len(self.founders) < self.most:
                self.founders.append(x)
                self.born.append(len(self.steps))
        self.steps.append((s, a, r, s_next, end))

    def solve(self):
        """Q (m, A) of the representatives, by dense value iteration; the last state is the end."""
        s, a, r, s_next, end = (np.array(x) for x in zip(*self.steps, strict=True))
        born = np.array(self.born)[None] <= np.arange(len(r))[:, None]
        at, to = (self.kernels(x, born, np.array(self.scales)) for x in (s, s_next))
        D = np.where(end[:, None], 0.0, to / to.sum(axis=1, keepdims=True))
        D = np.hstack([D, end[:, None]])
        m = len(self.founders)
        n_states = m + end.any()
        P, R = np.zeros((m + 1, N_ACTIONS, m + 1)), np.zeros((m + 1, N_ACTIONS))
        P[m, :, m] = 1.0
        for b in range(N_ACTIONS):
            K = at[a == b].T
            totals = K.sum(axis=1)
            tried = totals > 0
            K = K[tried] / totals[tried, None]
            P[:m][tried, b] = K @ D[a == b]
            R[:m][tried, b] = K @ r[a == b]
            P[:m][~tried, b, :n_states] = 1 / n_states
        terminal = np.arange(m + 1) == m
        solved = vamdp.value_iteration(
            P, R, gamma=self.gamma, max_sweeps=self.horizon, tolerance=0.0, terminal=terminal
        )
        k = at / at.sum(axis=1, keepdims=True)
        N = np.array([k[a == b].sum(axis=0) for b in range(N_ACTIONS)])
        assert N.sum() == pytest.approx(len(r), rel=1e-12)
        return solved.Q[:m], N.T

    def look(self, s):
        Q, N = self.solve()
        k = self.kernels(s, True, self.scales[-1])
        k = k / k.sum()
        return (k @ Q)[0], (k @ N)[0]


@pytest.mark.parametrize("scales", [(1.5, 0.75), None], ids=["given", "running"])
@pytest.mark.parametrize(
    ("gamma", "width", "radius", "most"),
    [
        (1.0, 0.4, 0.6, 64),
        (0.9, 0.1, 0.5, 9),  # narrow, and soon full: most states are taken for their nearest
        (
            0.8,
            2.0,
            0.01,
            2,
        ),  # both found by the first step: the paper's batch version to the letter
    ],
)
def test_the_incremental_model_is_the_one_of_all_transitions_together(
    gamma, width, radius, most, scales
):
    n_tasks = 2
    learner = KernelLearner(
        n_tasks, N_ACTIONS, task_horizon=15, gamma=gamma, tolerance=0.0, width=width,
        radius=radius, max_representatives=most, scales=scales,
    )  # fmt: skip
    twins = [Twin(15, gamma, width, radius, most, scales) for _ in range(n_tasks)]
    rng = np.random.default_rng(6)
    for t in range(70):
        states, reached = rng.uniform(-2, 2, size=(2, n_tasks, 2))
        actions, rewards = rng.integers(N_ACTIONS, size=n_tasks), rng.normal(size=n_tasks)
        step = states, actions, rewards, reached, rng.random(n_tasks) < 0.2
        if t == 45:
            learner.begin_tasks(np.array([False, True]), [None, None])
            twins[1].forget()
        learner.update(*step)
        for i, twin in enumerate(twins):
            twin.update(*(part[i] for part in step))
        if t % 4 == 3:
            for look in (step[0], step[3], step[0] + 0.3):
                Q, N = learner.q_values(look), learner.counts(look)
                for i, twin in enumerate(twins):
                    expected_Q, expected_N = twin.look(look[i])
                    np.testing.assert_allclose(Q[i], expected_Q, rtol=1e-10, atol=1e-12)
                    np.testing.assert_allclose(N[i], expected_N, rtol=1e-10, atol=1e-12)
    for i, twin in enumerate(twins):
        np.testing.assert_array_equal(learner.representatives(i), twin.founders)
    assert (learner.n_representatives == most).all() or most == 64
