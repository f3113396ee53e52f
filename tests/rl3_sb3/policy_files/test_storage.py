"""Exports of the actor alone, and with weights as float16."""

import copy
import hashlib
import json

import numpy as np
import pytest
import safetensors.torch
import torch as th

from rl3_sb3 import TrainingRecord, TransformerPolicy, export_policy, load_policy
from rl3_sb3.policy import POLICIES
from rl3_sb3.policy_files.description import PolicyDescription

from .policies import actions, batch, contents, make
from .test_format_1 import ACTIONS, BODIES, PARAMS, RECORD, SIZES, weights

WAYS = [{"actor_only": only, "weights": dtype} for only in (True, False) for dtype in
        ("float16", "float32")]  # fmt: skip
NO_CRITIC = r"must have a critic .* exported without its critic .* It can `predict`.*`start_from"


def exported(policy, folder, **options):
    export_policy(policy, folder, **options)
    return load_policy(folder, "cpu")


def rounded_by_hand(policy):
    rounded = copy.deepcopy(policy)
    with th.no_grad():
        for tensor in rounded.parameters():
            tensor.copy_(th.from_numpy(tensor.numpy().astype(np.float16).astype(np.float32)))
    return rounded


def written(folder):
    return json.loads((folder / "policy.json").read_text())


def observations(policy):
    return policy.obs_to_tensor(batch(policy.observation_space, 2, 0))[0]


# -------------------------------------------------------------------- acting


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize("action", ["discrete", "box"])
@pytest.mark.parametrize("options", [{}, {"obs": "dict"}, {"obs": "dict", "critic_only": "a"}])
def test_an_actor_alone_acts_bit_for_bit_as_beside_its_critic(tmp_path, kind, action, options):
    policy = make(kind, action=action, **options)
    whole = exported(policy, tmp_path / "whole")
    alone = exported(policy, tmp_path / "alone", actor_only=True)
    assert alone.critic is None
    assert type(alone) is type(whole)
    np.testing.assert_array_equal(actions(alone), actions(whole))
    tokens = whole.extract_features(observations(whole)).repeat(1, 7).reshape(2, 7, -1)
    assert alone.sequence_params(tokens).equal(whole.sequence_params(tokens))
    own = {name for name in whole.state_dict() if not name.startswith("critic.")}
    assert alone.state_dict().keys() == own


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize("action", ["discrete", "box"])
@pytest.mark.parametrize("actor_only", [True, False])
def test_float16_acts_bit_for_bit_as_weights_rounded_by_hand(tmp_path, kind, action, actor_only):
    policy = make(kind, action=action)
    loaded = exported(policy, tmp_path / "out", weights="float16", actor_only=actor_only)
    by_hand = rounded_by_hand(policy)
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == th.float32
        assert tensor.equal(by_hand.state_dict()[name])
        assert not tensor.equal(policy.state_dict()[name])
    np.testing.assert_array_equal(actions(loaded), actions(by_hand))


def test_float16_ends_at_65504_and_its_smallest_numbers_survive(tmp_path):
    policy = make()
    bias = policy.actor.head.bias.detach()
    bias.copy_(th.tensor([65519.0, -(2.0**-24), 2.0**-26]))
    loaded = exported(policy, tmp_path / "out", weights="float16")
    assert loaded.actor.head.bias.tolist() == [65504.0, -(2.0**-24), 0.0]
    before = contents(tmp_path / "out")
    bias[1] = -65520.0
    with pytest.raises(ValueError, match=r'`weights` must be "float32" .* 65520 in actor.head.b'):
        export_policy(policy, tmp_path / "out", weights="float16")
    assert contents(tmp_path / "out") == before
    assert exported(policy, tmp_path / "out").actor.head.bias[1] == -65520.0


