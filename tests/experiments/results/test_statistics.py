import numpy as np
import pytest

from rl3_sb3.experiments.results.statistics import (
    median_index,
    paired_difference,
    seeds_interval,
)


def test_the_interval_over_seeds_is_that_of_all_resamples():
    # Sorted means of the 27 resamples: 1, 3 x 4/3, ..., 3 x 14/3, 6. A tenth of them lies below the
    # 2.7th, and above the 24.3rd.
    means = [1.0, 2.0, 6.0]
    assert seeds_interval(means, level=0.8) == pytest.approx((4 / 3, 14 / 3))
    assert seeds_interval(means) == seeds_interval(means) == pytest.approx((1.0, 6.0))


def test_one_seed_has_no_interval():
    assert np.isnan(seeds_interval([3.0])).all()


def test_the_median_of_an_even_number_is_the_lower():
    assert median_index([4.0]) == 0
    assert median_index([4.0, 1.0, 3.0, 2.0]) == 3


def test_what_all_agents_find_easy_adds_no_error_to_a_paired_difference():
    rng = np.random.default_rng(0)
    ease, noise = 100 * rng.normal(size=1000), rng.normal(size=1000)
    mean, error = paired_difference(ease + 1 + noise, ease)
    assert abs(mean - 1) < 3 * error
    assert error == pytest.approx(np.std(noise, ddof=1) / np.sqrt(1000))


def test_differences_of_other_tasks_are_refused():
    with pytest.raises(ValueError, match="got 2 and 3"):
        paired_difference(np.zeros(3), np.zeros(2))
