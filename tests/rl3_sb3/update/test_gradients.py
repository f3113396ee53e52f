import pytest
import torch as th

from rl3_sb3.update.gradients import Gradients
from rl3_sb3.update.losses import Weights


@pytest.fixture
def rollout(make_vec, make_model):
    """A model with a rollout, and one minibatch of it."""

    def make(lengths, **kwargs):
        model = make_model(make_vec(lengths, **kwargs), n_steps=8, n_epochs=1)
        model.learn(8 * len(lengths))
        return model, next(model.rollout_buffer.get(None))

    return make


WEIGHTS = Weights(0.2, 0.3, 0.7, 24, 0.1, 2.0, return_mean=0.4, return_scale=1.5)


@pytest.mark.parametrize("actor_trains", [True, False])
@pytest.mark.parametrize("piece_steps", [1, 10, 1000])
@pytest.mark.parametrize("lengths", [[4, 4, 4], [4, 3, 7]])
def test_pieces_add_up_to_the_whole(rollout, lengths, piece_steps, actor_trains):
    model, batch = rollout(lengths, box_actions=True)

    def gradients(piece_steps):
        return Gradients(model.policy, piece_steps).of(batch, WEIGHTS, actor_trains=actor_trains)

    terms, whole = gradients(None)
    terms_of_pieces, pieces = gradients(piece_steps)
    assert len(terms) == (4 if actor_trains else 1)
    th.testing.assert_close(terms_of_pieces, terms)
    names = Gradients(model.policy, None).parameters(actor_trains=actor_trains)
    assert len(whole) == len(pieces) == len(names)
    for name, ours, theirs in zip(names, pieces, whole, strict=True):
        assert ours.shape == name.shape
        th.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)


def test_a_stopped_actor_changes_nothing_of_the_critics_gradients(rollout):
    model, batch = rollout([4, 3, 7])
    both = Gradients(model.policy, None).of(batch, WEIGHTS, actor_trains=True)[1]
    critic = Gradients(model.policy, None).of(batch, WEIGHTS, actor_trains=False)[1]
    for ours, theirs in zip(critic, both[-len(critic) :], strict=True):
        th.testing.assert_close(ours, theirs)
