"""Bins of real numbers: where they lie, and what is refused."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import vamdp
from vamdp import StateBins


def test_bins_of_known_bounds_are_equally_wide_and_the_outermost_take_the_rest():
    bins = StateBins(4, low=0.0, high=2.0)
    numbers = [-9, 0, 0.49, 0.5, 1.99, 2, 50]
    assert [bins([x]) for x in numbers] == [(0,), (0,), (0,), (1,), (3,), (3,), (3,)]


def test_a_single_bin_leaves_a_number_out():
    bins = StateBins((1, 2), low=(0, 0), high=(1, 1))
    assert {bins([x, 0.7]) for x in (-3, 0.1, 0.9)} == {(0, 1)}


def test_a_batch_has_the_bins_of_its_observations():
    bins = StateBins((3, 5), low=(-1, 0), high=(1, 4))
    observations = np.random.default_rng(0).normal(size=(50, 2)) * 2
    assert bins.keys(observations).tolist() == [list(bins(each)) for each in observations]


def test_a_space_gives_its_bounds_where_it_has_some():
    assert StateBins.of_space(spaces.Box(0, 2, (1, 3)), 4)([0.6, 1.9, 0]) == (1, 3, 0)
    cartpole = StateBins.of_space(gymnasium.make("CartPole-v1").observation_space)
    assert not cartpole.has_bounds
    low, high = cartpole.bounds(4)
    assert high == pytest.approx([4.8, np.inf, 0.418879, np.inf], rel=1e-6)
    assert low == [-x for x in high]
    largest = np.finfo(np.float32).max  # means "no bound" in some environments
    assert not StateBins.of_space(spaces.Box(-largest, largest, (1,))).has_bounds


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_bins": 0}, "`n_bins` must be an integer of at least 1, got 0"),
        ({"n_bins": (3, 2.5)}, "`n_bins` must be an integer of at least 1, got 2.5"),
        ({"low": 1.0, "high": 1.0}, "`low` must be below `high` by a finite number, got 1.0 and"),
        ({"low": (0, np.nan), "high": 1.0}, "`low` must be below `high` by a finite.* got nan"),
        ({"low": -1.7e308, "high": 1.7e308}, "by a finite number, got -1.7e"),
        ({"low": "a"}, "`low` must be one number, or one per number of a state, got 'a'"),
        ({"low": ("a", 1.0)}, "`low` must be numbers, got 'a'"),
        ({"n_bins": ()}, r"`n_bins` must be one number, or one per number of a state, got \(\)"),
        ({"high": np.ones((2, 2))}, "`high` must be one number, or one per number of a state"),
        ({"high": np.array(1.0)}, "`high` must be one number, or one per number of a state"),
        ({"n_bins": (2, 2), "low": (0, 0, 0)}, "must have the same length, got"),
    ],
)
def test_bins_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        StateBins(**arguments)


def test_a_number_that_can_have_one_value_only_gets_one_bin():
    low, high = np.array([0, -1, 1e20], np.float32), np.array([0, 1, 1e20], np.float32)
    bins = StateBins.of_space(spaces.Box(low, high), n_bins=(5, 4, 5))
    assert bins.counts(3) == [1, 4, 1]
    assert bins([0.0, 0.6, 1e20]) == (0, 3, 0)


def test_what_is_no_real_number_has_no_bins():
    with pytest.raises(ValueError, match=r"`state_key` must be left out.*Discrete\(16\)"):
        vamdp.ValueAugment(gymnasium.make("FrozenLake-v1"), task_horizon=9, state_key=StateBins(3))


def test_observations_that_do_not_fit_the_bins_are_refused():
    bins = StateBins((2, 2), low=0.0, high=1.0)
    with pytest.raises(ValueError, match=r"`n_bins` must be one number, or one .*\(3\)"):
        bins([0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match=r"Observations must be numbers, got \[0.5, nan\]"):
        bins([0.5, np.nan])
    with pytest.raises(ValueError, match="must be finite to use the bins outside ValueAugment"):
        StateBins(3, low=0.0)([0.5])
    with pytest.raises(ValueError, match=r"`n_bins` must be one number, or one .*\(4\)"):
        vamdp.ValueAugment(gymnasium.make("CartPole-v1"), task_horizon=9, state_key=bins)
