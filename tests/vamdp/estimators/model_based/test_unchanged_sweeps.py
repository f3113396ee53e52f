"""Sweeps that are skipped because they cannot have changed: the estimates never tell."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vamdp
from vamdp.estimators.model_based import unchanged_sweeps
from vamdp.estimators.model_based.storage import N_RECORDED, Q_TABLE, grow

N_TASKS = 2


def estimator(n_recorded, options):
    """A learner that keeps so many sweeps at most."""
    batch = vamdp.BatchValueEstimator(N_TASKS, 3, **options)
    if n_recorded is not None:
        batch._n_recorded = n_recorded
    return batch


def live(batch, seed, n_steps=90, with_masks=False):
    """Walk small grids, with ends, forgetting and saving; return all that is shown, as bytes."""
    rng = np.random.default_rng(seed)
    size = rng.integers(2, 6)
    places = rng.integers(size, size=(N_TASKS, 2))
    shown = []
    for t in range(n_steps):
        actions = rng.integers(3, size=N_TASKS)
        following = (places + rng.integers(-1, 2, size=places.shape)) % size
        ends = rng.random(N_TASKS) < 0.06
        masks = rng.random((N_TASKS, 3)) < 0.8
        masks[:, 1] = True
        rewards = np.round(rng.normal(size=N_TASKS))
        told = masks if with_masks and t % 7 == 0 else None
        batch.update(places, actions, rewards, following, ends, told)
        for seen in (places, following):
            shown += [batch.q_values(seen), batch.value(seen), batch.counts(seen)]
        shown.append(batch.n_sweeps)
        places = np.where(ends[:, None], 0, following)
        if t % 40 == 39:
            batch.forget([True, False])
        if t % 30 == 29:
            batch.set_state(batch.get_state())
    return b"".join(array.tobytes() for array in shown)


OPTIONS = st.fixed_dictionaries(
    {
        "task_horizon": st.sampled_from([1, 2, 7, 40, 150]),
        "gamma": st.sampled_from([1.0, 0.95, 0.5]),
        "tolerance": st.sampled_from([0.0, 0.01, 0.3]),
        "smoothing": st.sampled_from([0.0, 0.01, 0.5]),
        "reward_model": st.sampled_from(["transition", "state_action"]),
        "cluster_size": st.sampled_from([1, 2]),
        "cluster_terminals": st.booleans(),
        "bonus": st.sampled_from([0.0, 3.0]),
        "prior_weight": st.sampled_from([0.0, 2.0]),
    }
)


@settings(max_examples=60, deadline=None)
@given(OPTIONS, st.integers(0, 2**31), st.booleans(), st.sampled_from([1, 3, 65]))
def test_keeping_all_some_or_no_sweeps_gives_the_same_estimates_to_the_last_bit(
    options, seed, with_masks, n_recorded
):
    plain, partial, whole = (
        live(estimator(n, options), seed, with_masks=with_masks) for n in (0, n_recorded, None)
    )
    assert whole == plain
    assert partial == plain


def walk_in_circles(batch, n_steps):
    """Three states, two of which are visited again and again."""
    for t in range(n_steps):
        state = np.array([t % 3] * N_TASKS)
        batch.update(state, [0, 0], [1.0, 0.0], (state + 1) % 3, [False, False])
        batch.plan()


def test_where_no_maximum_changes_nothing_is_swept():
    batch = estimator(None, {"task_horizon": 30})
    walk_in_circles(batch, 12)
    batch.storage.tables[:, Q_TABLE, 2, 1] = 99.0  # wrong, and stays so unless it is swept again
    batch.update([2, 2], [2, 2], [0.0, 0.0], [2, 2], [False, False])  # worse than going on
    assert batch.q_values([1, 1])[0, 2] == 99.0
    assert batch.n_sweeps[0] == 30
    batch.update([2, 2], [2, 2], [90.0, 90.0], [2, 2], [False, False])  # better: all changes
    assert batch.q_values([1, 1])[0, 2] != 99.0


@pytest.mark.parametrize("boundary", ["forget", "state", "mask", "set_state", "growth"])
def test_what_changes_more_than_one_row_ends_what_was_kept(boundary):
    batch = estimator(None, {"task_horizon": 10})
    walk_in_circles(batch, 6)
    assert (batch.storage.sizes[:, N_RECORDED] > 0).all()
    if boundary == "forget":
        batch.forget()
    elif boundary == "mask":
        batch.set_action_masks([0, 0], [[True, False, True]] * 2)
    elif boundary == "set_state":
        batch.set_state(batch.get_state())
    elif boundary == "growth":
        batch._store(grow(batch.storage, 16, 32, 10))
    elif boundary == "state":
        # A state enters: the sweeps of the new plan replace all of the old ones.
        before = batch.storage.history.copy()
        batch.update([1, 1], [1, 1], [5.0, 5.0], [7, 7], [False, False])
        batch.plan()
        n = batch.storage.sizes[0, N_RECORDED]
        assert n == batch.n_sweeps[0]
        assert (before[:, :3, :n] != batch.storage.history[:, :3, :n]).any(axis=1).all()
        return
    assert (batch.storage.sizes[:, N_RECORDED] == 0).all()


def test_room_for_more_transitions_leaves_what_was_kept():
    batch = estimator(None, {"task_horizon": 10})
    walk_in_circles(batch, 6)
    before = batch.storage
    batch._store(grow(before, before.V.shape[1], 2 * before.triples.shape[2], 10))
    assert batch.storage.history is before.history
    assert (batch.storage.sizes[:, N_RECORDED] > 0).all()


@pytest.mark.parametrize(
    "options", [{"task_horizon": 10, "gamma": 0.9, "warm_start": True}, {"task_horizon": 1}]
)
def test_where_there_is_nothing_to_gain_nothing_is_kept(options):
    batch = estimator(None, options)
    walk_in_circles(batch, 6)
    assert batch.storage.history.shape[2] == 0


def test_a_task_keeps_no_more_sweeps_than_fit():
    assert unchanged_sweeps.history_depth(128, 350) == 350
    for capacity in (4, 128, 1024, 4096):
        depth = unchanged_sweeps.history_depth(capacity, 10**9)
        assert 8 * depth * (capacity + unchanged_sweeps.N_LINES) <= unchanged_sweeps.HISTORY_BYTES
    batch = estimator(None, {"task_horizon": 350})
    rng = np.random.default_rng(0)
    state = np.zeros((N_TASKS, 2), int)
    for _ in range(250):
        following = (state + rng.integers(-1, 2, size=state.shape)) % 10
        batch.update(state, rng.integers(3, size=N_TASKS), [0.0, 0.0], following, [False, False])
        state = following
    assert 60 < batch.n_states.min() and batch.n_states.max() < 127
    assert batch.nbytes / N_TASKS < 512 * 1024


def test_copies_leave_what_was_kept_behind_and_go_on_alike():
    batch = estimator(None, {"task_horizon": 300})
    walk_in_circles(batch, 9)
    packed = pickle.dumps(batch)
    assert len(packed) < batch.storage.history.nbytes / 4
    copied = pickle.loads(packed)
    assert (copied.storage.sizes[:, N_RECORDED] == 0).all()
    for learner in (batch, copied):
        learner.update([2, 2], [2, 2], [5.0, 0.0], [2, 2], [False, False])
    np.testing.assert_array_equal(copied.q_values([0, 1]), batch.q_values([0, 1]))


def test_very_large_models_keep_nothing():
    assert unchanged_sweeps.history_depth(4096, 350) == 0
    assert unchanged_sweeps.history_depth(4096, 5) == 5
