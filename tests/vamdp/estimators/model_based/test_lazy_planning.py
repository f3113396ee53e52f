"""Planning waits until somebody looks: the estimates never tell."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vamdp
from vamdp.estimators.estimator import UNSCALED
from vamdp.estimators.model_based.fast_step import FastStep
from vamdp.estimators.model_based.storage import CHANGED, Q_TABLE, grow

N_TASKS, N_ACTIONS = 2, 3

OPTIONS = st.fixed_dictionaries(
    {
        "task_horizon": st.sampled_from([1, 7, 60]),
        "gamma": st.sampled_from([1.0, 0.9]),
        "smoothing": st.sampled_from([0.0, 0.1]),
        "cluster_size": st.sampled_from([1, 2]),
        "bonus": st.sampled_from([0.0, 3.0]),
        "prior_weight": st.sampled_from([0.0, 2.0]),
    }
)


def transitions(seed, n_steps):
    """Steps of N_TASKS walks on small grids; few states, so that rows repeat."""
    rng = np.random.default_rng(seed)
    places = np.zeros((N_TASKS, 2), int)
    for t in range(n_steps):
        following = np.clip(places + rng.integers(-1, 2, places.shape), 0, 2)
        ends = rng.random(N_TASKS) < 0.1
        masks = rng.random((N_TASKS, N_ACTIONS)) < 0.8
        masks[:, 0] = True
        actions, rewards = rng.integers(N_ACTIONS, size=N_TASKS), rng.normal(size=N_TASKS)
        yield places, actions, rewards, following, ends, masks if t % 5 == 0 else None
        places = np.where(ends[:, None], 0, following)


def all_that_is_shown(batch):
    """Everything a reader can ask for, as bytes."""
    parts = [batch.n_sweeps, batch.n_states]
    for x in range(3):
        for y in range(3):
            states = [[x, y]] * N_TASKS
            parts += [batch.q_values(states), batch.value(states), batch.counts(states)]
    return b"".join(part.tobytes() for part in parts)


@settings(max_examples=30, deadline=None)
@given(OPTIONS, st.integers(0, 2**31))
def test_looking_seldom_shows_what_looking_always_shows_to_the_last_bit(options, seed):
    always, seldom = (vamdp.BatchValueEstimator(N_TASKS, N_ACTIONS, **options) for _ in range(2))
    rng = np.random.default_rng(seed)
    for t, step in enumerate(transitions(seed, 60)):
        always.update(*step)
        always.plan()
        seldom.update(*step)
        if t == 30:
            for batch in (always, seldom):
                batch.forget([True, False])
        if t % 17 == 16:
            masks = np.array([[True, t % 2 == 0, True]] * N_TASKS)
            for batch in (always, seldom):
                batch.set_action_masks(step[0], masks)
        if rng.random() < 0.2:
            assert all_that_is_shown(seldom) == all_that_is_shown(always)
    assert all_that_is_shown(seldom) == all_that_is_shown(always)


def learned(n_steps=12, look=False, **options):
    """A learner that nobody has looked at, or after each step."""
    batch = vamdp.BatchValueEstimator(N_TASKS, N_ACTIONS, task_horizon=20, **options)
    for step in transitions(4, n_steps):
        batch.update(*step)
        if look:
            batch.plan()
    return batch


def test_nothing_is_planned_until_somebody_looks():
    batch = learned()
    batch.counts([[0, 0]] * N_TASKS)
    assert not batch.storage.tables[:, Q_TABLE].any()
    assert batch.n_sweeps.min() > 0
    assert batch.storage.tables[:, Q_TABLE].any(axis=(1, 2)).all()
    assert (batch.storage.sizes[:, CHANGED] == 0).all()


def test_a_learner_of_one_task_plans_nothing_until_somebody_looks():
    estimator = vamdp.ValueEstimator(N_ACTIONS, task_horizon=20)
    for _ in range(3):
        estimator.update(0, 1, 1.0, 0, False)
    assert not estimator.batch.storage.tables[:, Q_TABLE].any()
    assert estimator.n_sweeps == 20
    assert estimator.batch.storage.tables[:, Q_TABLE].any()


def features(batch):
    out = np.zeros((N_TASKS, 2 * N_ACTIONS + 1), np.float32)
    batch.write(np.zeros((N_TASKS, 2)), UNSCALED, out)
    return out


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda b: b.q_values([[0, 0]] * N_TASKS), id="q_values"),
        pytest.param(lambda b: b.value([[0, 0]] * N_TASKS), id="value"),
        pytest.param(lambda b: b.n_sweeps, id="n_sweeps"),
        pytest.param(lambda b: b.get_state()["arrays"]["tables"], id="get_state"),
        pytest.param(features, id="show"),
    ],
)
def test_whatever_is_asked_first_is_planned_for(ask):
    np.testing.assert_array_equal(ask(learned()), ask(learned(look=True)))


def test_with_a_warm_start_every_update_plans():
    batch = learned(gamma=0.9, warm_start=True)
    assert batch.storage.tables[:, Q_TABLE].any(axis=(1, 2)).all()


@pytest.mark.parametrize(
    "boundary",
    [
        pytest.param(lambda b: b, id="none"),
        pytest.param(copy.deepcopy, id="copy"),
        pytest.param(lambda b: pickle.loads(pickle.dumps(b)), id="pickle"),
        pytest.param(lambda b: (b._store(grow(b.storage, 32, 128, 20)), b)[1], id="growth"),
        pytest.param(lambda b: (b.set_state(learned().get_state()), b)[1], id="set_state"),
        pytest.param(lambda b: (b.set_state(b.get_state()), b)[1], id="its own state"),
        pytest.param(lambda b: (b.forget([False, False]), b)[1], id="nothing forgotten"),
    ],
)
def test_a_boundary_before_the_first_look_changes_nothing(boundary):
    assert all_that_is_shown(boundary(learned())) == all_that_is_shown(learned(look=True))


def test_what_is_forgotten_before_the_first_look_is_never_planned():
    batch = learned()
    batch.forget([True, False])
    assert batch.n_sweeps.tolist() == [0, learned(look=True).n_sweeps[1]]
    for step in transitions(4, 12):
        batch.update(*step)
    np.testing.assert_array_equal(
        batch.q_values([[0, 0]] * N_TASKS)[0],
        learned(look=True).q_values([[0, 0]] * N_TASKS)[0],
    )


def test_a_mask_told_between_update_and_look_waits_for_the_next_planning():
    def told(look):
        batch = learned(look=look)
        batch.set_action_masks([[0, 0]] * N_TASKS, [[True, False, False]] * N_TASKS)
        return all_that_is_shown(batch)

    assert told(look=False) == told(look=True)


def test_a_step_that_shows_plans_for_updates_that_nobody_looked_at():
    shown = []
    for look in (False, True):
        estimator = vamdp.ValueEstimator(N_ACTIONS, task_horizon=20)
        for places, actions, rewards, following, ends, _ in transitions(4, 12):
            estimator.update(
                tuple(places[0].tolist()), int(actions[0]), rewards[0],
                tuple(following[0].tolist()), bool(ends[0]),
            )  # fmt: skip
            if look:
                assert estimator.n_sweeps > 0
        stepping, vector = FastStep(estimator.batch), np.zeros(2 * N_ACTIONS + 1, np.float32)
        stepping.begin((0, 0))
        stepping.step(1, 2.0, (1, 1), False, None, vector)
        shown.append((vector.tobytes(), estimator.n_sweeps, estimator.q_values((0, 0)).tobytes()))
    assert shown[0] == shown[1]
