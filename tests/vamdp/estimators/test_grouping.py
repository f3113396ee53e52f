"""How states are told apart, and how they gather in clusters."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vamdp

NUMBERS = st.one_of(
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(-(2.0**50), 2.0**50, allow_nan=False),
)


def visit(states, **options):
    """An estimator that met the states one after the other, alive."""
    estimator = vamdp.ValueEstimator(1, task_horizon=1, **options)
    for state, next_state in pairwise(states):
        estimator.update(state, 0, 0.0, next_state, False)
    return estimator


def members(estimator):
    return [list(s.members) for s in estimator.model().states]


# States


@pytest.mark.parametrize(
    "states",
    [
        [0, -1, 1, -2, 2**53 - 1, -(2**53) + 1],
        list(range(0, 500 * 97, 97)),  # Taxi and its like: many ints, in a regular pattern
        [i * 2**32 for i in range(-50, 50)],
        [(row, column) for row in range(-9, 9) for column in range(-9, 9)],
        [(x / 7, -x / 3) for x in range(60)],
        [(0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, 1), (1, 1, 1)],
        [(0.5,), (0.25,), (5e-324,), (-5e-324,)],
    ],
    ids=["ends of the range", "regular ints", "high bits", "cells", "fractions", "bits", "tiny"],
)
def test_states_are_told_apart_and_numbered_in_order_of_first_sight(states):
    estimator = visit([*states, *states])
    decoded = [s.members[0] for s in estimator.model().states]
    assert decoded == [s if isinstance(s, int | tuple) else (s,) for s in states]
    assert [estimator.counts(s)[0] for s in states] == [2] * (len(states) - 1) + [1]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=40))
def test_two_states_are_one_exactly_if_they_are_equal(states):
    assert visit(states).n_states == len(set(states))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.0, -0.0),
        ((1.0, -0.0), (1.0, 0.0)),
        (3, 3.0),
        (3, np.int8(3)),
        (3, (3,)),
        ((1, 2), (1.0, np.float32(2))),
    ],
)
def test_equal_numbers_are_one_state_whatever_their_type(one, other):
    estimator = visit([one, other, one])
    assert estimator.n_states == 1
    assert estimator.counts(other).tolist() == [2]


# Clusters


def test_a_full_cluster_takes_nobody_in():
    estimator = visit([(0, 0), (0, 1), (0, 2), (0, 3)], cluster_size=2)
    assert members(estimator) == [[(0, 0), (0, 1)], [(0, 2), (0, 3)]]


def test_a_state_joins_the_nearest_of_those_within_the_radius():
    options = {"cluster_size": 3, "cluster_radius": 3.0}
    estimator = visit([(0, 0), (0, 4), (0, 3)], **options)
    assert members(estimator) == [[(0, 0)], [(0, 4), (0, 3)]]


def test_of_two_as_near_the_one_met_first_is_joined():
    options = {"cluster_size": 3, "cluster_radius": 1.0}
    assert members(visit([(0, 2), (0, 0), (0, 1)], **options)) == [[(0, 2), (0, 1)], [(0, 0)]]
    assert members(visit([(0, 0), (0, 2), (0, 1)], **options)) == [[(0, 0), (0, 1)], [(0, 2)]]


@pytest.mark.parametrize(("radius", "n_clusters"), [(1.99, 2), (2.0, 1), (2.01, 1)])
def test_the_radius_itself_is_within_and_distance_is_manhattan(radius, n_clusters):
    estimator = visit([(0, 0), (1, -1)], cluster_size=2, cluster_radius=radius)
    assert estimator.n_states == n_clusters


def test_ints_cluster_on_the_line():
    assert members(visit([5, 7, 6, -1], cluster_size=2)) == [[5, 6], [7], [-1]]


def test_a_cluster_shares_its_values_and_each_member_keeps_its_counts():
    estimator = vamdp.ValueEstimator(2, task_horizon=3, cluster_size=2)
    estimator.update((0, 0), 0, 1.0, (0, 1), False)
    estimator.update((0, 1), 1, 3.0, (5, 5), False)
    np.testing.assert_array_equal(estimator.q_values((0, 0)), estimator.q_values((0, 1)))
    assert estimator.counts((0, 0)).tolist() == [1, 0]
    assert estimator.counts((0, 1)).tolist() == [0, 1]


def test_a_move_inside_a_cluster_is_a_move_to_itself():
    estimator = vamdp.ValueEstimator(1, task_horizon=4, cluster_size=2, smoothing=0.0)
    estimator.update((0, 0), 0, 1.0, (0, 1), False)
    assert estimator.n_states == 1
    assert estimator.value((0, 0)) == 4.0  # it pays 1 in each of the 4 steps to go


def test_an_end_founds_a_cluster_that_nobody_joins():
    estimator = vamdp.ValueEstimator(1, task_horizon=4, cluster_size=4, smoothing=0.0)
    estimator.update((0, 0), 0, 7.0, (0, 1), True)
    estimator.update((0, 0), 0, 7.0, (0, 2), True)
    assert members(estimator) == [[(0, 0)], [(0, 1)], [(0, 2)]]
    estimator.update((0, 0), 0, 7.0, (0, 1), False)  # alive, it joins as any other
    assert members(estimator) == [[(0, 0), (0, 1)], [(0, 1)], [(0, 2)]]
    assert [s.terminal for s in estimator.model().states] == [False, True, True]


def test_with_cluster_terminals_an_end_takes_its_whole_cluster_with_it():
    options = {"cluster_size": 2, "smoothing": 0.0, "cluster_terminals": True}
    estimator = vamdp.ValueEstimator(1, task_horizon=4, **options)
    estimator.update((9, 9), 0, 1.0, (0, 0), False)
    estimator.update((0, 0), 0, 2.0, (9, 9), False)
    assert estimator.value((0, 0)) > 0
    estimator.update((0, 0), 0, 100.0, (0, 1), True)
    # The goal joined the cluster of its neighbour; the cluster is absorbing, its reward lost.
    assert members(estimator) == [[(9, 9)], [(0, 0), (0, 1)]]
    assert [s.terminal for s in estimator.model().states] == [False, True]
    assert estimator.value((0, 0)) == 0.0
    assert estimator.value((9, 9)) == 1.0


def test_at_cluster_size_1_the_other_cluster_options_have_no_effect():
    plain = vamdp.ValueEstimator(1, task_horizon=4)
    odd = vamdp.ValueEstimator(1, task_horizon=4, cluster_radius=9.0, cluster_terminals=True)
    for estimator in (plain, odd):
        estimator.update(0, 0, 1.0, 1, True)
        estimator.update(0, 0, 1.0, 1, False)
    assert plain.n_states == odd.n_states == 3
    np.testing.assert_array_equal(plain.q_values(0), odd.q_values(0))


def test_a_cluster_bars_an_action_only_if_every_member_does():
    estimator = vamdp.ValueEstimator(2, task_horizon=2, cluster_size=2, smoothing=0.0)
    for action, reward in ((0, 1.0), (1, 5.0)):
        estimator.update((0, 0), action, reward, (9, 9), True)
    estimator.set_action_mask((0, 0), [True, False])
    # From afar into the neighbour, who joins (0, 0), first with and then without action 1.
    estimator.update((5, 5), 0, 0.0, (0, 1), False, next_action_mask=[True, True])
    assert estimator.model().states[0].members == ((0, 0), (0, 1))
    assert estimator.q_values((5, 5))[0] == 5.0
    assert (estimator.value((0, 0)), estimator.value((0, 1))) == (1.0, 5.0)
    estimator.update((5, 5), 0, 0.0, (0, 1), False, next_action_mask=[True, False])
    assert estimator.q_values((5, 5))[0] == 1.0
