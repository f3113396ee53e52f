"""What a learner keeps and what it loses: a new task, saving, going on elsewhere."""

import copy
import pickle

import numpy as np
import pytest

import vamdp

VARIANTS = [
    {},
    {"gamma": 0.9, "warm_start": True},
    {"cluster_size": 3, "reward_model": "state_action"},
    {"cluster_size": 2, "cluster_terminals": True, "smoothing": 0.0},
    {"bonus": 3.0},
    {"prior_mean": -1.0, "prior_weight": 2.0},
]
CELLS = list(np.ndindex(6, 6))


def learner(variant):
    return vamdp.ValueEstimator(3, task_horizon=20, **variant)


def feed(estimators, seed, n_steps=60):
    """The same random transitions for each of the estimators."""
    rng = np.random.default_rng(seed)
    for _ in range(n_steps):
        (state, next_state), action = rng.integers(6, size=(2, 2)).tolist(), int(rng.integers(3))
        mask = [True, *(rng.random(2) < 0.7)]
        for estimator in estimators:
            estimator.update(
                tuple(state), action, sum(state) / 7, tuple(next_state), sum(next_state) > 8, mask
            )


def assert_same(one, other):
    assert (one.n_states, one.n_sweeps) == (other.n_states, other.n_sweeps)
    for cell in CELLS:
        np.testing.assert_array_equal(one.q_values(cell), other.q_values(cell))
        np.testing.assert_array_equal(one.counts(cell), other.counts(cell))
        assert one.value(cell) == other.value(cell)


def assert_same_state(one, other):
    assert one.keys() == other.keys()
    assert one["options"] == other["options"]
    assert one["arrays"].keys() == other["arrays"].keys()
    for name, array in one["arrays"].items():
        np.testing.assert_array_equal(array, other["arrays"][name])


@pytest.fixture(params=VARIANTS, ids=lambda variant: "-".join(variant) or "plain")
def variant(request):
    return request.param


# A new task


def test_after_forgetting_nothing_is_known(variant):
    estimator = learner(variant)
    feed([estimator], seed=0)
    estimator.forget()
    assert_same(estimator, learner(variant))
    assert estimator.model().states == []


def test_what_is_learned_after_forgetting_is_what_a_fresh_learner_learns(variant):
    used, fresh = learner(variant), learner(variant)
    feed([used], seed=0)
    used.forget()
    feed([used, fresh], seed=1)
    assert_same(used, fresh)


def test_masks_are_forgotten_too():
    estimator = vamdp.ValueEstimator(2, task_horizon=1, smoothing=0.0)
    estimator.set_action_mask(0, [True, False])
    estimator.forget()
    estimator.update(0, 1, 5.0, 0, True)
    assert estimator.value(0) == 5.0


def test_forgetting_before_anything_is_learned_is_no_error():
    estimator = learner({})
    estimator.forget()
    assert estimator.n_states == 0


# Saving and going on


def test_a_restored_learner_goes_on_bit_for_bit(variant):
    original, restored = learner(variant), learner(variant)
    feed([original], seed=0)
    feed([restored], seed=9)  # to be overwritten
    restored.set_state(pickle.loads(pickle.dumps(original.get_state())))
    assert_same(original, restored)
    assert_same_state(original.get_state(), restored.get_state())
    feed([original, restored], seed=1)
    assert_same(original, restored)


def test_a_learner_that_forgot_can_be_saved(variant):
    original, restored = learner(variant), learner(variant)
    feed([original], seed=0)
    original.forget()
    feed([original], seed=1, n_steps=5)
    restored.set_state(original.get_state())
    feed([original, restored], seed=2)
    assert_same(original, restored)


def test_a_learner_that_has_learned_nothing_can_be_saved():
    estimator = learner({})
    feed([estimator], seed=0)
    estimator.set_state(learner({}).get_state())
    assert_same(estimator, learner({}))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_a_copied_learner_goes_on_bit_for_bit_and_shares_nothing(duplicate):
    original = learner({})
    feed([original], seed=0)
    kept = original.get_state()
    twin = duplicate(original)
    feed([twin], seed=1)
    assert_same_state(original.get_state(), kept)
    feed([original], seed=1)
    assert_same(original, twin)


def test_a_saved_state_does_not_change_as_learning_goes_on():
    estimator = learner({})
    feed([estimator], seed=0)
    state = estimator.get_state()
    kept = copy.deepcopy(state)
    feed([estimator], seed=1)
    assert_same_state(state, kept)
    estimator.set_state(state)
    feed([estimator], seed=1)
    assert_same_state(state, kept)


