from fractions import Fraction as F

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vamdp.baselines.tabular import posterior as module
from vamdp.baselines.tabular.posterior import Posterior, as_prior
from vamdp.estimators.conjugate_prior import Prior

SEEDS = st.integers(0, 2**32 - 1)


def learn(posterior, *transitions):
    """Transitions (s, a, r, s', terminated) of a single task."""
    for transition in transitions:
        posterior.learn(*(np.array([x]) for x in transition))


def feed(posteriors, seed, n_steps, n_tasks):
    """Random transitions, to a batch or to as many single ones as there are tasks."""
    rng = np.random.default_rng(seed)
    for _ in range(n_steps):
        step = (
            rng.integers(3, size=n_tasks),
            rng.integers(2, size=n_tasks),
            rng.normal(size=n_tasks),
            rng.integers(3, size=n_tasks),
            rng.random(n_tasks) < 0.3,
        )
        for k, posterior in enumerate(posteriors):
            rows = slice(None) if len(posteriors) == 1 else slice(k, k + 1)
            posterior.learn(*(x[rows] for x in step))


def test_means_worked_out_by_hand():
    prior = Prior(concentration=0.5, prior_mean=3.0, prior_sd=2.0, noise_sd=1.0)
    posterior = Posterior(1, 3, 2, prior)
    assert posterior.R[0, 1, 0] == 3.0
    np.testing.assert_array_equal(posterior.P[0, 1, 0], np.full(3, 1 / 3))
    learn(posterior, (1, 0, 5.0, 2, False), (1, 0, -2.0, 2, False), (1, 0, 1.0, 0, False))
    # c = 1/2, S = 3, n = 3; the prior counts for w = 1/4 of a reward.
    expected = [F(3, 2) / F(9, 2), F(1, 2) / F(9, 2), F(5, 2) / F(9, 2)]
    np.testing.assert_allclose(posterior.P[0, 1, 0], [float(x) for x in expected], rtol=1e-15)
    mean = (F(1, 4) * 3 + 4) / (F(1, 4) + 3)
    assert posterior.R[0, 1, 0] == pytest.approx(float(mean), rel=1e-15)
    assert posterior.visits[0].tolist() == [[0, 0], [3, 0], [0, 0]]
    assert posterior.alpha[0, 1, 0].tolist() == [1.5, 0.5, 2.5]
    # Nothing was learned about the other rows.
    assert (posterior.R[0, [0, 1, 2], [0, 1, 1]] == 3.0).all()
    np.testing.assert_array_equal(posterior.P[0, 1, 1], np.full(3, 1 / 3))


def test_an_episode_goes_on_after_the_share_of_arrivals_that_did_not_end_it():
    posterior = Posterior(1, 3, 1, Prior())
    assert posterior.goes_on.tolist() == [[1, 1, 1]]
    learn(posterior, (0, 0, 0.0, 1, True), (2, 0, 0.0, 1, False), (0, 0, 0.0, 2, True))
    learn(posterior, (0, 0, 0.0, 1, False))
    np.testing.assert_allclose(posterior.goes_on, [[1, 2 / 3, 0]])


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_rows_of_p_sum_to_one_whatever_was_seen(seed):
    posterior = Posterior(3, 3, 2, Prior(concentration=0.1))
    feed([posterior], seed, 20, 3)
    np.testing.assert_allclose(posterior.P.sum(axis=-1), 1.0, rtol=1e-12)
    assert posterior.visits.sum() == 60


def test_a_batch_equals_single_ones_bit_for_bit():
    batch, singles = Posterior(4, 3, 2, Prior()), [Posterior(1, 3, 2, Prior()) for _ in range(4)]
    feed([batch], 0, 30, 4)
    feed(singles, 0, 30, 4)
    for name in ("alpha", "visits", "P", "R", "goes_on"):
        rows = [getattr(single, name)[0] for single in singles]
        np.testing.assert_array_equal(getattr(batch, name), rows)


def test_samples_have_the_moments_of_the_posterior():
    posterior = Posterior(2, 3, 2, Prior(0.5, prior_mean=-1.0, prior_sd=2.0, noise_sd=0.5))
    feed([posterior], 1, 12, 2)
    n = 40_000
    P, R = posterior.sample(np.random.default_rng(0), np.array([1]), n)
    alpha, visits = posterior.alpha[1], posterior.visits[1]
    mean, total = posterior.P[1], alpha.sum(axis=-1, keepdims=True)
    sd = np.sqrt(mean * (1 - mean) / (total + 1))  # of a Dirichlet's entries
    assert (abs(P[:, 0].mean(axis=0) - mean) < 5 * sd / np.sqrt(n)).all()
    np.testing.assert_allclose(P[:, 0].std(axis=0), sd, rtol=0.05)
    np.testing.assert_allclose(P.sum(axis=-1), 1.0, rtol=1e-12)
    sd = np.sqrt(1 / (1 / 2.0**2 + visits / 0.5**2))
    assert (abs(R[:, 0].mean(axis=0) - posterior.R[1]) < 5 * sd / np.sqrt(n)).all()
    np.testing.assert_allclose(R[:, 0].std(axis=0), sd, rtol=0.05)


@pytest.mark.parametrize("c", [0.5, 1e-2, 1e-3, 1e-4, 1e-300])
def test_samples_under_a_small_concentration_lie_as_near_to_the_corners_as_they_should(c):
    posterior = Posterior(1, 4, 1, Prior(concentration=c))
    P, _ = posterior.sample(np.random.default_rng(0), np.array([0]), 10_000)
    rows = P.reshape(-1, 4)  # 40 000 rows of Dirichlet(c, c, c, c)
    squares = (rows**2).sum(axis=1)
    assert squares.mean() == pytest.approx((c + 1) / (4 * c + 1), abs=0.005)
    np.testing.assert_allclose(rows.mean(axis=0), 0.25, atol=0.01)


def test_samples_under_the_smallest_concentration_are_distributions():
    posterior = Posterior(1, 2, 2, Prior(concentration=1e-4))
    P, _ = posterior.sample(np.random.default_rng(0), np.array([0]), 1000)
    np.testing.assert_allclose(P.sum(axis=-1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("name", ["concentration", "prior_sd", "noise_sd"])
def test_scales_of_the_prior_must_be_above_0(name):
    with pytest.raises(ValueError, match=rf"`{name}` must be finite and above 0, got 0"):
        as_prior({name: 0.0})


def test_other_mistakes_in_the_prior_are_named():
    with pytest.raises(ValueError, match=r"`prior_mean` must be finite, got nan"):
        as_prior({"prior_mean": float("nan")})
    with pytest.raises(TypeError, match="`mean` is not an option"):
        as_prior({"mean": 1.0})


def test_compiled_code_equals_plain_python_bit_for_bit(monkeypatch):
    compiled, plain = Posterior(4, 3, 2, Prior()), Posterior(4, 3, 2, Prior())
    feed([compiled], 0, 30, 4)
    monkeypatch.setattr(module, "_learn", module._learn.py_func)
    feed([plain], 0, 30, 4)
    for name in ("alpha", "visits", "P", "R", "goes_on"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(compiled, name))
