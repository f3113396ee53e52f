import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vamdp.baselines.tabular import planning
from vamdp.baselines.tabular.planning import Models, plan, q_values
from vamdp.domains import RandomMDPs
from vamdp.mdp.tabular_mdp import TabularMDP

SEEDS = st.integers(0, 2**32 - 1)


def models_of(P, R, horizon, radius=0.0, goes_on=1.0):
    """Models with the given P (n_models, n_tasks, S, A, S) and R."""
    n_models, n_tasks, S, A, _ = P.shape
    models = Models.empty(n_models, n_tasks, S, A, horizon)
    models.P[:], models.R[:], models.radius[:], models.goes_on[:] = P, R, radius, goes_on
    return models


def values(models, n_tasks, horizon):
    """V of `horizon` steps to go in all states, shape (n_models, n_tasks, S)."""
    left = np.full(n_tasks, horizon)
    plan(models, np.arange(n_tasks), left)
    S = models.R.shape[2]
    columns = [q_values(models, np.full(n_tasks, s), left).max(axis=2) for s in range(S)]
    return np.stack(columns, axis=2)


@pytest.mark.parametrize("horizon", [1, 2, 10])
@pytest.mark.parametrize("ood", [False, True])
def test_plans_equal_the_optimal_values_of_random_mdps(horizon, ood):
    rng = np.random.default_rng(0)
    tasks = [RandomMDPs(ood=ood)(rng) for _ in range(6)]
    P = np.array([task.probability[:-1].reshape(10, 5, 10) for task in tasks])
    R = np.array([task.reward[:-1].reshape(10, 5, 10)[..., 0] for task in tasks])
    # Two models of three tasks.
    models = models_of(P.reshape(2, 3, 10, 5, 10), R.reshape(2, 3, 10, 5), horizon)
    optimum = np.array([task.optimal_values(horizon) for task in tasks]).reshape(2, 3, 10)
    np.testing.assert_allclose(values(models, 3, horizon), optimum, rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(1, 8))
def test_nothing_is_worth_anything_behind_an_ending_state(seed, horizon):
    rng = np.random.default_rng(seed)
    S, A = 4, 3
    P, R = rng.dirichlet(np.ones(S), (S, A)), rng.normal(size=(S, A))
    terminal = rng.random(S) < 0.4
    terminal[0] = False
    models = models_of(P[None, None], R[None, None], horizon, goes_on=~terminal)
    optimum = TabularMDP.from_dense(P, R, terminal=terminal).optimal_values(horizon)
    found = values(models, 1, horizon)[0, 0]
    np.testing.assert_allclose(found[~terminal], optimum[~terminal], atol=1e-12)


def test_an_end_that_comes_with_some_probability_is_a_discount():
    # One state that pays 1: V_h = 1 + g V_{h-1}.
    models = models_of(np.ones((1, 1, 1, 1, 1)), np.ones((1, 1, 1, 1)), 4, goes_on=0.5)
    assert values(models, 1, 4) == 1 + 1 / 2 + 1 / 4 + 1 / 8


def best_by_brute_force(P_row, radius, worth):
    """The linear programme's optimum lies where mass moves between pairs of states in some order.

    Among all orders in which mass may be given to one state and taken from the others, the best.
    """
    best = P_row @ worth
    for top, *losers in itertools.permutations(range(len(worth))):
        p, left = P_row.copy(), radius / 2
        for s in losers:
            moved = min(left, p[s])
            p[s] -= moved
            p[top] += moved
            left -= moved
        best = max(best, p @ worth)
    return best


def best_on_a_lattice(P_row, radius, worth, n):
    """The best of all distributions whose entries are multiples of 1/n."""
    best = -np.inf
    for parts in itertools.product(range(n + 1), repeat=len(worth) - 1):
        if sum(parts) <= n:
            p = np.array([*parts, n - sum(parts)]) / n
            if abs(p - P_row).sum() <= radius + 1e-12:
                best = max(best, p @ worth)
    return best


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(2, 3))
def test_the_favourable_distribution_is_the_best_in_the_ball(seed, S):
    """With entries, radius / 2 and so the optimum on a lattice, all its points are enough."""
    rng = np.random.default_rng(seed)
    n = 12
    P_row = rng.multinomial(n, np.ones(S) / S) / n
    radius = 2 * rng.integers(n + 3) / n
    worth = rng.normal(size=S).round(1)
    order = np.arange(S)
    V, sorted_worth = worth, np.empty(S)
    planning._weigh(np.ones(S), V, sorted_worth, order)
    found = planning._expect(P_row, radius, sorted_worth, order)
    assert found == pytest.approx(best_on_a_lattice(P_row, radius, worth, n), abs=1e-12)
    assert found == pytest.approx(best_by_brute_force(P_row, radius, worth), abs=1e-12)


