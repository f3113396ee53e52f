"""Bins whose widths follow what was seen, and the learners behind them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vamdp import BatchValueEstimator, StateBins
from vamdp.estimators import Scales
from vamdp.estimators.q_learning import QLearning
from vamdp.estimators.row_by_row import RowByRow
from vamdp.estimators.running_bins import RunningBins

OPTIONS = {"task_horizon": 20, "gamma": 0.9}
ONE = np.ones(1, bool)


def running(bins, n_tasks=1, learner=BatchValueEstimator, **options):
    learners = [learner(1, 2, **(options or OPTIONS)) for _ in range(n_tasks)]
    return RunningBins(learners, bins)


def walk(rng, n_steps, d=2, size=1.0):
    """States of a walk that gets ever farther, actions, rewards and ends."""
    states = size * np.cumsum(rng.normal(size=(n_steps + 1, d)), axis=0)
    return states, rng.integers(0, 2, n_steps), rng.normal(size=n_steps), rng.random(n_steps) < 0.1


def learn(estimator, states, actions, rewards, ends):
    for t in range(len(actions)):
        move = (states[t : t + 1], actions[t : t + 1], rewards[t : t + 1], states[t + 1 : t + 2])
        estimator.update(*move, ends[t : t + 1])


def written(estimator, state):
    out = np.zeros((estimator.n_tasks, 5), np.float32)
    estimator.write(state, Scales(), out)
    return out


def test_widths_are_powers_of_two_that_cover_the_range_seen():
    estimator = running(StateBins(4))
    estimator.begin_episodes(ONE, np.array([[0.0, 5.0]]), None)
    assert estimator.bins_of([[0.0, 5.0]]).tolist() == [[0, 0]]  # no range yet: one bin
    learn(estimator, np.array([[0.0, 5.0], [3.0, 5.0]]), np.array([0]), np.zeros(1), [False])
    # 3 <= 4 w for w = 1; the other number has not moved.
    assert estimator.bins_of([[2.5, 5.0]]).tolist() == [[2, 0]]
    learn(estimator, np.array([[3.0, 5.0], [-2.0, 5.5]]), np.array([0]), np.zeros(1), [False])
    # 5 <= 4 w for w = 2; 0.5 <= 4 w for w = 1/8.
    assert estimator.bins_of([[2.5, 5.3]]).tolist() == [[1, 42]]


@pytest.mark.parametrize("k", [-300, 7, 40])
def test_a_range_that_has_not_grown_is_never_told_again(k):
    """A range one rounding step above 8 widths of 2**k needs the next width, once."""
    updates = []

    class Counted(QLearning):
        def update(self, *arguments):
            updates.append(arguments)
            super().update(*arguments)

    top = np.nextafter(2.0 ** (k + 3), np.inf)
    estimator = running(StateBins(8), learner=Counted, gamma=0.9)
    estimator.begin_episodes(ONE, np.array([[0.0]]), None)
    for _ in range(20):
        estimator.update(np.array([[0.0]]), [0], [1.0], np.array([[top]]), [False])
    assert len(updates) == 20
    assert estimator.bins_of([[top]]).tolist() == [[4]]  # of width 2**(k + 1)


@settings(deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(2, 30), st.just(1)), elements=st.floats(-1e6, 1e6)))
def test_no_number_ever_has_more_than_one_bin_too_many(states):
    estimator, n = running(StateBins(5)), len(states) - 1
    learn(estimator, states, np.zeros(n, int), np.zeros(n), np.zeros(n, bool))
    bins = {tuple(estimator.bins_of(state[None])[0]) for state in states}
    assert len(bins) <= 6


@pytest.mark.parametrize(
    ("learner", "options"),
    [(BatchValueEstimator, OPTIONS), (QLearning, {"gamma": 0.9, "n_replayed": 3})],
)
def test_the_learner_is_the_one_that_knew_the_last_widths_from_the_start(learner, options):
    states, *rest = walk(np.random.default_rng(0), 60)
    estimator = running(StateBins(4), learner=learner, **options)
    estimator.begin_tasks(ONE, [7])
    learn(estimator, states, *rest)
    keys = np.concatenate([estimator.bins_of(state[None]) for state in states])
    told_all = learner(1, 2, **options)
    told_all.begin_tasks(ONE, [7])
    learn(told_all, keys, *rest)
    for state, key in zip(states, keys, strict=True):
        assert written(estimator, state[None]).tolist() == written(told_all, key[None]).tolist()
    assert len({tuple(key) for key in keys}) > 8  # bins did their work


def test_known_bounds_stay_and_only_the_others_run():
    estimator = running(StateBins(4, low=(0.0, -np.inf), high=(1.0, np.inf)))
    states = np.array([[0.1, 0.0], [0.3, 8.0], [7.0, 2.0]])
    learn(estimator, states, np.zeros(2, int), np.zeros(2), np.zeros(2, bool))
    bins = [estimator.bins_of(state[None])[0].tolist() for state in states]
    assert bins == [[0, 0], [1, 4], [3, 1]]


@pytest.mark.parametrize("n", [3, 7, 10])
def test_a_bounded_number_has_the_bin_that_it_has_without_an_unbounded_one_beside_it(n):
    numbers = np.float64(np.arange(-2, 3 * n + 3)) / (3 * n)  # on the bins' edges too
    alone = StateBins(n, low=0.0, high=1.0).keys(numbers[:, None])
    estimator = running(StateBins(n, low=(0.0, -np.inf), high=(1.0, np.inf)))
    beside = [estimator.bins_of([[x, 5.0]])[0, 0] for x in numbers]
    assert beside == alone[:, 0].tolist()
    assert StateBins(10, 0.0, 1.0)([0.7]) == (7,)


def test_rows_of_a_batch_are_batches_of_one():
    walks = [walk(np.random.default_rng(i), 40, size=10.0**i) for i in range(3)]
    batch = running(StateBins(3), n_tasks=3)
    for t in range(40):
        moves = [(s[t], a[t], r[t], s[t + 1], e[t]) for s, a, r, e in walks]
        batch.update(*map(np.array, zip(*moves, strict=True)))
    last = np.array([states[-1] for states, *_ in walks])
    rows = written(batch, last)
    for i, each in enumerate(walks):
        alone = running(StateBins(3))
        learn(alone, *each)
        assert written(alone, last[i : i + 1])[0].tolist() == rows[i].tolist()


def test_a_new_task_forgets_widths_and_transitions_and_no_other_task_does():
    rng = np.random.default_rng(0)
    estimator, fresh = running(StateBins(4), n_tasks=2), running(StateBins(4))
    for size in (100.0, 1.0):
        states = [walk(rng, 10, size=size)[0] for _ in range(2)]
        for t in range(10):
            pair = [np.array([s[t + k] for s in states]) for k in (0, 1)]
            estimator.update(pair[0], [0, 0], [1.0, 1.0], pair[1], [False, False])
            if size == 1.0:
                fresh.update(pair[0][:1], [0], [1.0], pair[1][:1], [False])
        if size == 100.0:
            kept = estimator.bins_of(np.full((2, 2), 50.0))[1].tolist()
            estimator.begin_tasks(np.array([True, False]), [None, None])
    here = np.array([states[0][-1], [50.0, 50.0]])
    assert written(estimator, here)[0].tolist() == written(fresh, here[:1])[0].tolist()
    assert estimator.bins_of(here)[1].tolist() == kept


@pytest.mark.parametrize("at_start", [True, False])
def test_masks_are_told_again_too(at_start):
    """Only the masked action pays: without it the value of the first state is 0."""
    states, mask = np.array([[0.0], [0.1], [0.0], [50.0]]), np.array([[True, False]])
    estimator = running(StateBins(4))
    estimator.begin_episodes(ONE, states[:1], mask if at_start else None)
    for t in range(3):
        told = None if at_start else mask
        estimator.update(states[t : t + 1], [1], [1.0], states[t + 1 : t + 2], [False], told)
    assert estimator.bins_of(states[:1]) == estimator.bins_of(states[1:2])
    value = written(estimator, states[:1])[0, 2]
    assert value == 0.0
    assert written(estimator, states[-1:])[0, 0] == 0.0  # no advantage either


def test_nothing_is_learned_from_a_batch_with_a_fault():
    estimator = running(StateBins(4), n_tasks=2)
    good = np.zeros((2, 1))
    for bad in (np.array([[0.0], [np.nan]]), np.zeros((2, 3))):
        estimator.update(good, [0, 0], [0.0, 0.0], good + 1, [False, False])
        before = written(estimator, good).tolist()
        with pytest.raises(ValueError, match="next_states"):
            estimator.update(good, [0, 0], [1.0, 1.0], bad, [False, False])
        assert written(estimator, good).tolist() == before


def test_rounding_noise_is_no_range():
    estimator = running(StateBins(4))
    states = np.array([[0.3, 0.0], [0.1 + 0.2, 1.0], [0.3, 2.0]])
    learn(estimator, states, np.zeros(2, int), np.ones(2), np.zeros(2, bool))
    assert len({estimator.bins_of(state[None])[0, 0] for state in states}) == 1
    assert written(estimator, states[1:2])[0, 3] == 1


class Refuses:
    """A learner of one task that refuses its second transition."""

    def __init__(self):
        self.seen = []

    def update(self, state, action, reward, next_state, terminated):
        if len(self.seen) == 1 and reward == 7:
            raise ValueError("no")
        self.seen.append(reward)

    def q_values(self, state):
        return np.zeros(2)

    counts = q_values

    def forget(self):
        self.seen.clear()


def test_a_transition_that_the_learner_refuses_is_not_taught_again():
    learner = Refuses()
    estimator = RunningBins([RowByRow([learner], 2)], StateBins(4))
    states = np.array([[0.0], [1.0], [1.5], [90.0]])
    for t, reward in enumerate([1.0, 7.0, 2.0]):
        move = (states[t : t + 1], [0], [reward], states[t + 1 : t + 2], [False])
        if reward == 7:
            with pytest.raises(ValueError, match="no"):
                estimator.update(*move)
        else:
            estimator.update(*move)
    assert learner.seen == [1.0, 2.0]  # all again, when the last one made the bins wider
