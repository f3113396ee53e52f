"""Forbidden actions in rollouts and updates."""

import copy

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.callbacks import BaseCallback

from rl3_sb3 import Symmetry
from rl3_sb3.rollout.acting import Acting
from rl3_sb3.update.gradients import Gradients
from rl3_sb3.update.losses import Weights

from .masked import EACH, ROADS, bits, collected, mask_of, vec


@EACH
@ROADS
@pytest.mark.parametrize("lengths", [[4, 4, 4], [4, 3, 7]])
def test_stepping_equals_the_whole_sequence(make_model, policy, road, lengths):
    model = collected(make_model(vec("dummy", lengths, road=road), policy, n_steps=8))
    th.nn.init.normal_(model.policy.actor.head.weight)
    model = collected(model)  # the environments raise where a forbidden action is taken
    n_masked = 0
    for batch in model.rollout_buffer.get(None):
        real = slice(None) if batch.mask is None else batch.mask
        given = batch.tokens, batch.actions, batch.action_masks
        _, log_probs, entropy = model.policy.evaluate_actions(*given)
        ratio = (log_probs - batch.log_probs)[real].exp()
        th.testing.assert_close(ratio, th.ones_like(ratio), atol=1e-5, rtol=0)
        expected = [mask_of(token).tolist() for token in batch.tokens[real].reshape(-1, 4).numpy()]
        assert batch.action_masks[real].reshape(-1, 3).tolist() == expected
        # by hand: over the allowed actions alone
        logits = model.policy.sequence_params(batch.tokens)
        weights = logits.exp() * batch.action_masks
        probs = weights / weights.sum(-1, keepdim=True)
        chosen = probs.gather(-1, batch.actions[..., None].long()).squeeze(-1)
        th.testing.assert_close(chosen.log()[real], log_probs[real], atol=1e-5, rtol=1e-5)
        by_hand = -th.special.xlogy(probs, probs).sum(-1)
        th.testing.assert_close(by_hand[real], entropy[real], atol=1e-5, rtol=1e-5)
        n_masked += int((~batch.action_masks).sum())
    assert n_masked > 5
    assert model.mean_divergence() == pytest.approx(0, abs=1e-6)


def test_the_divergence_of_the_update_is_over_the_allowed_actions(make_model):
    model = collected(make_model(vec("dummy", [4, 3, 7]), n_steps=8))
    batch = next(model.rollout_buffer.get(None))
    th.nn.init.normal_(model.policy.actor.head.weight)
    logits = model.policy.sequence_params(batch.tokens).detach()
    total = 0.0
    for b, t in np.argwhere(batch.mask.numpy()):
        allowed = batch.action_masks[b, t]
        p, q = (x[b, t][allowed].log_softmax(-1) for x in (batch.params, logits))
        total += float((p.exp() * (p - q)).sum())
    assert model.mean_divergence() == pytest.approx(total / 24, rel=1e-4)
    assert total > 0.1


def test_the_update_gives_no_gradient_to_what_is_never_allowed(make_model):
    never_2 = lambda observation: np.array([True, True, False])  # noqa: E731
    model = collected(make_model(vec("dummy", [4, 4], gives=never_2), n_steps=4))
    batch = next(model.rollout_buffer.get(None))
    numbers = Weights(0.2, 0.3, 0.7, 8, 0.1, 2.0, return_mean=0.4, return_scale=1.5)
    _, gradients = Gradients(model.policy, None).of(batch, numbers, actor_trains=True)
    names = Gradients(model.policy, None).parameters(actor_trains=True)
    head = model.policy.actor.head
    (gradient,) = (g for p, g in zip(names, gradients, strict=True) if p is head.bias)
    assert gradient[2] == 0
    assert (gradient[:2] != 0).all()


@EACH
@pytest.mark.parametrize("lengths", [[4, 4, 4], [4, 3, 7]])
def test_masks_that_allow_all_train_as_none_do_bit_for_bit(make_model, policy, lengths):
    everything = lambda observation: np.ones(3, bool)  # noqa: E731
    ends = [
        bits(make_model(env, policy, n_steps=8, ent_coef=0.1).learn(72))
        for env in (vec("dummy", lengths, road="not"), vec("dummy", lengths, gives=everything))
    ]
    assert ends[0] == ends[1]


@ROADS
def test_all_ways_to_batch_environments_train_alike(make_model, road):
    ends = {
        kind: bits(make_model(vec(kind, [4, 3, 7], road=road), n_steps=8).learn(72))
        for kind in ("dummy", "same-step", "disabled")
    }
    assert len(set(ends.values())) == 1
    assert ends["dummy"] != bits(
        make_model(vec("dummy", [4, 3, 7], road="not"), n_steps=8).learn(72)
    )


