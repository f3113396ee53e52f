"""Built-in learners without a wrapper: what does not fit is named, and nothing changes."""

import gymnasium
import numpy as np
import pytest

import vamdp
import vamdp.vector
from vamdp.estimators import BUILT_INS, Scales

A, N, D = 3, 2, 2
ALL = np.ones(N, bool)
MASKS = np.array([[True, True, False], [True, False, True]])
STATES = np.array([[0.0, 1.0], [2.0, 3.0]])


@pytest.fixture(params=sorted(BUILT_INS))
def name(request):
    return request.param


def learned(name, **options):
    """A learner that knows a transition and masks."""
    learner = BUILT_INS[name].make(N, A, 10, options)
    learner.begin_tasks(ALL, [0, 1])
    learner.begin_episodes(ALL, STATES, MASKS)
    learn(learner)
    learner.begin_episodes(ALL, STATES, MASKS)
    return learner


def learn(learner, **changes):
    good = {
        "states": STATES,
        "actions": np.array([0, 2]),
        "rewards": np.array([1.0, 2.0]),
        "next_states": STATES + 1,
        "terminated": np.array([False, True]),
    }
    learner.update(**{**good, **changes})


def shown(learner):
    size = sum(box.shape[0] for box in learner.parts().values())
    out = np.zeros((N, size), np.float32)
    learner.write(STATES, Scales(), out)
    return out


def refused(learner, call, message):
    before = shown(learner)
    with pytest.raises(ValueError, match=message):
        call(learner)
    np.testing.assert_array_equal(shown(learner), before)
    assert before.any()


def read_only(shape):
    out = np.zeros(shape, np.float32)
    out.flags.writeable = False
    return out


@pytest.mark.parametrize(
    "wrong",
    [
        lambda n, k: np.zeros((n - 1, k), np.float32),
        lambda n, k: np.zeros((n, k - 1), np.float32),
        lambda n, k: np.zeros((n, k + 1), np.float32),
        lambda n, k: np.zeros((n, k)),
        lambda n, k: np.zeros((n, k), np.int32),
        lambda n, k: [[0.0] * k] * n,
        lambda n, k: read_only((n, k)),
    ],
)
def test_an_array_that_cannot_hold_the_numbers_is_not_written(name, wrong):
    learner = learned(name)
    out = wrong(*shown(learner).shape)
    message = rf"`out` must be a writable float32 array of shape \({N}, \d+\), got"
    refused(learner, lambda it: it.write(STATES, Scales(), out), message)
    assert not np.any(out)


def test_a_part_of_a_wider_array_can_be_written(name):
    learner = learned(name)
    plain = shown(learner)
    wide = np.zeros((N, plain.shape[1] + 5), np.float32)
    learner.write(STATES, Scales(), wide[:, 2:-3])
    np.testing.assert_array_equal(wide[:, 2:-3], plain)
    assert not wide[:, :2].any() and not wide[:, -3:].any()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.ones(1, bool), r"`rows` must have shape \(2,\), got \(1,\)"),
        (np.ones(400, bool), r"`rows` must have shape \(2,\), got \(400,\)"),
        (np.array([0, 1]), "`rows` must be bools, got int64"),
    ],
)
def test_rows_of_other_tasks_are_refused(name, rows, message):
    refused(learned(name), lambda it: it.begin_episodes(rows, STATES, MASKS), message)
    refused(learned(name), lambda it: it.begin_episodes(rows, STATES, None), message)
    refused(learned(name), lambda it: it.begin_tasks(rows, [0, 1]), message)


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ([0], "`seeds` must have 2 entries, one for each task, got 1"),
        ([0, 1, 2], "`seeds` must have 2 entries"),
        ([0, -1], r"`seeds\[1\]` must be an integer of at least 0, got -1"),
        ([0, 1.5], r"`seeds\[1\]` must be an integer of at least 0, got 1.5"),
    ],
)
def test_seeds_that_are_none_are_refused(name, seeds, message):
    refused(learned(name), lambda it: it.begin_tasks(ALL, seeds), message)


