"""Each mistake of a caller is named, and leaves the learner exactly as it was."""

import re

import numpy as np
import pytest

import vamdp

NAN, INF = float("nan"), float("inf")
GOOD = {"state": (0, 1), "action": 1, "reward": 2.0, "next_state": (0, 2), "terminated": False}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"reward": NAN}, ValueError, r"`reward` must be finite, got nan"),
        ({"reward": INF}, ValueError, r"`reward` must be finite, got inf"),
        ({"reward": -INF}, ValueError, r"`reward` must be finite, got -inf"),
        ({"reward": None}, ValueError, r"`reward` must be a number, got None. Give a single float"),
        ({"reward": "1"}, ValueError, r"`reward` must be a number, got '1'"),
        ({"reward": np.ones(1)}, ValueError, r"`reward` must be a number, got array\(\[1.\]\)"),
        ({"reward": 10**400}, ValueError, r"`reward` must be a number, got 1000"),
        ({"terminated": "False"}, ValueError, r"`terminated` must be a bool, got 'False'"),
        ({"action": 2}, ValueError, r"`action` must be an integer in \[0, 2\), got 2"),
        ({"action": -1}, ValueError, r"`action` must be an integer in \[0, 2\), got -1"),
        ({"action": 0.0}, ValueError, r"`action` must be an integer in \[0, 2\), got 0.0"),
        ({"action": True}, ValueError, r"`action` must be an integer in \[0, 2\), got True"),
        ({"action": None}, ValueError, r"`action` must be an integer in \[0, 2\), got None"),
        ({"state": "a"}, TypeError, r"`state` must be an int or a tuple of numbers, got 'a'"),
        ({"state": None}, TypeError, r"`state` must be an int or a tuple of numbers, got None"),
        ({"state": [0, 1]}, TypeError, r"`state` must be .* got \[0, 1\]. Map other states"),
        ({"state": np.zeros(2)}, TypeError, r"`state` must be .* got array\(\[0., 0.\]\)"),
        ({"state": (0, "b")}, TypeError, r"`state` must be .* got \(0, 'b'\)"),
        ({"state": (0, NAN)}, ValueError, r"`state` must be finite .* got \(0, nan\)"),
        ({"state": (0, INF)}, ValueError, r"`state` must be finite .* got \(0, inf\)"),
        ({"state": (0, 2**53)}, ValueError, r"`state` must be finite and below 2\*\*53"),
        ({"state": (0, 10**400)}, ValueError, r"`state` must be finite and below 2\*\*53"),
        ({"state": 3}, ValueError, r"`state` must have 2 numbers, got 3"),
        ({"state": (0, 1, 2)}, ValueError, r"`state` must have 2 numbers, got \(0, 1, 2\)"),
        ({"state": ()}, ValueError, r"`state` must have 2 numbers, got \(\)"),
        (
            {"state": 0.5},
            ValueError,
            r"`state` must be an int or a tuple .* got 0.5. A real number",
        ),
        ({"next_state": 3}, ValueError, r"`next_state` must have 2 numbers, got 3"),
        ({"next_state": "a"}, TypeError, r"`next_state` must be an int or a tuple"),
        ({"next_state": (NAN, 0)}, ValueError, r"`next_state` must be finite .* got \(nan, 0\)"),
        (
            {"next_action_mask": [False, False]},
            ValueError,
            r"`next_action_mask(\[0\])?` must be a mask that allows an action",
        ),
        (
            {"next_action_mask": [True]},
            ValueError,
            r"`next_action_mask` must have shape \(2,\), got \(1,\)",
        ),
    ],
)
def test_a_bad_transition_is_named_and_changes_nothing(change, error, message):
    estimator = vamdp.ValueEstimator(2, task_horizon=5)
    estimator.update(**GOOD)
    before = estimator.get_state()["arrays"]
    with pytest.raises(error, match=message):
        estimator.update(**GOOD | change)
    for name, array in estimator.get_state()["arrays"].items():
        np.testing.assert_array_equal(array, before[name])
    estimator.update(**GOOD)
    assert estimator.counts((0, 1)).tolist() == [0, 2]