def test_both_roads_train_alike(make_model):
    info, method = (
        bits(make_model(vec("dummy", [4, 3, 7], road=road), n_steps=8).learn(72))
        for road in ("info", "method")
    )
    assert info == method


def test_a_rollout_without_masks_stores_none_and_one_whose_masks_begin_late_allows_all_before(
    make_model,
):
    model = collected(make_model(vec("dummy", [4, 3], road="not"), n_steps=8))
    assert "action_masks" not in model.rollout_buffer._stored
    assert next(model.rollout_buffer.get(None)).action_masks is None
    env = vec("dummy", [8, 8])
    for each in env.envs:
        each.gives = lambda x, each=each: mask_of(x) if getattr(each, "t", 0) >= 5 else None
    model = collected(make_model(env, n_steps=8))
    stored = model.rollout_buffer._stored["action_masks"]
    assert stored[:, :5].all()
    assert not stored[:, 5:].all()
    for each in env.envs:
        each.gives = lambda x: None
    model.collect_rollouts(model.env, model._setup_learn(1)[1], model.rollout_buffer, 8)
    assert "action_masks" not in model.rollout_buffer._stored


def test_masks_go_on_where_a_rollout_cuts_an_episode(make_model):
    model = make_model(vec("dummy", [100, 100]), n_steps=5, learning_rate=1e-9)
    model.learn(50)  # an environment raises where the first action of a rollout is forbidden
    tokens = model.rollout_buffer._stored["tokens"][:, 0]
    stored = model.rollout_buffer._stored["action_masks"][:, 0]
    assert stored.tolist() == [mask_of(token.numpy()).tolist() for token in tokens]
    assert not stored.all()


def test_a_checkpoint_within_an_episode_goes_on_bit_for_bit(make_model, tmp_path):
    def go_on(model, env):
        np.random.seed(1)  # noqa: NPY002 - what minibatches are dealt from
        th.manual_seed(1)
        return bits(model.learn(40, reset_num_timesteps=False))

    env = vec("dummy", [100, 100])
    model = make_model(env, n_steps=5).learn(20)
    assert not model._last_action_masks.all()
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model", copy.deepcopy(env), force_reset=False)
    np.testing.assert_array_equal(loaded._last_action_masks, model._last_action_masks)
    assert go_on(loaded, loaded.env) == go_on(model, env)


def test_callbacks_find_the_masks_under_contribs_name(make_model):
    seen = []

    class Look(BaseCallback):
        def _on_step(self):
            tokens, masks = self.locals["obs_tensor"], self.locals["action_masks"]
            seen.append(masks.tolist() == [mask_of(x.numpy()).tolist() for x in tokens])
            return True

    make_model(vec("dummy", [4, 3]), n_steps=8).learn(16, Look())
    assert seen == [True] * 8


@pytest.mark.parametrize("policy", ["TransformerPolicy", "LstmPolicy", "MarkovPolicy"])
def test_a_step_that_can_be_recorded_respects_masks_as_the_other_does(make_model, policy):
    model = make_model(vec("dummy", [6] * 3), policy, n_steps=6)
    th.nn.init.normal_(model.policy.actor.head.weight)
    found = []
    for static in (False, True):
        acting = Acting(model.policy, 3, cuda_graphs=static)
        acting.begin()
        th.manual_seed(0)
        generator = th.Generator().manual_seed(1)
        for masks in (None, th.tensor([[True, False, True]] * 3), None):
            actions, params = acting.choose(th.randn(3, 4, generator=generator), masks)
            found.append((actions.clone(), params.clone()))
    for one, other in zip(found[:3], found[3:], strict=True):
        th.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    assert (found[1][1].softmax(-1)[:, 1] == 0).all()
    assert (found[2][1].softmax(-1) > 0).all()


def test_renamed_actions_are_allowed_as_before_under_their_new_names(make_model):
    # The first three entries of an observation belong to the actions, and make the mask.
    symmetry = Symmetry([[0, 1, 2]])
    model = collected(make_model(vec("dummy", [4, 4, 4]), n_steps=4, symmetry=symmetry))
    batch = next(model.rollout_buffer.get(None, shuffle=False))
    np.random.seed(5)  # noqa: NPY002 - what relabelling draws from
    new = symmetry.draw(3).of(batch, np.arange(3))
    assert not th.equal(new.action_masks, batch.action_masks)
    expected = [[mask_of(x).tolist() for x in row] for row in new.tokens.numpy()]
    assert new.action_masks.tolist() == expected
    assert new.action_masks.gather(-1, new.actions[..., None].long()).all()