@pytest.mark.parametrize("wrong", [np.nan, 0.5, 2, -1, None, "yes"])
def test_a_mask_holds_bools_or_0_and_1(name, wrong):
    masks = [[1, 0, 1], [wrong, 1, 1]]
    message = r"masks` must hold bools, or 0 and 1, got"
    refused(learned(name), lambda it: learn(it, next_action_masks=masks), message)
    refused(learned(name), lambda it: it.begin_episodes(ALL, STATES, masks), message)
    same, other = learned(name), learned(name)
    learn(same, next_action_masks=[[1, 0, 1], [1.0, 0.0, 1.0]])
    learn(other, next_action_masks=np.array([[True, False, True]] * 2))
    np.testing.assert_array_equal(shown(same), shown(other))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"states": [[1, 2], [3]]}, "`states` must be an array of numbers"),
        ({"next_states": [[1, 2], [3]]}, "`next_states` must be an array of numbers"),
        ({"rewards": ["a", 0]}, "`rewards` must be numbers, got"),
        ({"rewards": [1j, 0]}, "`rewards` must be numbers, got complex"),
        ({"rewards": [[1, 2], [3]]}, "`rewards` must be an array of numbers"),
        ({"terminated": [[True], True]}, "`terminated` must be an array of numbers"),
        ({"next_action_masks": [[1, 1, 1], [1]]}, "masks` must be an array of numbers"),
    ],
)
def test_values_that_are_no_arrays_of_numbers_are_named(name, changes, message):
    refused(learned(name), lambda it: learn(it, **changes), message)


@pytest.mark.parametrize("number", ["n_tasks", "n_actions"])
def test_a_bool_is_no_number_of_things(name, number):
    numbers = {"n_tasks": N, "n_actions": A, number: True}
    with pytest.raises(ValueError, match=f"`{number}` must be an integer of at least 1, got True"):
        BUILT_INS[name].make(numbers["n_tasks"], numbers["n_actions"], 10, {})


# Options

LARGE = [
    ("model-based", "bonus"),
    ("model-based", "prior_mean"),
    ("q-learning", "initial_value"),
    ("dyna-q", "initial_value"),
    ("posterior-sampling", "prior_mean"),
    ("posterior-sampling", "prior_sd"),
]


@pytest.mark.parametrize(("name", "option"), LARGE)
def test_the_largest_options_in_units_of_reward_show_finite_numbers(name, option):
    more = {"prior_weight": 1e30} if (name, option) == ("model-based", "prior_mean") else {}
    learner = learned(name, **{option: 1e30}, **more)
    assert np.isfinite(shown(learner)).all()
    assert np.abs(shown(learner)).max() > 1e29
    with pytest.raises(ValueError, match=f"`{option}` must be .* 1e\\+30.*, got 1e\\+31"):
        learned(name, **{option: 1e31}, **more)


@pytest.mark.parametrize("size", [1e-30, 1e30])
@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("kernel", "width"),
        ("kernel", "radius"),
        ("kernel", "scales"),
        ("linear", "width"),
        ("linear", "scales"),
        ("linear", "regularisation"),
    ],
)
def test_scales_of_any_allowed_size_give_finite_numbers(name, option, size):
    options = {"features": 5} if name == "linear" else {}
    learner = learned(name, **options, **{option: (size,) * D if option == "scales" else size})
    far = np.array([[9e15, -9e15], [1e-300, 0.0]])
    learn(learner, states=far, next_states=-far)
    assert np.isfinite(shown(learner)).all()
    assert np.isfinite(learner.q_values(far)).all()


