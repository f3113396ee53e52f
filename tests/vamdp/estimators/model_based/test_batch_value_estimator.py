"""Many tasks at once: each row is what a learner of its own would give, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vamdp
from vamdp.estimators import Scales
from vamdp.estimators.model_based.kernels import _learn_serially

OPTIONS = st.fixed_dictionaries(
    {
        "task_horizon": st.sampled_from([1, 30]),
        "gamma": st.sampled_from([0.9, 1.0]),
        "smoothing": st.sampled_from([0.0, 0.1]),
        "reward_model": st.sampled_from(["transition", "state_action"]),
        "cluster_size": st.sampled_from([1, 3]),
        "bonus": st.sampled_from([0.0, 3.0]),
        "prior_weight": st.sampled_from([0.0, 2.0]),
    }
)
N_TASKS, N_ACTIONS = 4, 3


def steps(rng, n_steps, masks):
    """One transition of each task a step; later tasks meet more states."""
    width = np.array([2, 4, 6, 9])
    for _ in range(n_steps):
        mask = rng.random((N_TASKS, N_ACTIONS)) < 0.7
        mask[:, 0] = True
        yield (
            rng.integers(width[:, None], size=(N_TASKS, 2)),
            rng.integers(N_ACTIONS, size=N_TASKS),
            rng.normal(size=N_TASKS),
            rng.integers(width[:, None], size=(N_TASKS, 2)),
            rng.random(N_TASKS) < 0.1,
            mask if masks else None,
        )


def update_one(estimator, step, i):
    states, actions, rewards, next_states, terminated, masks = step
    estimator.update(
        tuple(states[i].tolist()),
        int(actions[i]),
        float(rewards[i]),
        tuple(next_states[i].tolist()),
        bool(terminated[i]),
        None if masks is None else masks[i],
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), OPTIONS, st.booleans(), st.booleans())
def test_a_batch_equals_a_loop_bit_for_bit(seed, options, masks, warm_start):
    options["warm_start"] = warm_start and options["gamma"] < 1
    rng = np.random.default_rng(seed)
    batch = vamdp.BatchValueEstimator(N_TASKS, N_ACTIONS, **options)
    loop = [vamdp.ValueEstimator(N_ACTIONS, **options) for _ in range(N_TASKS)]
    for step in steps(rng, 40, masks):
        batch.update(*step)
        asked = rng.integers(10, size=(N_TASKS, 2))
        forgetful = rng.random(N_TASKS) < 0.02
        for i, estimator in enumerate(loop):
            update_one(estimator, step, i)
            state = tuple(asked[i].tolist())
            np.testing.assert_array_equal(batch.q_values(asked)[i], estimator.q_values(state))
            np.testing.assert_array_equal(batch.counts(asked)[i], estimator.counts(state))
            assert batch.value(asked)[i] == estimator.value(state)
            assert batch.n_states[i] == estimator.n_states
            assert batch.n_sweeps[i] == estimator.n_sweeps
            if forgetful[i]:
                estimator.forget()
        batch.forget(forgetful)
    for i, estimator in enumerate(loop):
        assert batch.model(i).states == estimator.model().states
        np.testing.assert_array_equal(batch.model(i).P, estimator.model().P)
        np.testing.assert_array_equal(batch.model(i).R, estimator.model().R)


def test_shown_features_are_the_estimates_scaled():
    rng = np.random.default_rng(1)
    batch = vamdp.BatchValueEstimator(N_TASKS, N_ACTIONS, task_horizon=9)
    for step in steps(rng, 30, False):
        batch.update(*step)
    states = rng.integers(9, size=(N_TASKS, 2))
    out = np.zeros((N_TASKS, 2 * N_ACTIONS + 1), np.float32)
    batch.write(states, Scales(2.0, 5.0), out)
    Q, V = batch.q_values(states), batch.value(states)
    np.testing.assert_allclose(out[:, :N_ACTIONS], (Q - V[:, None]) / 2, rtol=1e-6)
    np.testing.assert_allclose(out[:, N_ACTIONS], V / 2, rtol=1e-6)
    np.testing.assert_allclose(out[:, N_ACTIONS + 1 :], batch.counts(states) / 5, rtol=1e-6)


def test_forgetting_one_task_leaves_the_others_unchanged():
    rng = np.random.default_rng(2)
    batch = vamdp.BatchValueEstimator(N_TASKS, N_ACTIONS, task_horizon=9)
    for step in steps(rng, 30, True):
        batch.update(*step)
    cells = [np.tile(cell, (N_TASKS, 1)) for cell in np.ndindex(9, 9)]
    before = [batch.q_values(states) for states in cells]
    n_states = batch.n_states
    batch.forget([False, True, False, False])
    assert batch.n_states.tolist() == [n_states[0], 0, n_states[2], n_states[3]]
    for states, Q in zip(cells, before, strict=True):
        Q[1] = 0.0
        np.testing.assert_array_equal(batch.q_values(states), Q)
    assert any(Q.any() for Q in before)


def test_masks_are_noted_only_for_the_tasks_named():
    batch = vamdp.BatchValueEstimator(2, 2, task_horizon=1, smoothing=0.0)
    for action, reward in ((0, 1.0), (1, 5.0)):
        batch.update([0, 0], [action] * 2, [reward] * 2, [0, 0], [True, True])
    masks = [[True, False], [False, False]]  # the second is no mask, and is not read
    batch.set_action_masks([0, 0], masks, applies=np.array([True, False]))
    assert batch.value([0, 0]).tolist() == [1.0, 5.0]


def test_a_row_that_allows_no_action_tells_nothing():
    told, untold = (vamdp.BatchValueEstimator(1, 2, task_horizon=1) for _ in range(2))
    for batch, last in ((told, [[False, False]]), (untold, None)):
        for action, reward in ((0, 1.0), (1, 5.0)):
            batch.update([0], [action], [reward], [0], [False], [[True, False]])
        batch.update([1], [0], [0.0], [0], [False], last)
    assert told.allowed_actions([0]).tolist() == [[True, False]]
    assert told.value([0]) == untold.value([0])


def test_no_array_layout_compiles_the_kernels_anew():
    batch = vamdp.BatchValueEstimator(N_TASKS, N_ACTIONS, task_horizon=9)
    expected = vamdp.BatchValueEstimator(N_TASKS, N_ACTIONS, task_horizon=9)
    for masks in (False, True):
        step = next(steps(np.random.default_rng(3), 1, masks))
        expected.update(*step)
        compiled = len(_learn_serially.signatures)
        odd = []
        for array in step:
            if array is not None:
                # Strided, of another memory order, and read-only.
                array = np.repeat(np.asfortranarray(array), 2, axis=0).copy(order="F")[::2]
                array.flags.writeable = False
            odd.append(array)
        batch.update(*odd)
        assert len(_learn_serially.signatures) == compiled
    np.testing.assert_array_equal(batch.q_values(step[3]), expected.q_values(step[3]))


GOOD = {
    "states": [[0, 1], [2, 3]],
    "actions": [0, 1],
    "rewards": [1.0, 2.0],
    "next_states": [[0, 1], [2, 3]],
    "terminated": [False, True],
    "next_action_masks": [[True, False], [False, False]],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": [0, 2]}, r"`actions\[1\]` must be in \[0, 2\), got 2"),
        ({"actions": [-1, 0]}, r"`actions\[0\]` must be in \[0, 2\), got -1"),
        ({"actions": [0.0, 1.0]}, r"`actions` must be integers of shape \(2,\), got float64"),
        ({"actions": 1}, r"`actions` must be integers of shape \(2,\), got int64 of shape \(\)"),
        ({"rewards": [0.0, np.nan]}, r"`rewards\[1\]` must be finite, got nan"),
        ({"rewards": [-np.inf, 0.0]}, r"`rewards\[0\]` must be finite, got -inf"),
        ({"rewards": [0.0]}, r"`rewards` must have shape \(2,\), got \(1,\)"),
        ({"terminated": [0, 1]}, r"`terminated` must be bools, got int64"),
        ({"terminated": [True]}, r"`terminated` must have shape \(2,\), got \(1,\)"),
        ({"states": [[0, 1]]}, r"`states` must have shape \(2,\) or \(2, d\), got \(1, 2\)"),
        ({"states": [[], []]}, r"`states` must have shape \(2,\) or \(2, d\), got \(2, 0\)"),
        ({"states": [["a", "b"]] * 2}, r"`states` must be numbers, got <U1"),
        ({"states": [[0, 1], [2, np.nan]]}, r"`states\[1\]` must be finite.*got nan"),
        ({"states": [[0, -(2**53) - 1]] * 2}, r"`states\[0\]` must be finite and below 2\*\*53"),
        ({"states": [0, 1]}, r"`states` must have 2 numbers per state as before, got 1"),
        ({"next_states": [0, 1]}, r"`next_states` must have 2 numbers per state.*got 1"),
        ({"next_states": [[0, np.inf]] * 2}, r"`next_states\[0\]` must be finite.*got inf"),
        (
            {"next_action_masks": [True, True]},
            r"`next_action_masks` must have shape \(2, 2\), got \(2,\)",
        ),
    ],
)
def test_an_error_names_the_argument_and_the_task_and_nothing_is_learned(change, message):
    batch = vamdp.BatchValueEstimator(2, 2, task_horizon=3)
    batch.update(**GOOD)
    before = batch.get_state()["arrays"]
    with pytest.raises(ValueError, match=message):
        batch.update(**GOOD | change)
    for name, array in batch.get_state()["arrays"].items():
        np.testing.assert_array_equal(array, before[name])


def test_the_first_transition_decides_the_length_of_states():
    batch = vamdp.BatchValueEstimator(2, 2, task_horizon=3)
    with pytest.raises(ValueError, match=r"`next_states` must have 2 numbers.*got 1"):
        batch.update(**GOOD | {"next_states": [0, 1]})
    assert batch.nbytes == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b: b.forget([True]), r"`tasks` must have shape \(2,\), got \(1,\)"),
        (lambda b: b.model(2), r"`task` must be in \[0, 2\), got 2"),
        (lambda b: b.model(-1), r"`task` must be in \[0, 2\), got -1"),
        (lambda b: b.q_values([0, 1, 2]), r"`states` must have shape \(2,\)"),
        (
            lambda b: b.set_action_masks([0, 1], [[True, True], [False, False]]),
            r"`action_masks\[1\]` must be a mask that allows an action",
        ),
    ],
)
def test_other_calls_check_their_arguments_too(call, message):
    with pytest.raises(ValueError, match=message):
        call(vamdp.BatchValueEstimator(2, 2, task_horizon=3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_tasks": 0}, r"`n_tasks` must be an integer of at least 1, got 0"),
        ({"n_actions": 2.0}, r"`n_actions` must be an integer of at least 1, got 2.0"),
        ({"threads": 0}, r"`threads` must be an integer of at least 1, got 0"),
        ({"threads": 10_000}, r"`threads` must be at most \d+, .* got 10000"),
    ],
)
def test_sizes_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        vamdp.BatchValueEstimator(**{"n_tasks": 2, "n_actions": 2, "task_horizon": 3} | arguments)


def test_a_zero_of_either_sign_is_one_state():
    batch = vamdp.BatchValueEstimator(1, 1, task_horizon=3)
    batch.update([[1.0, -0.0]], [0], [1.0], [[1.0, 0.0]], [False])
    assert batch.n_states.tolist() == [1]
