import numpy as np
import pytest

from rl3_sb3.rollout.advantages import generalized_advantages, normalisation


def array(*rows):
    return np.array(rows, dtype=np.float32)


def gae(rewards, values, bootstrap=None, ends=None, gamma=0.5, gae_lambda=1.0):
    if bootstrap is None:
        bootstrap = np.zeros_like(rewards)
    if ends is None:
        ends = np.zeros(rewards.shape, dtype=bool)
        ends[:, -1] = True
    return generalized_advantages(rewards, values, bootstrap, ends, gamma, gae_lambda)


def test_lambda_1_gives_discounted_returns_minus_values():
    # returns 1 + 2/2 + 4/4 = 3, 2 + 4/2 = 4, 4
    np.testing.assert_allclose(gae(array([1, 2, 4]), array([3, 1, 2])), array([0, 3, 2]))


def test_lambda_0_gives_one_step_errors():
    # 1 + 1/2 - 3, 2 + 2/2 - 1, 4 - 2
    found = gae(array([1, 2, 4]), array([3, 1, 2]), gae_lambda=0.0)
    np.testing.assert_allclose(found, array([-1.5, 2, 2]))


def test_lambda_between_weighs_errors_geometrically():
    # errors -1.5, 2, 2; decay 1/2 * 1/2: 2; 2 + 2/4; -1.5 + 2.5/4
    found = gae(array([1, 2, 4]), array([3, 1, 2]), gae_lambda=0.5)
    np.testing.assert_allclose(found, array([-0.875, 2.5, 2]))


def test_true_values_of_an_endless_chain_have_advantage_zero():
    # V = r / (1 - gamma) = 10; the bootstrap stands for the steps after the rollout
    rewards, values = np.ones((2, 50), np.float32), np.full((2, 50), 10, np.float32)
    found = gae(rewards, values, bootstrap=values, gamma=0.9, gae_lambda=0.7)
    np.testing.assert_allclose(found, 0, atol=1e-5)


def test_an_end_cuts_the_chain_and_bootstraps_there_only():
    ends = np.array([[False, True, False, True]])
    bootstrap = array([100, 6, 100, 0])
    found = gae(array([1, 2, 4, 8]), array([0, 0, 0, 0]), bootstrap, ends)
    # 1 + (2 + 6/2)/2, 2 + 6/2; 4 + 8/2, 8
    np.testing.assert_allclose(found, array([3.5, 5, 8, 8]))


def normalised(*minibatches, normalize=True):
    arrays = [np.asarray(m, dtype=float) for m in minibatches]
    n_steps, mean, scale = normalisation(arrays, normalize=normalize)
    return n_steps, [(a - m) * s for a, m, s in zip(arrays, mean, scale, strict=True)]


def test_each_minibatch_is_normalised_by_itself():
    # mean 2, unbiased variance (1 + 0 + 1) / 2 = 1; mean 10, variance (25 + 25) / 1
    n_steps, (first, second) = normalised([1, 2, 3], [5, 15])
    np.testing.assert_array_equal(n_steps, [3, 2])
    np.testing.assert_allclose(first, [-1, 0, 1])
    np.testing.assert_allclose(second, np.array([-5, 5]) / np.sqrt(50))


def test_a_single_advantage_normalises_to_zero():
    assert normalised([3.0])[1][0].tolist() == [0]


@pytest.mark.parametrize("value", [3.0, 0.1, 1e8])
def test_equal_advantages_normalise_to_zero(value):
    assert np.abs(normalised([value] * 7)[1][0].astype(np.float32)).max() < 1e-6


def test_a_small_spread_around_a_large_mean_is_not_lost():
    _, (found,) = normalised(1e7 + np.array([-1.0, 0, 1]))
    np.testing.assert_allclose(found, [-1, 0, 1], atol=1e-6)


def test_an_empty_minibatch_counts_no_steps():
    n_steps, (empty, rest) = normalised([], [1, 2, 3])
    np.testing.assert_array_equal(n_steps, [0, 3])
    assert len(empty) == 0
    np.testing.assert_allclose(rest, [-1, 0, 1])


def test_advantages_are_left_alone_if_not_to_be_normalised():
    n_steps, (found,) = normalised([1, 2, 3], normalize=False)
    np.testing.assert_array_equal(n_steps, [3])
    np.testing.assert_array_equal(found, [1, 2, 3])
