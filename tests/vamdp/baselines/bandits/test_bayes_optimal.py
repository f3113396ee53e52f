from functools import cache

import numpy as np
import pytest

from vamdp.baselines.bandits import bayes_optimal_return, finite_horizon_gittins_indices


def brute_force(n_arms, horizon, choose):
    """The mean total over all histories; choose(values, arms, left) is the worth of a state.

    arms holds (successes, failures) of each arm, in their own order: no symmetry is used. values
    are the totals that the arms lead to.
    """

    @cache
    def total(arms, left):
        if left == 0:
            return 0.0
        values = []
        for a, (s, f) in enumerate(arms):
            m = (s + 1) / (s + f + 2)
            won = (*arms[:a], (s + 1, f), *arms[a + 1 :])
            lost = (*arms[:a], (s, f + 1), *arms[a + 1 :])
            values.append(m * (1 + total(won, left - 1)) + (1 - m) * total(lost, left - 1))
        return choose(values, arms, left)

    return total(((0, 0),) * n_arms, horizon)


@pytest.mark.parametrize(
    ("n_arms", "horizon", "digits"),
    [
        (2, 10, "6.0218"),
        (2, 100, "64.918"),
        (3, 10, "6.4096"),
        (5, 10, "6.6600"),
        (5, 20, "14.287"),
    ],
)
def test_totals_are_the_known_ones_to_the_digits_given(n_arms, horizon, digits):
    places = len(digits.partition(".")[2])
    assert f"{bayes_optimal_return(n_arms, horizon):.{places}f}" == digits


@pytest.mark.parametrize(("n_arms", "horizon"), [(2, 1), (2, 2), (2, 7), (3, 5), (4, 4)])
def test_totals_agree_with_brute_force(n_arms, horizon):
    best = brute_force(n_arms, horizon, lambda values, arms, left: max(values))
    assert bayes_optimal_return(n_arms, horizon) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("horizon", [1, 2, 30])
def test_a_single_arm_pays_half_of_the_time(horizon):
    assert bayes_optimal_return(1, horizon) == pytest.approx(horizon / 2, abs=1e-12)


def test_arms_that_cannot_all_be_tried_do_not_count():
    assert bayes_optimal_return(7, 4) == pytest.approx(bayes_optimal_return(4, 4), abs=1e-12)
    assert bayes_optimal_return(3, 4) < bayes_optimal_return(4, 4) - 1e-4


@pytest.mark.parametrize(("n_arms", "horizon"), [(2, 10), (3, 6)])
def test_the_finite_horizon_index_gets_a_little_less_than_the_optimum(n_arms, horizon):
    indices = [finite_horizon_gittins_indices(h) for h in range(1, horizon + 1)]

    def follow(values, arms, left):
        return values[np.argmax([indices[s + f + left - 1][s, f] for s, f in arms])]

    optimum = bayes_optimal_return(n_arms, horizon)
    total = brute_force(n_arms, horizon, follow)
    assert 0.999 * optimum < total <= optimum + 1e-12


@pytest.mark.parametrize(("n_arms", "horizon"), [(5, 100), (2, 1_000_000), (10_000, 10_000)])
def test_what_would_take_too_much_memory_is_refused(n_arms, horizon):
    with pytest.raises(
        ValueError, match=f"`horizon` must be smaller for {n_arms} arms, got {horizon}: .* GiB"
    ):
        bayes_optimal_return(n_arms, horizon)


def test_the_second_bound_counts_the_states_themselves():
    """With 8 arms and 40 steps the numbers take 20 MB, the states a thousand times that."""
    with pytest.raises(ValueError, match="GiB"):
        bayes_optimal_return(8, 40)


@pytest.mark.parametrize(("name", "arguments"), [("n_arms", (0, 3)), ("horizon", (3, 0))])
def test_arguments_must_be_positive_integers(name, arguments):
    with pytest.raises(ValueError, match=f"`{name}` must be an integer of at least 1, got 0"):
        bayes_optimal_return(*arguments)