def test_a_bad_first_transition_does_not_decide_the_length_of_states():
    estimator = vamdp.ValueEstimator(2, task_horizon=5)
    with pytest.raises(ValueError, match="must have 2 numbers like the previous state, got 3"):
        estimator.update(**GOOD | {"next_state": 3})
    with pytest.raises(ValueError, match=r"`state` must have at least 1 numbers, got \(\)"):
        estimator.update(**GOOD | {"state": ()})
    estimator.update(0, 0, 1.0, 1, False)
    assert estimator.n_states == 2


@pytest.mark.parametrize("look", ["q_values", "value", "counts"])
def test_looking_up_a_bad_state_is_an_error(look):
    estimator = vamdp.ValueEstimator(2, task_horizon=5)
    estimator.update(**GOOD)
    with pytest.raises(ValueError, match=r"`state` must have 2 numbers, got 3"):
        getattr(estimator, look)(3)
    with pytest.raises(TypeError, match=r"`state` must be an int or a tuple of numbers"):
        getattr(estimator, look)("a")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_actions": 0}, r"`n_actions` must be an integer of at least 1, got 0"),
        ({"n_actions": 2.5}, r"`n_actions` must be an integer of at least 1, got 2.5"),
        ({"task_horizon": 0}, r"`task_horizon` must be an integer of at least 1, got 0"),
        ({"task_horizon": 9.0}, r"`task_horizon` must be an integer of at least 1, got 9.0"),
        ({"gamma": 1.2}, r"`gamma` must be in \[0, 1\], got 1.2"),
        ({"gamma": -0.1}, r"`gamma` must be in \[0, 1\], got -0.1"),
        ({"gamma": NAN}, r"`gamma` must be in \[0, 1\], got nan"),
        ({"tolerance": -1.0}, r"`tolerance` must be finite and at least 0, got -1.0"),
        ({"tolerance": NAN}, r"`tolerance` must be finite and at least 0, got nan"),
        ({"smoothing": -0.1}, r"`smoothing` must be finite and at least 0, got -0.1"),
        ({"smoothing": INF}, r"`smoothing` must be finite and at least 0, got inf"),
        ({"warm_start": "yes"}, "`warm_start` must be True or False, got 'yes'"),
        ({"cluster_terminals": 1}, "`cluster_terminals` must be True or False, got 1"),
        ({"warm_start": True}, r"`warm_start` must be False if `gamma` is 1, got True.*below 1"),
        ({"reward_model": "mean"}, r'`reward_model` must be "transition" or "state_action", got'),
        ({"cluster_size": 0}, r"`cluster_size` must be an integer of at least 1, got 0"),
        ({"cluster_radius": -1.0}, r"`cluster_radius` must be finite and at least 0, got -1.0"),
    ],
)
def test_an_option_out_of_its_range_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        vamdp.ValueEstimator(**{"n_actions": 2, "task_horizon": 5} | options)


def test_an_unknown_option_is_named():
    with pytest.raises(TypeError, match=r"`cluster_radios` is not an option. .*cluster_radius"):
        vamdp.ValueEstimator(2, task_horizon=5, cluster_radios=2.0)


def test_options_cannot_be_changed_afterwards():
    estimator = vamdp.ValueEstimator(2, task_horizon=5)
    with pytest.raises(AttributeError):
        estimator.options.gamma = 0.5


def test_real_numbers_alone_are_no_states_of_a_batch():
    batch = vamdp.BatchValueEstimator(2, 1, task_horizon=5)
    with pytest.raises(ValueError, match=r"`states\[1\]` must be an int or a row .* got 0.5"):
        batch.update([0.0, 0.5], [0, 0], [1.0, 1.0], [1, 1], [False, False])
    batch.update([0.0, 2.0], [0, 0], [1.0, 1.0], [1, 1], [False, False])  # whole ones are
    assert batch.counts([0, 2]).tolist() == [[1], [1]]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([False, False], "must be a mask that allows an action, got [False, False]"),
        ([True], "must have shape (2,), got (1,)"),
        ([0.5, 1], "must hold bools, or 0 and 1, got"),
    ],
)
def test_a_bad_mask_of_one_state_is_named_as_it_was_passed(mask, message):
    estimator = vamdp.ValueEstimator(2, task_horizon=5)
    with pytest.raises(ValueError, match=re.escape(f"`action_mask` {message}")):
        estimator.set_action_mask(0, mask)