@pytest.mark.parametrize("value", [1e-200, 1e-31, 1e31, 1e200])
@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("kernel", "width"),
        ("kernel", "radius"),
        ("linear", "regularisation"),
        ("posterior-sampling", "noise_sd"),
    ],
)
def test_scales_whose_squares_are_no_numbers_are_refused(name, option, value):
    with pytest.raises(ValueError, match=f"`{option}` must be from 1e-30 to 1e\\+30, got"):
        learned(name, **{option: value})


@pytest.mark.parametrize("scales", [np.array(1.0), (1.0, 1e-31), ((1, 2), 3), "12", ()])
@pytest.mark.parametrize("name", ["kernel", "linear"])
def test_scales_that_are_no_row_of_numbers_are_named(name, scales):
    with pytest.raises(ValueError, match=r"`scales(\[\d\])?` must be .*, got"):
        learned(name, scales=scales)


# Through the wrappers


def test_a_state_that_is_not_finite_has_no_remedy_for_large_ints():
    learner = learned("model-based")
    with pytest.raises(ValueError, match=r"`states\[0\]` must be finite .*, got nan\.$"):
        learner.q_values([[np.nan, 0.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match=r"got 9007199254740992\. Split a larger int"):
        learner.q_values(np.array([[2**53, 0], [0, 0]]))


class Masked(gymnasium.Wrapper):
    """Gives the same mask at every step."""

    mask = None

    def reset(self, **kwargs):
        observation, info = self.env.reset(**kwargs)
        return observation, {**info, "action_mask": self.mask}

    def step(self, action):
        *outcome, info = self.env.step(action)
        return *outcome, {**info, "action_mask": self.mask}


@pytest.mark.parametrize("mask", [[np.nan, 1.0, 1, 1, 1], [0.5, 1, 1, 1, 1]])
def test_a_mask_of_an_environment_holds_bools_or_0_and_1(name, mask):
    def make():
        return Masked(gymnasium.make("vamdp/Bandit-v0"))

    options = {"task_horizon": 1, "estimator": name}
    if name in ("kernel", "linear"):
        options["state_key"] = lambda s: (float(s),)
    one = vamdp.ValueAugment(make(), **options)
    mode = {"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP}
    several = vamdp.vector.ValueAugment(
        gymnasium.vector.SyncVectorEnv([make, make], **mode), **options
    )
    message = r"`action_mask(\[0\])?` must hold bools, or 0 and 1, got (nan|np.float64\(nan|0.5|np)"
    for env in (one, several):
        env.reset(seed=0)
    try:
        Masked.mask = np.array(mask)
        with pytest.raises(ValueError, match=message):
            one.step(0)
        with pytest.raises(ValueError, match=message):
            several.step(np.array([0, 0]))
    finally:
        Masked.mask = None


@pytest.mark.parametrize("name", ["kernel", "linear"])
def test_distances_between_numbered_states_are_warned_of(name):
    options = {"task_horizon": 10, "estimator": name}
    with pytest.warns(UserWarning, match=r"`estimator` measures distances .* Discrete\(10\)") as w:
        vamdp.ValueAugment(gymnasium.make("vamdp/RandomMDP-v0"), **options)
    assert w[0].filename == __file__
    with pytest.warns(UserWarning, match=r"`estimator` measures distances .* Discrete\(10\)") as w:
        env = gymnasium.make_vec(
            "vamdp/RandomMDP-v0", num_envs=2, vectorization_mode="vector_entry_point"
        )
        vamdp.vector.ValueAugment(env, **options)
    assert w[0].filename == __file__


def test_a_mask_of_tasks_to_forget_holds_bools():
    env = vamdp.vector.ValueAugment(
        gymnasium.make_vec(
            "vamdp/RandomMDP-v0", num_envs=2, vectorization_mode="vector_entry_point"
        ),
        task_horizon=10,
    )
    env.reset(seed=0)
    with pytest.raises(ValueError, match="`tasks` must be bools, got int64"):
        env.forget(np.array([0, 1]))
