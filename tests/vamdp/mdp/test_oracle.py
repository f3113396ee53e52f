import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vamdp.domains import Bandits, RandomMDPs
from vamdp.mdp.tabular_mdp import TabularMDP


def chain(n):
    """Walk n steps to the end (action 0), or stay for 0.1 (action 1); the last step pays 1."""
    P = np.zeros((n + 1, 2, n + 1))
    R = np.zeros((n + 1, 2))
    for s in range(n):
        P[s, 0, s + 1] = P[s, 1, s] = 1.0
        R[s] = [s == n - 1, 0.1]
    terminal = np.arange(n + 1) == n
    return TabularMDP.from_dense(P, R, terminal=terminal)


def random_dense(rng, can_end=True):
    S, A = rng.integers(1, 5), rng.integers(1, 4)
    P = rng.dirichlet(np.full(S, 0.5), (S, A))
    R = rng.normal(size=(S, A, S))
    ending = rng.random((S, A, S)) < (0.3 if can_end else 0.0)
    return P, R, ending, rng.dirichlet(np.ones(S))


def brute_force_return(P, R, ending, start, budget, task_horizon):
    """The same recursion forward in memoised form on dense arrays, with the clock always kept."""
    memo = {}

    def G(m):
        return start @ W(m, 0)

    def W(m, t):
        if m == 0:
            return np.zeros(len(start))
        if (m, t) not in memo:
            restart = G(m - 1)
            cut = t + 1 == task_horizon
            goes_on = np.full(len(start), restart) if cut else W(m - 1, t + 1)
            following = np.where(ending, restart, goes_on[None, None, :])
            memo[m, t] = (P * (R + following)).sum(axis=2).max(axis=1)
        return memo[m, t]

    return G(budget)


def test_a_chain_is_worth_walking_only_if_its_end_is_in_reach():
    task = chain(3)
    np.testing.assert_allclose(task.optimal_values(2), [0.2, 1.0, 1.1, 0.0])
    np.testing.assert_allclose(task.optimal_values(3), [1.0, 1.1, 1.2, 0.0])


def test_staying_for_ever_is_worth_r_over_1_minus_gamma():
    task = TabularMDP.from_dense(np.ones((1, 1, 1)), [[3.0]])
    assert task.optimal_values(2000, gamma=0.9)[0] == pytest.approx(30.0)
    assert task.optimal_values(4, gamma=0.0)[0] == 3.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.sampled_from([0.0, 0.7, 1.0]))
def test_values_equal_dense_backward_induction(seed, horizon, gamma):
    P, R, ending, start = random_dense(np.random.default_rng(seed))
    V = np.zeros(len(start))
    for _ in range(horizon):
        V = (P * (R + gamma * np.where(ending, 0.0, V))).sum(axis=2).max(axis=1)
    task = TabularMDP.from_dense(P, R, terminal=ending, start=start)
    np.testing.assert_allclose(task.optimal_values(horizon, gamma), V, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 13), st.integers(1, 15), st.booleans())
def test_return_equals_brute_force(seed, budget, task_horizon, can_end):
    dense = random_dense(np.random.default_rng(seed), can_end)
    task = TabularMDP.from_dense(*dense[:2], terminal=dense[2], start=dense[3])
    expected = brute_force_return(*dense, budget, task_horizon)
    assert task.optimal_return(budget, task_horizon) == pytest.approx(expected, abs=1e-10)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10.0))
def test_return_scales_with_rewards_and_ignores_the_numbering_of_states(seed, scale):
    rng = np.random.default_rng(seed)
    P, R, ending, start = random_dense(rng)
    total = TabularMDP.from_dense(P, R, terminal=ending, start=start).optimal_return(9, 4)
    order = rng.permutation(len(start))
    P, R, ending = (x[order][:, :, order] for x in (P, scale * R, ending))
    relabelled = TabularMDP.from_dense(P, R, terminal=ending, start=start[order])
    assert relabelled.optimal_return(9, 4) == pytest.approx(scale * total, abs=1e-9)


def test_a_bandit_pays_its_best_arm_at_every_pull():
    rng = np.random.default_rng(0)
    for _ in range(20):
        p = rng.random(5)
        assert Bandits().task(p).optimal_return(100, 1) == pytest.approx(100 * p.max())


@pytest.mark.parametrize(("p", "best"), [([0.2, 1.7], 1.0), ([-0.3, -2.0], 0.0), ([2.0, 3.0], 1.0)])
def test_bernoulli_means_beyond_0_and_1_are_clipped(p, best):
    assert Bandits(n_arms=2).task(np.array(p)).optimal_return(10, 1) == pytest.approx(10 * best)


@pytest.mark.parametrize("budget", [10, 25, 7])
def test_a_random_mdp_equals_dense_dynamic_programming(budget):
    task = RandomMDPs()(np.random.default_rng(1))
    P = task.probability[:-1].reshape(10, 5, 10)
    R = task.reward[:-1].reshape(10, 5, 10)
    expected = brute_force_return(P, R, np.zeros(P.shape, bool), np.eye(10)[0], budget, 10)
    assert task.optimal_return(budget, 10) == pytest.approx(expected, abs=1e-10)


def test_a_time_limit_beyond_the_budget_is_no_limit():
    task = chain(3)
    assert task.optimal_return(10, 10) == task.optimal_return(10, 1000)
    assert task.optimal_return(10, 10) == pytest.approx(3.1)  # three walks, and one stay


def test_a_time_limit_one_step_short_of_the_budget_still_restarts():
    # State 0 pays 1 and leads to state 1, which pays nothing and is left only at a loss of 5.
    P = np.zeros((2, 2, 2))
    P[:, :, 1] = 1.0
    ending = np.zeros((2, 2, 2), bool)
    ending[1, 1, 1] = True
    task = TabularMDP.from_dense(P, [[1.0, 1.0], [0.0, -5.0]], terminal=ending)
    assert task.optimal_return(3, 2) == 2.0
    assert task.optimal_return(3, 3) == 1.0


@pytest.mark.parametrize("bad", [0, -1, 1.5, "2"])
def test_counts_below_1_are_refused(bad):
    task = chain(2)
    for call in (
        lambda: task.optimal_values(bad),
        lambda: task.optimal_return(bad, 2),
        lambda: task.optimal_return(2, bad),
    ):
        with pytest.raises(ValueError, match="must be an integer of at least 1"):
            call()


def test_gamma_beyond_1_is_refused():
    with pytest.raises(ValueError, match=r"`gamma` must be in \[0, 1\], got 1.2"):
        chain(2).optimal_values(3, gamma=1.2)