# -------------------------------------------------------------------- files


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize("way", WAYS)
def test_exporting_what_was_loaded_gives_equal_bytes_again(tmp_path, kind, way):
    loaded = exported(make(kind, "dict", "box", critic_only="a"), tmp_path / "one", **way)
    export_policy(loaded, tmp_path / "two", weights=way["weights"])  # the networks that it has
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_both_networks_in_float32_are_written_as_if_there_were_no_choice(tmp_path):
    export_policy(make(), tmp_path / "one")
    export_policy(make(), tmp_path / "two", actor_only=False, weights="float32")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert written(tmp_path / "one")["format_version"] == 3
    assert written(tmp_path / "one")["weights"].keys() == {"bytes", "sha256"}
    assert b"float32, " not in contents(tmp_path / "one")["README.md"]


@pytest.mark.parametrize("way", WAYS[:3])
def test_the_description_and_the_card_say_what_is_stored(tmp_path, way):
    export_policy(make(), tmp_path / "out", **way)
    description = written(tmp_path / "out")
    size = (tmp_path / "out" / "policy.safetensors").stat().st_size
    networks = "actor" if way["actor_only"] else "actor and critic"
    assert description["format_version"] == 4
    assert description["weights"]["bytes"] == size
    assert (description["weights"]["networks"], description["weights"]["dtype"]) == (
        networks,
        way["weights"],
    )
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    shown = "actor only" if way["actor_only"] else networks
    assert f"| networks | {shown} |\n| stored as | {way['weights']}, {size:,} bytes |" in card
    assert ("contains only the actor." in card) == way["actor_only"]
    assert ("rounded to float16" in card) == (way["weights"] == "float16")


@pytest.mark.parametrize("way", WAYS)
def test_a_file_is_its_header_and_so_many_bytes_for_each_weight(tmp_path, way):
    policy = make(action="box")
    export_policy(policy, tmp_path / "out", **way)
    content = contents(tmp_path / "out")["policy.safetensors"]
    header = 8 + int.from_bytes(content[:8], "little")
    networks = [policy.actor] if way["actor_only"] else [policy.actor, policy.critic]
    n = policy.log_std.numel() + sum(p.numel() for net in networks for p in net.parameters())
    assert len(content) - header == n * (2 if way["weights"] == "float16" else 4)
    described = PolicyDescription.of(
        policy, content, TrainingRecord(), actor_only=way["actor_only"], dtype=way["weights"]
    )
    assert described.n_stored_bytes() == len(content) - header
    assert described.n_weight_bytes() == 4 * n


