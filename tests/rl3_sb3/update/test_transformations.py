"""Relabelled sequences of tasks with transformations of states."""

import math
import pickle

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.utils import set_random_seed

from rl3_sb3 import Symmetry, Transformation
from rl3_sb3.update.symmetry import Relabelling

from .batches import learned, random_batch

SWAPPED = Transformation([1, 0, 2], origin=[1, 0], scale=[1.0, -1.0], shift=[0.0, 3.0])
SAME = Transformation([0, 1, 2], origin=[0, 1])


def test_a_transformed_state_is_that_of_its_definition():
    symmetry = Symmetry([[1, 2, 3]], transformations=[SAME, SWAPPED], state=[4, 0])
    batch = random_batch(2, 1)
    batch = batch._replace(tokens=th.arange(16.0).reshape(2, 1, 8))
    labels = np.array([SAME.new_labels, SWAPPED.new_labels])
    new = Relabelling(symmetry, labels, np.ones(2, bool), np.array([0, 1])).of(batch, np.arange(2))
    # The second token is 8 to 15, its state (12, 8): it becomes (8, 3 - 12) at 4 and 0.
    assert new.tokens.tolist() == [[[0, 1, 2, 3, 4, 5, 6, 7]], [[-9, 10, 9, 11, 8, 13, 14, 15]]]


def test_a_minibatch_without_relabelled_sequences_stays_as_it_is():
    symmetry = Symmetry([[1, 2, 3]], transformations=[SAME, SWAPPED], state=[4, 0])
    batch = random_batch(3)
    labels = np.tile(np.arange(3), (3, 1))
    nothing = Relabelling(symmetry, labels, np.zeros(3, bool), np.array([0, 1, 1]))
    new = nothing.of(batch, np.arange(3))
    assert th.equal(new.tokens, batch.tokens)


def test_a_symmetry_stored_before_there_were_transformations_has_none():
    stored = Symmetry([[1, 2, 3]])
    for name in ("transformations", "state"):
        del stored.__dict__[name]
    loaded = pickle.loads(pickle.dumps(stored))
    assert (loaded.transformations, loaded.state) == ((), ())
    assert loaded.draw(4).number is None


def test_states_that_are_not_shown_need_no_entries():
    symmetry = Symmetry([[1, 2, 3]], transformations=[SAME, SWAPPED])
    batch = random_batch(5)
    set_random_seed(0)
    new = symmetry.draw(5).of(batch, np.arange(5))
    assert th.equal(new.tokens[..., [0, 4, 5, 6, 7]], batch.tokens[..., [0, 4, 5, 6, 7]])
    assert not th.equal(new.tokens, batch.tokens)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"new_labels": [0, 2]}, r"`new_labels` must be a permutation of 0 to n - 1, got \[0, 2\]"),
        ({"new_labels": [0], "origin": [1, 1]}, r"`origin` must be a permutation"),
        (
            {"new_labels": [0], "origin": [1, 0], "scale": [1.0]},
            r"`scale` must be a finite number for each of the 2 entries in `origin`, got \[1.0\]",
        ),
        (
            {"new_labels": [0], "origin": [0], "scale": [0.0]},
            "`scale` must not be 0, got ",
        ),
        ({"new_labels": None}, "`new_labels` must be a permutation of 0 to n - 1, got None"),
        ({"new_labels": ["a", 1]}, r"`new_labels` must be a permutation .* got \['a', 1\]"),
        ({"new_labels": [0], "origin": [0], "scale": -1}, "`scale` must be a finite .* got -1"),
        ({"new_labels": [0], "origin": [0], "shift": [math.nan]}, "`shift` must be a finite"),
    ],
)
def test_what_is_no_transformation_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Transformation(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"state": [4, 5]}, "`state` must be left out without `transformations`"),
        ({"transformations": [SWAPPED], "state": [4, 3]}, "`state` must hold different indices"),
        ({"transformations": [SWAPPED], "state": [-1, 4]}, "`state` must hold indices"),
        ({"transformations": [SWAPPED], "state": [4]}, r"`transformations\[0\]` must be of 3 act"),
        ({"transformations": [Transformation([1, 0])]}, r"states of 0 entries.* got 2 and 0"),
        ({"transformations": ["turned"]}, r"`transformations\[0\]` must be a Transformation"),
    ],
)
def test_transformations_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Symmetry([[1, 2, 3]], **arguments)


def test_a_state_beyond_the_token_is_refused(make_vec, make_model):
    symmetry = Symmetry([[0, 1, 2]], transformations=[SWAPPED], state=[3, 4])
    with pytest.raises(ValueError, match="tokens, which have 4, got 4"):
        make_model(make_vec([4, 4]), n_steps=8, symmetry=symmetry)


def test_a_model_with_transformations_trains_and_is_saved(make_vec, make_model, tmp_path):
    symmetry = Symmetry([[1, 2, 3]], transformations=[SAME, SWAPPED], state=[4, 0])
    model = learned(make_vec, make_model, symmetry)
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model", device="cpu")
    assert list(loaded.symmetry.transformations) == [SAME, SWAPPED]
    identity = Symmetry([[1, 2, 3]], transformations=[SAME, SAME], state=[4, 0])  # the same draws
    plain = learned(make_vec, make_model, identity)
    assert not np.array_equal(*(m.policy.parameters_to_vector() for m in (model, plain)))