def test_a_ball_that_holds_everything_promises_the_best_successor():
    rng = np.random.default_rng(0)
    P, R = rng.dirichlet(np.ones(5), (1, 1, 5, 2)), rng.normal(size=(1, 1, 5, 2))
    models = models_of(P, R, 3, radius=2.0)
    first = R.max(axis=3)
    np.testing.assert_allclose(values(models, 1, 3), first + 2 * first.max(), rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_values_rise_with_the_radius(seed):
    rng = np.random.default_rng(seed)
    P, R = rng.dirichlet(np.ones(4), (1, 2, 4, 3)), rng.normal(size=(1, 2, 4, 3))
    small = rng.exponential(0.3, (1, 2, 4, 3))
    before = values(models_of(P, R, 6, radius=small), 2, 6)
    after = values(models_of(P, R, 6, radius=small + 0.1), 2, 6)
    assert (after >= before - 1e-12).all() and (after > before + 1e-3).any()
    assert (before > values(models_of(P, R, 6), 2, 6)).any()


def test_states_are_listed_by_rising_worth_from_any_order():
    rng = np.random.default_rng(1)
    order, worth = np.arange(7), np.empty(7)
    for _ in range(20):
        goes_on, V = rng.random(7), rng.normal(size=7)
        planning._weigh(goes_on, V, worth, order)
        np.testing.assert_array_equal(worth, goes_on * V)
        np.testing.assert_array_equal(order, np.argsort(goes_on * V))


def test_only_the_listed_tasks_are_planned_and_only_as_far_as_asked():
    rng = np.random.default_rng(2)
    P, R = rng.dirichlet(np.ones(4), (1, 3, 4, 2)), rng.normal(size=(1, 3, 4, 2))
    models = models_of(P, R, 5)
    models.V[:] = np.nan
    plan(models, np.array([0, 2]), np.array([3, 5, 1]))
    planned = ~np.isnan(models.V[0, ..., 0])
    assert planned.tolist() == [[True] * 3 + [False] * 2, [False] * 5, [True] + [False] * 4]


def test_compiled_code_equals_plain_python_bit_for_bit(monkeypatch):
    rng = np.random.default_rng(3)
    P, R = rng.dirichlet(np.ones(5), (2, 3, 5, 2)), rng.normal(size=(2, 3, 5, 2))
    models = models_of(P, R, 4, radius=rng.exponential(0.2, R.shape), goes_on=rng.random((3, 5)))
    left, states, tasks = np.array([4, 2, 3]), np.array([1, 0, 4]), np.array([0, 2])
    plan(models, tasks, left)
    V, Q = models.V.copy(), q_values(models, states, left)
    models.V[:] = 0.0
    for name in ("_weigh", "_expect"):
        monkeypatch.setattr(planning, name, getattr(planning, name).py_func)
    Q_plain = np.empty_like(Q)
    planning._plan.py_func(tasks, left, *models)
    planning._q_values.py_func(states, left, *models, Q_plain)
    np.testing.assert_array_equal(models.V, V)
    np.testing.assert_array_equal(Q_plain, Q)


def test_a_task_among_others_is_planned_bit_for_bit_as_it_is_alone():
    """With successors of equal worth, the order in which mass is taken from them is rounding."""
    rng = np.random.default_rng(4)
    n, S = 30, 6
    P, R = rng.dirichlet(np.ones(S), (1, n, S, 2)), rng.integers(2, size=(1, n, S, 2))
    radius, goes_on = rng.exponential(0.4, (1, n, S, 2)), rng.integers(1, 3, (n, S)) / 2
    together = models_of(P, R, 5, radius, goes_on)
    left, states = np.full(n, 5), np.zeros(n, np.int64)
    plan(together, np.arange(n), left)
    Q = q_values(together, states, left)
    for i in range(n):
        alone = models_of(P[:, i, None], R[:, i, None], 5, radius[:, i, None], goes_on[i])
        plan(alone, np.array([0]), left[:1])
        np.testing.assert_array_equal(alone.V[:, 0], together.V[:, i])
        np.testing.assert_array_equal(q_values(alone, states[:1], left[:1])[:, 0], Q[:, i])