@pytest.mark.parametrize("policy", BODIES)
def test_a_folder_of_the_fourth_version_acts_as_it_did(tmp_path, policy):
    """Written out here, the actor alone in float16, with the numbers of the first version's."""
    actor = {n: t.half() for n, t in weights(policy).items() if not n.startswith("critic.")}
    content = safetensors.torch.save(actor)
    choices = {"positions": "learned"} if policy == "TransformerPolicy" else {}
    numbers = {"critic_weight_decay": 0.01, "adam_eps": 1e-07, "log_std_init": 0.0}
    described = {
        "format": "rl3_sb3 policy",
        "format_version": 4,
        "policy": policy,
        "arguments": SIZES[policy] | choices | numbers,
        "observation_space": {
            "type": "Box", "shape": [2], "dtype": "float32", "low": ["-inf", -1.0], "high": "inf",
        },
        "action_space": ACTIONS[policy],
        "weights": {
            "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(),
            "networks": "actor", "dtype": "float16",
        },
        "training": RECORD,
    }  # fmt: skip
    (tmp_path / "policy.json").write_text(json.dumps(described))
    (tmp_path / "policy.safetensors").write_bytes(content)
    tokens = th.cos(th.arange(12, dtype=th.float64)).float().reshape(2, 3, 2)
    params = load_policy(tmp_path, "cpu").sequence_params(tokens)[1].flatten().tolist()
    assert params == pytest.approx(PARAMS[policy], abs=5e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "float64"}, "`weights` must be one of float32, float16, got 'float64'"),
        ({"weights": th.float16}, "`weights` must be one of float32, float16, got torch.float16"),
        ({"actor_only": "yes"}, "`actor_only` must be True, False or None, got 'yes'"),
    ],
)
def test_choices_that_are_none_are_named(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        export_policy(make(), tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())


# -------------------------------------------------------------------- without a critic


def test_a_critic_that_stayed_behind_cannot_be_exported(tmp_path):
    alone = exported(make(), tmp_path / "out", actor_only=True)
    with pytest.raises(ValueError, match=r"`actor_only` must be True or left out .*, got False"):
        export_policy(alone, tmp_path / "other", actor_only=False)


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize("options", [{}, {"obs": "dict", "critic_only": "a"}])
def test_whatever_needs_the_critic_is_one_error(tmp_path, kind, options):
    alone = exported(make(kind, **options), tmp_path / "out", actor_only=True)
    obs = observations(alone)
    tokens = alone.extract_features(obs).unsqueeze(1)
    for call in (
        lambda: alone.predict_values(obs),
        lambda: alone(obs),
        lambda: alone.evaluate_actions(tokens, th.zeros(2, 1)),
        lambda: alone.sequence_values(tokens),
        lambda: alone.sequence_values(tokens[..., :-1]),
        alone.require_critic,
    ):
        with pytest.raises(ValueError, match=NO_CRITIC):
            call()


def test_an_actor_alone_is_not_trained(tmp_path, make_vec, make_model):
    model = make_model(make_vec([6, 6], horizon=6))
    trained = model.policy
    model.export(tmp_path / "out", actor_only=True, weights="float16")
    assert written(tmp_path / "out")["weights"]["dtype"] == "float16"
    model.policy = load_policy(tmp_path / "out", "cpu")
    with pytest.raises(ValueError, match=NO_CRITIC):
        model.learn(12)
    assert model.num_timesteps == 0
    model.policy = trained
    model.learn(12)
    model.policy = load_policy(tmp_path / "out", "cpu")
    with pytest.raises(ValueError, match=NO_CRITIC):
        model.train()
    with pytest.raises(ValueError, match=NO_CRITIC):
        make_model(make_vec([6, 6], horizon=6), policy_kwargs={"actor_only": True})


def test_the_remedy_trains_the_actor_on_with_a_new_critic(tmp_path, make_vec, make_model):
    make_model(make_vec([6, 6], horizon=6)).learn(24).export(tmp_path / "out", actor_only=True)
    alone = load_policy(tmp_path / "out", "cpu")
    model = make_model(make_vec([6, 6], horizon=6), seed=8)
    critic = copy.deepcopy(model.policy.critic.state_dict())
    with pytest.raises(RuntimeError, match=r"Missing key.*critic\."):
        model.policy.load_state_dict(alone.state_dict())
    model.policy.load_state_dict(alone.state_dict(), strict=False)
    np.testing.assert_array_equal(actions(model.policy, T=6), actions(alone, T=6))
    for name, tensor in model.policy.critic.state_dict().items():
        assert tensor.equal(critic[name])
    model.learn(12)
    assert not model.policy.actor.head.weight.equal(alone.actor.head.weight)
    assert not model.policy.critic.head.weight.equal(critic["head.weight"])


def test_copies_and_saved_policies_stay_without_a_critic(tmp_path):
    alone = exported(
        make(action="box", critic_weight_decay=0.25), tmp_path / "out", actor_only=True
    )
    alone.save(tmp_path / "saved.pt")
    for again in (copy.deepcopy(alone), TransformerPolicy.load(tmp_path / "saved.pt", "cpu")):
        assert again.critic is None
        np.testing.assert_array_equal(actions(again), actions(alone))
        export_policy(again, tmp_path / "again", record=alone.training_record)
        assert contents(tmp_path / "again") == contents(tmp_path / "out")


def test_an_actor_alone_can_learn_by_a_loss_of_ones_own(tmp_path):
    alone = exported(make(), tmp_path / "out", actor_only=True)
    alone.optimizer.param_groups[0]["lr"] = 0.1
    before = alone.parameters_to_vector()
    alone.sequence_params(th.ones(2, 3, 4)).square().mean().backward()
    alone.optimizer.step()
    assert not np.array_equal(alone.parameters_to_vector(), before)


def test_a_critic_that_diverged_does_not_keep_its_actor(tmp_path):
    policy = make()
    expected = actions(policy)
    with th.no_grad():
        policy.critic.head.bias[0] = np.nan
    loaded = exported(policy, tmp_path / "out", actor_only=True)
    np.testing.assert_array_equal(actions(loaded), expected)
