import json

import numpy as np
import pytest
import torch as th

from rl3_sb3 import (
    PolicyFileError,
    TrainingRecord,
    TransformerPolicy,
    export_policy,
    load_policy,
)
from rl3_sb3.policy import POLICIES
from rl3_sb3.policy_files.description import PolicyDescription

from .policies import ACTIONS, BOX, FILES, OBSERVATIONS, SIZES, actions, batch, contents, make


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("obs", OBSERVATIONS)
def test_a_loaded_policy_acts_bit_for_bit_as_the_exported_one(tmp_path, kind, obs, action):
    policy = make(kind, obs, action)
    export_policy(policy, tmp_path / "out")
    loaded = load_policy(tmp_path / "out", "cpu")
    assert type(loaded) is type(policy)
    np.testing.assert_array_equal(actions(loaded), actions(policy))
    tokens = th.randn(
        2,
        5,
        policy.extract_features(
            policy.obs_to_tensor(batch(policy.observation_space, 1, 0))[0]
        ).shape[1],
    )
    for name in ("sequence_params", "sequence_values"):
        assert getattr(loaded, name)(tokens).equal(getattr(policy, name)(tokens))
    assert loaded.observation_space == policy.observation_space
    assert loaded.action_space == policy.action_space


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("obs", OBSERVATIONS)
def test_exporting_what_was_loaded_gives_equal_bytes(tmp_path, kind, obs, action):
    record = TrainingRecord(
        algorithm="A", environment="E|<b>\n\ud800", n_steps=3, seed=2, results={"x": np.float32(1)}
    )
    export_policy(make(kind, obs, action), tmp_path / "one", record=record)
    export_policy(load_policy(tmp_path / "one", "cpu"), tmp_path / "two")
    assert contents(tmp_path / "one").keys() == FILES
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_constructor_arguments_survive(tmp_path):
    given = SIZES["TransformerPolicy"] | {
        "context_length": np.int64(11),
        "critic_weight_decay": 0.0,
        "adam_eps": 1e-5,
        "log_std_init": -1.5,
    }
    export_policy(make(action="box", **given), tmp_path / "out")
    loaded = load_policy(tmp_path / "out", "cpu")
    got = loaded._get_constructor_parameters()
    assert {name: got[name] for name in given} == given
    assert loaded.optimizer.defaults["eps"] == 1e-5
    assert not loaded.training


@pytest.mark.parametrize(("positions", "version"), [("learned", 1), ("rotary", 3)])
def test_choices_survive_and_the_oldest_need_no_new_version(tmp_path, positions, version):
    policy = make(positions=positions)
    export_policy(policy, tmp_path / "out")
    written = json.loads((tmp_path / "out" / "policy.json").read_text())
    assert written["format_version"] == version
    assert written["arguments"].get("positions", "learned") == positions
    loaded = load_policy(tmp_path / "out", "cpu")
    assert (loaded.actor.positions is None) == (positions == "rotary")
    tokens = th.randn(2, 4, loaded.actor.embedding[0].in_features)
    assert th.equal(loaded.sequence_params(tokens), policy.sequence_params(tokens))


@pytest.mark.parametrize("kind", POLICIES)
def test_the_tables_name_every_argument_of_the_constructors(tmp_path, kind):
    export_policy(make(kind), tmp_path / "out")
    written = json.loads((tmp_path / "out" / "policy.json").read_text())["arguments"]
    given = make(kind)._get_constructor_parameters().keys()
    spaces_and_schedule = {"observation_space", "action_space", "lr_schedule"}
    # How to compute is a matter of the machine, not of the policy.
    of_the_machine = {"mixed_precision", "cpu_kernels"}
    given -= {"actor_only"}  # stands beside the weights, as it says which there are
    assert written.keys() == given - spaces_and_schedule - of_the_machine - {"critic_only"}
    export_policy(make(kind, obs="dict", critic_only="a"), tmp_path / "out")
    written = json.loads((tmp_path / "out" / "policy.json").read_text())["arguments"]
    assert written.keys() == given - spaces_and_schedule - of_the_machine


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize("action", ACTIONS)
def test_the_computed_shapes_are_those_of_the_networks(kind, action):
    policy = make(kind, "dict", action)
    described = PolicyDescription.of(policy, b"", TrainingRecord())
    shapes = {name: tuple(tensor.shape) for name, tensor in policy.state_dict().items()}
    assert described.weight_shapes == shapes
    assert described.n_weight_bytes() == 4 * policy.parameters_to_vector().size
    state = policy.new_state(1)
    tensors = [x for x in state if isinstance(x, th.Tensor)]
    assert described.n_memory_bytes() == sum(x.nbytes for x in tensors)