def test_a_batch_is_restored_bit_for_bit():
    batches = [vamdp.BatchValueEstimator(2, 3, task_horizon=9) for _ in range(2)]
    batches[0].update([0, 5], [1, 2], [1.0, 2.0], [3, 5], [False, True])
    batches[1].set_state(batches[0].get_state())
    for batch in batches:
        batch.update([3, 5], [0, 2], [4.0, 2.0], [3, 6], [False, False])
    for states in ([0, 5], [3, 6]):
        np.testing.assert_array_equal(batches[0].q_values(states), batches[1].q_values(states))


# What is refused


def damaged(state, name, index, value):
    state["arrays"][name][index] = value
    return state


def without(state, name):
    del state["arrays"][name]
    return state


def replaced(state, name, function):
    state["arrays"][name] = function(state["arrays"][name])
    return state


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda s: None, TypeError, r"`state` must be a dict from `get_state`, got None"),
        (lambda s: {}, ValueError, r"with n_tasks = 1, got None"),
        (lambda s: s | {"n_actions": 2}, ValueError, r"with n_actions = 3, got 2"),
        (lambda s: s | {"n_tasks": 2}, ValueError, r"with n_tasks = 1, got 2"),
        (
            lambda s: s | {"options": s["options"] | {"gamma": 0.5}},
            ValueError,
            r"with options = \{.*'gamma': 1.0.*got .*'gamma': 0.5",
        ),
        (lambda s: s | {"arrays": None}, ValueError, r"`state\['arrays'\]` must be those of"),
        (lambda s: without(s, "keys"), ValueError, r"`state\['arrays'\]` must be those of"),
        (lambda s: without(s, "V"), ValueError, r"`state\['arrays'\]\['V'\]` must be float64"),
        (
            lambda s: replaced(s, "V", lambda V: V[:, :-1]),
            ValueError,
            r"`state\['arrays'\]\['V'\]` must be float64 of shape \(1, 64\), got .* \(1, 63\)",
        ),
        (
            lambda s: replaced(s, "tables", lambda t: t.astype(np.float32)),
            ValueError,
            r"`state\['arrays'\]\['tables'\]` must be float64 .* got float32",
        ),
        (
            lambda s: replaced(s, "keys", lambda keys: keys[:, :-1]),
            ValueError,
            r"`state\['arrays'\]\['keys'\]` must have 2\*\*n rows per task, got 63",
        ),
        (
            lambda s: replaced(s, "triple_values", lambda t: t[..., :0]),
            ValueError,
            r"`state\['arrays'\]\['triple_values'\]` must have space",
        ),
        (lambda s: damaged(s, "sizes", (0, 0), 65), ValueError, r"`sizes` has an index out"),
        (lambda s: damaged(s, "sizes", (0, 1), -1), ValueError, r"`sizes` has an index out"),
        (lambda s: damaged(s, "sizes", (0, 2), 10**6), ValueError, r"`sizes\[:, 2\]` has an index"),
        (lambda s: damaged(s, "ids", (0, 3), 64), ValueError, r"`ids` has an index out"),
        (lambda s: damaged(s, "ids", (0, 3), -2), ValueError, r"`ids` has an index out"),
        (
            lambda s: damaged(s, "row_counts", (0, 1), 9999),
            ValueError,
            r"`row_counts` has an index",
        ),
        (lambda s: damaged(s, "triples", (0, 0, 5), 3 * 64), ValueError, r"`triples\[:, 0\]`"),
        (lambda s: damaged(s, "triples", (0, 1, 5), 64), ValueError, r"`triples\[:, 1\]`"),
        # Triple number 5 (stored plus one) leading to itself: a circle.
        (lambda s: damaged(s, "triples", (0, 3, 5), 6), ValueError, r"`triples\[:, 3\]`"),
    ],
)
def test_a_foreign_or_damaged_state_is_refused_and_nothing_changes(damage, error, message):
    source, estimator = learner({}), learner({})
    feed([source], seed=0)
    feed([estimator], seed=1)
    before = estimator.get_state()
    with pytest.raises(error, match=message):
        estimator.set_state(damage(source.get_state()))
    assert_same_state(estimator.get_state(), before)
    estimator.set_state(source.get_state())  # the undamaged one is taken
    assert_same(estimator, source)
