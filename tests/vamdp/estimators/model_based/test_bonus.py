"""The reward for trying what is little known: closed forms, and where it leads."""

import numpy as np
import pytest

import vamdp
from vamdp.estimators import Scales
from vamdp.estimators.model_based.fast_step import FastStep

BONUS = 1.5


def test_the_value_of_an_arm_is_its_mean_plus_the_bonus_that_shrinks_with_its_pulls():
    estimator = vamdp.ValueEstimator(3, task_horizon=1, reward_model="state_action", bonus=BONUS)
    for arm, reward in [(0, 1.0), (0, 0.0), (0, 1.0), (2, 0.5)]:
        estimator.update(0, arm, reward, 0, True)
    expected = [2 / 3 + BONUS / 2, BONUS, 0.5 + BONUS / np.sqrt(2)]
    np.testing.assert_allclose(estimator.q_values(0), expected, rtol=1e-15)
    assert estimator.counts(0).tolist() == [3, 0, 1]


def test_smoothing_shrinks_the_reward_and_leaves_the_bonus():
    estimator = vamdp.ValueEstimator(1, task_horizon=1, smoothing=0.5, bonus=BONUS)
    estimator.update(0, 0, 6.0, 1, False)
    assert estimator.q_values(0)[0] == pytest.approx(6.0 * 1.5 / 2 + BONUS / np.sqrt(2))


def test_an_end_has_no_bonus_and_a_state_just_entered_has():
    estimator = vamdp.ValueEstimator(2, task_horizon=1, bonus=BONUS)
    estimator.update(0, 0, 0.0, 1, False)
    estimator.update(1, 0, 0.0, 2, True)
    states, _, R = estimator.model()
    assert [s.terminal for s in states] == [False, False, True]
    tried = BONUS / np.sqrt(2)
    np.testing.assert_allclose(R, [[tried, BONUS], [tried, BONUS], [0, 0]])
    assert estimator.q_values(2).tolist() == [0.0, 0.0]  # met as an end only
    estimator.update(0, 1, 0.0, 2, False)
    assert estimator.q_values(2).tolist() == [BONUS, BONUS]


def test_plans_lead_to_what_is_little_known_beyond_what_is_known_well():
    """0 -> 1 -> 2 is known, and so is staying; only in 2 there is something untried."""
    options = {"task_horizon": 20, "gamma": 0.9, "smoothing": 0.0, "reward_model": "state_action"}
    curious, plain = (vamdp.ValueEstimator(2, bonus=b, **options) for b in (8.0, 0.0))
    for estimator in (curious, plain):
        for _ in range(50):
            for s in (0, 1):
                estimator.update(s, 1, 0.0, s + 1, False)
                estimator.update(s, 0, 0.1, s, False)
            estimator.update(2, 1, 0.0, 0, False)
    for s in (0, 1):
        assert np.argmax(curious.q_values(s)) == 1
        assert np.argmax(plain.q_values(s)) == 0
    assert np.argmax(curious.q_values(2)) == 0


def test_in_a_cluster_the_visits_of_all_its_members_count():
    options = {"task_horizon": 1, "reward_model": "state_action", "bonus": BONUS}
    estimator = vamdp.ValueEstimator(1, cluster_size=2, **options)
    for cell in [(0, 0), (0, 1), (0, 1)]:
        estimator.update(cell, 0, 0.0, (9, 9), False)
    for cell, n in (((0, 0), 1), ((0, 1), 2)):
        assert estimator.counts(cell) == [n]
        assert estimator.q_values(cell) == pytest.approx(BONUS / np.sqrt(1 + 3))


def test_a_step_of_one_environment_shows_what_the_dense_model_says():
    estimator = vamdp.ValueEstimator(2, task_horizon=6, tolerance=0.0, bonus=BONUS)
    step, vector = FastStep(estimator.batch, Scales(2.0, 4.0)), np.zeros(5, np.float32)
    step.begin(0)
    for t in range(12):
        step.step(t % 2, 1.0, (t + 1) % 3, False, None, vector)
    _, P, R = estimator.model()
    Q = vamdp.value_iteration(P, R, max_sweeps=6, tolerance=0.0).Q[0]  # 12 % 3
    np.testing.assert_allclose(vector[:3], [*(Q - Q.max()) / 2, Q.max() / 2], rtol=1e-6)
    assert R.min() > 0.5


@pytest.mark.parametrize("bonus", [-0.1, float("nan"), float("inf")])
def test_a_bonus_out_of_range_is_named(bonus):
    with pytest.raises(ValueError, match=r"`bonus` must be finite and at least 0, got "):
        vamdp.ValueEstimator(2, task_horizon=1, bonus=bonus)