def test_deep_networks_have_many_tensors(tmp_path):
    policy = make(n_layers=100, d_model=2, n_heads=1, d_ff=1)
    assert len(policy.state_dict()) > 2000
    export_policy(policy, tmp_path / "out")
    np.testing.assert_array_equal(actions(load_policy(tmp_path / "out", "cpu")), actions(policy))


def test_loading_leaves_torchs_generator_alone(tmp_path):
    export_policy(make(), tmp_path / "out")
    before = th.get_rng_state()
    load_policy(tmp_path / "out", "cpu")
    assert th.equal(th.get_rng_state(), before)


def test_a_loaded_policy_can_be_trained_on(tmp_path, make_vec, make_model):
    model = make_model(make_vec([6, 6], horizon=6)).learn(24)
    model.export(tmp_path / "out")
    other = make_model(make_vec([6, 6], horizon=6), seed=8)
    other.policy.load_state_dict(load_policy(tmp_path / "out", "cpu").state_dict())
    other.learn(12)
    assert not np.array_equal(
        other.policy.parameters_to_vector(), model.policy.parameters_to_vector()
    )


@pytest.mark.gpu
def test_a_policy_moves_between_cpu_and_cuda(tmp_path):
    export_policy(make().to("cuda"), tmp_path / "one")
    loaded = load_policy(tmp_path / "one")
    assert loaded.device.type == "cuda"
    export_policy(loaded, tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


# -------------------------------------------------------------------- what is not exported


@pytest.mark.parametrize("name", ["Mine", "TransformerPolicy"])
def test_a_class_of_ones_own_is_not_exported(tmp_path, name):
    mine = type(name, (TransformerPolicy,), {})
    policy = mine(BOX, ACTIONS["discrete"], lambda _: 0.1, **SIZES["TransformerPolicy"])
    with pytest.raises(ValueError, match=r"exactly one of TransformerPolicy, .* another class, "):
        export_policy(policy, tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_not_exported(tmp_path, bad):
    policy = make()
    export_policy(policy, tmp_path / "out")
    before = contents(tmp_path / "out")
    with th.no_grad():
        policy.critic.head.bias[0] = bad
    with pytest.raises(ValueError, match=r"finite float32 weights .* critic.head.bias"):
        export_policy(policy, tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_weights_of_another_type_are_not_exported(tmp_path):
    with pytest.raises(ValueError, match=r"finite float32 weights .* torch.float64"):
        export_policy(make().double(), tmp_path / "out")


def test_what_could_not_be_read_back_is_not_exported(tmp_path):
    record = TrainingRecord(results={str(i): i for i in range(2000)})
    with pytest.raises(ValueError, match="must be one that can be read back"):
        export_policy(make(), tmp_path / "out", record=record)
    record = TrainingRecord(description="x" * 5_000_000)
    with pytest.raises(ValueError, match="must have a description of at most 4194304 bytes"):
        export_policy(make(), tmp_path / "out", record=record)
    assert not list(tmp_path.iterdir())


def test_a_folder_without_a_policy_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(PolicyFileError, match=r"must be the folder of .* no policy.json"):
            load_policy(path)
    export_policy(make(), tmp_path / "out")
    (tmp_path / "out" / "policy.safetensors").unlink()
    with pytest.raises(PolicyFileError, match=r"no policy.safetensors"):
        load_policy(tmp_path / "out")


def test_the_folder_of_a_run_is_answered_with_the_policy_in_it(tmp_path):
    export_policy(make(), tmp_path / "run" / "policy")
    with pytest.raises(
        PolicyFileError, match=r"no policy.json in it\. Did you mean .*run.policy\?$"
    ):
        load_policy(tmp_path / "run")


def test_a_checkpoint_is_not_taken_for_a_damaged_policy(tmp_path):
    file = tmp_path / "model.zip"
    file.write_bytes(b"PK")
    with pytest.raises(PolicyFileError, match=r"folder of an exported policy, got a file\. .*load"):
        load_policy(file)
