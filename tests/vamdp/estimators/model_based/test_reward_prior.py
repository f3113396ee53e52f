"""A prior over rewards: closed forms, and the posterior mean of the classical agents."""

import numpy as np
import pytest

import vamdp
from vamdp.baselines.tabular.posterior import Posterior, as_prior

PRIOR = {"prior_mean": 2.0, "prior_weight": 3.0}


def test_an_arm_is_worth_the_mean_of_its_rewards_and_those_of_the_prior():
    estimator = vamdp.ValueEstimator(3, task_horizon=1, reward_model="state_action", **PRIOR)
    for arm, reward in [(0, 1.0), (0, 0.0), (0, 1.0), (2, 0.5)]:
        estimator.update(0, arm, reward, 0, True)
    expected = [(2.0 + 6.0) / 6, 2.0, (0.5 + 6.0) / 4]
    np.testing.assert_allclose(estimator.q_values(0), expected, rtol=1e-15)


def test_with_rewards_of_transitions_the_prior_is_averaged_with_the_shrunk_reward():
    estimator = vamdp.ValueEstimator(1, task_horizon=1, smoothing=0.5, **PRIOR)
    estimator.update(0, 0, 6.0, 1, False)
    assert estimator.q_values(0)[0] == pytest.approx((6.0 * 1.5 / 2 + 3 * 2.0) / 4)


def test_an_end_is_worth_nothing_and_a_state_just_entered_the_prior_mean():
    estimator = vamdp.ValueEstimator(2, task_horizon=1, **PRIOR)
    estimator.update(0, 0, 2.0, 1, False)
    estimator.update(1, 0, 2.0, 2, True)
    _, _, R = estimator.model()
    assert R[2].tolist() == [0.0, 0.0]
    assert R[1, 1] == R[0, 1] == 2.0


def test_it_is_the_posterior_mean_of_the_classical_agents():
    """With all states known, and noise of standard deviation 2."""
    rng = np.random.default_rng(0)
    posterior = Posterior(1, 4, 3, as_prior({"prior_mean": 1.0, "noise_sd": 2.0}))
    estimator = vamdp.ValueEstimator(
        3, task_horizon=9, smoothing=1.0, reward_model="state_action",
        prior_mean=1.0, prior_weight=4.0,
    )  # fmt: skip
    for t in range(60):
        s, a, s_next, reward = t % 4, rng.integers(3), rng.integers(4), rng.normal()
        estimator.update(s, a, reward, s_next, False)
        posterior.learn(*(np.array([x]) for x in (s, a, reward, s_next, False)))
    states, P, R = estimator.model()
    order = np.argsort([state.members[0] for state in states])
    np.testing.assert_allclose(P[order][:, :, order], posterior.P[0], rtol=1e-13)
    np.testing.assert_allclose(R[order], posterior.R[0], rtol=1e-13)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior_weight": -1.0}, r"`prior_weight` must be finite and at least 0, got -1.0"),
        (
            {"prior_mean": float("nan"), "prior_weight": 1.0},
            r"`prior_mean` must be finite, got nan",
        ),
        ({"prior_mean": 1.0}, r"`prior_weight` must be above 0 if `prior_mean` is 1.0, got 0"),
    ],
)
def test_a_prior_out_of_range_or_without_effect_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        vamdp.ValueEstimator(2, task_horizon=1, **options)
