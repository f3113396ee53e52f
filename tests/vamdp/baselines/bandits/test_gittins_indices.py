import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import vamdp
from vamdp.baselines.bandits import (
    discounted_gittins_indices,
    finite_horizon_gittins_indices,
)
from vamdp.baselines.bandits.gittins_indices import finite_horizon_table, pyramid, triangle

GRID = 1 / 1024


def by_bisection(s, f, left, gamma):
    """An index by the definition, one lambda after the other; with `left` pulls at most."""

    def pays(price):
        @cache
        def worth(s, f, left):  # of the right to pull `left` times
            m = (s + 1) / (s + f + 2)
            if left == 0:
                return 0.0
            after = m * worth(s + 1, f, left - 1) + (1 - m) * worth(s, f + 1, left - 1)
            return max(0.0, m - price + gamma * after)

        return worth(s, f, left) > 0

    low, high = 0.0, 1.0
    while high - low > 1e-12:
        price = (low + high) / 2
        low, high = (price, high) if pays(price) else (low, price)
    return low


@pytest.mark.parametrize("horizon", [1, 2, 7])
def test_with_one_step_left_the_index_is_the_posterior_mean(horizon):
    indices = finite_horizon_gittins_indices(horizon)
    for s in range(horizon):
        assert indices[s, horizon - 1 - s] == (s + 1) / (horizon + 1)


@pytest.mark.parametrize("horizon", [2, 3, 9, 100])
def test_with_two_steps_left_the_index_is_a_fraction(horizon):
    """m - lambda + m (m' - lambda) = 0, with m' the mean after a success: one stops after none."""
    indices = finite_horizon_gittins_indices(horizon)
    n = horizon - 2
    s = np.arange(n + 1)
    m, m_success = (s + 1) / (n + 2), (s + 2) / (n + 3)
    exact = m * (1 + m_success) / (1 + m)
    np.testing.assert_allclose(indices[s, n - s], exact, atol=1e-12)


def test_an_unknown_arm_with_two_steps_left_is_worth_five_ninths():
    assert finite_horizon_gittins_indices(2)[0, 0] == pytest.approx(5 / 9, abs=1e-15)


@pytest.mark.parametrize(
    ("gamma", "successes", "failures", "published"),
    [
        (0.9, 0, 0, 0.7029),
        (0.9, 1, 1, 0.6346),
        (0.9, 2, 2, 0.6010),
        (0.9, 9, 1, 0.8695),
        (0.99, 0, 0, 0.8699),
    ],
)
def test_discounted_indices_are_those_of_gittins_tables(gamma, successes, failures, published):
    indices = discounted_gittins_indices(gamma, horizon=11)
    assert indices[successes, failures] == pytest.approx(published, abs=0.6e-4)


def test_finite_horizon_indices_agree_with_bisection():
    indices = finite_horizon_gittins_indices(14)
    for s, f in [(0, 0), (0, 3), (3, 0), (2, 2), (5, 4), (1, 8)]:
        error = indices[s, f] - by_bisection(s, f, 14 - s - f, 1.0)
        assert -1e-9 < error < 2e-5


@pytest.mark.parametrize(("gamma", "far"), [(0.5, 40), (0.8, 90)])
def test_discounted_indices_agree_with_bisection(gamma, far):
    indices = discounted_gittins_indices(gamma, horizon=10)
    for s, f in [(0, 0), (2, 0), (0, 2), (4, 5)]:
        assert indices[s, f] == pytest.approx(by_bisection(s, f, far, gamma), abs=3e-5)


def test_without_a_future_the_index_is_the_posterior_mean():
    indices = discounted_gittins_indices(0.0, horizon=5)
    s, f = np.indices((5, 5))
    mean = (s + 1) / (s + f + 2)
    np.testing.assert_array_equal(indices[s + f < 5], mean[s + f < 5])
    assert np.isnan(indices[s + f >= 5]).all()


@pytest.mark.parametrize(
    "indices",
    [finite_horizon_gittins_indices(60), discounted_gittins_indices(0.97, 60)],
    ids=["finite horizon", "discounted"],
)
def test_an_index_exceeds_the_mean_rises_with_successes_and_falls_with_failures(indices):
    s, f = np.indices(indices.shape)
    with_future = s + f < 59
    assert (indices > (s + 1) / (s + f + 2))[with_future].all()
    assert (indices < 1)[with_future].all()
    assert (np.diff(indices, axis=0)[with_future[:-1]] > 0).all()
    assert (np.diff(indices, axis=1)[with_future[:, :-1]] < 0).all()


def test_an_index_rises_with_the_steps_left():
    longer = np.array([finite_horizon_gittins_indices(h)[:10, :10] for h in range(20, 80, 5)])
    assert (np.diff(longer, axis=0) > 0).all()


def test_it_rises_with_the_discount():
    rising = np.array([discounted_gittins_indices(g, 30)[:10, :10] for g in (0.5, 0.9, 0.98)])
    assert (np.diff(rising, axis=0) > 0).all()


def test_the_table_holds_the_indices_of_all_horizons():
    table = finite_horizon_table(9)
    assert table.size == sum(triangle(h) for h in range(1, 10))
    for horizon in range(1, 10):
        indices = finite_horizon_gittins_indices(horizon)
        for s in range(horizon):
            for f in range(horizon - s):
                entry = table[pyramid(horizon) + triangle(s + f) + s]
                assert entry == np.float32(indices[s, f])


SCRIPT = """
import json
from vamdp.baselines.bandits import *
indices = [finite_horizon_gittins_indices(13), discounted_gittins_indices(0.6, 5)]
numbers = [*indices[0].ravel(), *indices[1].ravel(), bayes_optimal_return(3, 5)]
print(json.dumps([float(x).hex() for x in numbers]))
"""


def test_compiled_code_equals_plain_python_bit_for_bit():
    def run(**environment):
        path = str(Path(vamdp.__file__).parents[1])
        return json.loads(
            subprocess.run(
                [sys.executable, "-c", SCRIPT],
                env=os.environ | {"PYTHONPATH": path} | environment,
                capture_output=True,
                check=True,
                timeout=120,
            ).stdout
        )

    compiled = run()
    assert len(compiled) == 13**2 + 5**2 + 1
    assert run(NUMBA_DISABLE_JIT="1") == compiled


@pytest.mark.parametrize("make", [finite_horizon_gittins_indices, finite_horizon_table])
@pytest.mark.parametrize("horizon", [0, 2.5, 5001])
def test_a_horizon_that_is_none_or_too_long_is_refused(make, horizon):
    with pytest.raises(ValueError, match=r"`horizon` must be .*, got "):
        make(horizon)


@pytest.mark.parametrize("gamma", [-0.1, 1.0, float("nan"), 0.9999])
def test_a_discount_that_is_none_or_too_close_to_one_is_refused(gamma):
    with pytest.raises(ValueError, match=f"`gamma` must be .*, got {gamma}"):
        discounted_gittins_indices(gamma, horizon=3)
