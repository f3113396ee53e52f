"""Policies that act, loaded or not, never take a forbidden action."""

import copy
import warnings

import numpy as np
import pytest
import torch as th

from rl3_sb3 import load_policy

from .masked import EACH, mask_of, vec


@EACH
@pytest.mark.parametrize("deterministic", [False, True])
def test_predict_takes_the_best_allowed_action_or_draws_one(make_model, policy, deterministic):
    model = make_model(vec("dummy", [6] * 3), policy, n_steps=6)
    th.nn.init.normal_(model.policy.actor.head.weight)
    rng, taken = np.random.default_rng(0), set()
    state, start = None, np.ones(3, bool)
    for _ in range(6):
        observation = rng.standard_normal((3, 4)).astype(np.float32)
        masks = np.array([mask_of(x) for x in observation])
        given = masks.astype(np.int8) if _ % 2 else masks
        actions, state = model.predict(observation, state, start, deterministic, given)
        assert masks[np.arange(3), actions].all()
        taken |= set(actions.tolist())
        start[:] = False
    assert len(taken) > 1


def test_one_observation_takes_one_row_and_a_wrong_mask_changes_nothing(make_model):
    model = make_model(vec("dummy", [6]), n_steps=6)
    observation = np.zeros(4, np.float32)
    _, state = model.policy.predict(observation)
    before = copy.deepcopy(state.tensors())
    for mask, words in (
        ([0, 0, 0], "`action_masks` must allow an action in every row, got none in row 0"),
        ([1, 1], r"`action_masks` must have a row of 3 actions .* got the shape \(2,\)"),
        ([[1, 1, 1]] * 2, r"each of 1 observations, got the shape \(2, 3\)"),
        ([1, 2, 1], r"must hold bools, or 0 and 1, got \[1, 2, 1\] in row 0"),
    ):
        with pytest.raises(ValueError, match=words):
            model.policy.predict(observation, state, action_masks=mask)
    for one, other in zip(before, state.tensors(), strict=True):
        assert th.equal(one, other)
    action, _ = model.policy.predict(observation, state, action_masks=[0, 1, 0])
    assert action.shape == ()
    assert action == 1


def test_real_actions_take_no_masks(make_vec, make_model):
    model = make_model(make_vec([4], box_actions=True), n_steps=4)
    with pytest.raises(ValueError, match=r"`action_masks` must be left out for the actions Box"):
        model.predict(np.zeros((1, 4), np.float32), action_masks=[[1, 1]])


def test_without_masks_predict_allows_all_and_says_so_where_training_had_some(make_model):
    only_0 = lambda observation: np.array([True, False, False])  # noqa: E731
    observation = np.zeros((200, 4), np.float32)
    model = make_model(vec("dummy", [4, 4], gives=only_0), n_steps=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(observation)
    model.learn(8)
    with pytest.warns(UserWarning, match="gives action masks, but `predict` got none"):
        actions, _ = model.predict(observation)
    assert set(actions.tolist()) == {0, 1, 2}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        actions, _ = model.predict(observation, action_masks=[[1, 0, 0]] * 200)
    assert set(actions.tolist()) == {0}


@EACH
def test_an_exported_policy_respects_masks_like_its_original(make_model, policy, tmp_path):
    model = make_model(vec("dummy", [4, 4]), policy, n_steps=4).learn(8)
    model.export(tmp_path / "policy", actor_only=True)
    loaded = load_policy(tmp_path / "policy")
    observation = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    masks = np.array([mask_of(x) for x in observation])
    found = []
    for each in (model.policy, loaded):
        th.manual_seed(0)
        found.append(each.predict(observation, action_masks=masks)[0])
    np.testing.assert_array_equal(found[0], found[1])
    assert masks[np.arange(50), found[0]].all()
    assert not masks.all()


@EACH
def test_the_first_step_by_sb3s_names_respects_masks(make_model, policy):
    model = make_model(vec("dummy", [4, 4]), policy, n_steps=4)
    th.nn.init.normal_(model.policy.actor.head.weight)
    observation = th.randn(100, 4)
    masks = th.tensor(np.array([mask_of(x) for x in observation.numpy()]))
    actions, _, log_probs = model.policy.forward(observation, action_masks=masks)
    assert masks.gather(1, actions[:, None]).all()
    _, expected, _ = model.policy.evaluate_actions(
        observation[:, None], actions[:, None], masks[:, None]
    )
    th.testing.assert_close(log_probs, expected.squeeze(1))
