import numpy as np
import pytest
import torch as th

from rl3_sb3.rollout.acting import Acting


@pytest.fixture
def acting_pair(make_vec, make_model):
    """The same policy, stepping as a CPU does and as a GPU with recordings does."""

    def make(policy="TransformerPolicy", **kwargs):
        model = make_model(make_vec([6] * 3, **kwargs), policy, n_steps=6)
        th.nn.init.normal_(model.policy.actor.head.weight)
        return [Acting(model.policy, 3, cuda_graphs=static) for static in (False, True)]

    return make


def walk(acting, ends):
    """Distribution parameters and actions of a walk in which rows end where `ends` says."""
    th.manual_seed(0)
    generator = th.Generator().manual_seed(1)
    acting.begin()
    found = []
    for over in ends:
        actions, params = acting.choose(th.randn(3, 4, generator=generator))
        found.append((actions.clone(), params.clone()))
        acting.forget(np.array(over, dtype=bool))
    return [th.stack(column) for column in zip(*found, strict=True)]


ALIGNED = [[0, 0, 0]] * 6
RAGGED = [[0, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("policy", ["TransformerPolicy", "LstmPolicy", "MarkovPolicy"])
@pytest.mark.parametrize("kwargs", [{}, {"box_actions": True}])
@pytest.mark.parametrize("ends", [ALIGNED, RAGGED])
def test_stepping_through_the_whole_context_equals_stepping_through_slices(
    acting_pair, ends, kwargs, policy
):
    by_slices, whole = (walk(acting, ends) for acting in acting_pair(policy, **kwargs))
    th.testing.assert_close(whole[1], by_slices[1], atol=1e-5, rtol=1e-5)
    th.testing.assert_close(whole[0], by_slices[0], atol=1e-5, rtol=1e-5)
    assert len(by_slices[0].unique()) > 1


MEMORIES = pytest.mark.parametrize("policy", ["TransformerPolicy", "LstmPolicy"])


@MEMORIES
@pytest.mark.parametrize("static", [0, 1])
def test_a_new_rollout_forgets_the_last_one(acting_pair, static, policy):
    acting = acting_pair(policy)[static]
    first = walk(acting, ALIGNED)
    again = walk(acting, ALIGNED)
    assert th.equal(first[1], again[1])


@pytest.mark.parametrize("static", [0, 1])
def test_an_episode_longer_than_the_context_is_refused(acting_pair, static):
    acting = acting_pair()[static]
    walk(acting, ALIGNED)
    with pytest.raises(ValueError, match=r"row 0 with 6 of `context_length` = 6 tokens"):
        acting.choose(th.zeros(3, 4))


@MEMORIES
@pytest.mark.parametrize("static", [0, 1])
def test_a_row_that_forgot_acts_as_at_its_first_step(acting_pair, static, policy):
    acting = acting_pair(policy)[static]
    tokens = th.randn(3, 4)
    acting.begin()
    first = acting.choose(tokens)[1].clone()
    acting.choose(th.randn(3, 4))
    acting.forget(np.array([False, True, False]))
    later = acting.choose(tokens)[1]
    th.testing.assert_close(later[1], first[1])
    assert (later[[0, 2]] - first[[0, 2]]).abs().min() > 1e-4
