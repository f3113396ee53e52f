"""What the door keeps for learners of one task each: masks, and their answers as numbers."""

from fractions import Fraction

import numpy as np
import pytest

from vamdp.estimators import Scales
from vamdp.estimators.row_by_row import RowByRow

EVERY = np.ones(1, bool)


class Knows:
    """Thinks the same of every state: action 0 is the best."""

    def __init__(self, Q=(5.0, 0.0, 1.0), counts=(1, 2, 3)) -> None:
        self.Q, self.N = Q, counts

    def q_values(self, state):
        return self.Q

    def counts(self, state):
        return self.N

    def update(self, state, action, reward, next_state, terminated, next_action_mask=None):
        pass

    def forget(self):
        pass


def written(learner, state):
    out = np.zeros((1, 7), np.float32)
    learner.write([state], Scales(), out)
    return out[0].tolist()


def value(learner, state):
    return written(learner, state)[3]


def update(learner, masks):
    learner.update(["x"], np.array([0]), np.array([1.0]), ["a"], np.array([False]), masks)


def start(learner, masks):
    learner.begin_episodes(EVERY, ["a"], masks)


@pytest.mark.parametrize("tell", [start, update])
def test_a_mask_holds_for_its_state_until_the_task_is_forgotten(tell):
    learner = RowByRow([Knows()], 3)
    assert value(learner, "a") == 5
    tell(learner, np.array([[False, True, True]]))
    assert value(learner, "a") == 1
    assert value(learner, "b") == 5
    tell(learner, np.zeros((1, 3), bool))  # tells nothing: the one before holds
    assert value(learner, "a") == 1
    learner.begin_tasks(~EVERY, [None])
    assert value(learner, "a") == 1
    learner.begin_tasks(EVERY, [None])
    assert value(learner, "a") == 5


@pytest.mark.parametrize("tell", [start, update])
def test_a_mask_is_kept_though_the_callers_array_is_used_again(tell):
    learner, masks = RowByRow([Knows()], 3), np.array([[False, True, True]])
    tell(learner, masks)
    masks[:] = True
    assert value(learner, "a") == 1


def test_a_learner_that_writes_into_its_mask_changes_neither_what_is_kept_nor_the_callers():
    class Writes(Knows):
        def update(self, state, action, reward, next_state, terminated, next_action_mask=None):
            next_action_mask[:] = True

        def set_action_mask(self, state, mask):
            mask[:] = True

    for tell in (start, update):
        learner, masks = RowByRow([Writes()], 3), np.array([[False, True, True]])
        tell(learner, masks)
        assert value(learner, "a") == 1
        assert masks.tolist() == [[False, True, True]]


@pytest.mark.parametrize(
    "kind", [int, np.int32, np.uint8, np.float32, bool, Fraction], ids=lambda kind: kind.__name__
)
@pytest.mark.parametrize("array", [False, True])
def test_numbers_of_every_kind_are_written_alike(kind, array):
    Q, N = [1, 0, 1], [1, 1, 0]
    as_kind = (lambda row: np.array(list(map(kind, row)))) if array else (
        lambda row: list(map(kind, row))
    )  # fmt: skip
    learner = RowByRow([Knows(as_kind(Q), as_kind(N))], 3)
    assert written(learner, "a") == [0, -1, 0, 1, 1, 1, 0]
    start(learner, np.array([[False, True, False]]))
    assert written(learner, "a") == [0, 0, 0, 0, 1, 1, 0]
