import json
import os
import threading

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecNormalize

from rl3_sb3 import (
    PolicyFileError,
    TrainingRecord,
    TransformerPolicy,
    export_policy,
    load_policy,
)
from rl3_sb3.policy import POLICIES
from rl3_sb3.policy_files import folder
from rl3_sb3.policy_files.description import PolicyDescription

from .policies import ACTIONS, BOX, OBSERVATIONS, SIZES, actions, batch, contents, make

FILES = {"policy.safetensors", "policy.json", "README.md"}


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


# -------------------------------------------------------------------- models


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kwargs", [{}, {"box_actions": True}, {"dict_obs": True}])
def test_a_trained_model_is_exported_with_its_record(
    tmp_path, make_vec, make_model, policy, kwargs
):
    env, settings = make_vec([6, 6], **kwargs), {"seed": 3, "target_kl": 0.01}
    model = make_model(env, policy=policy, n_steps=6, **settings).learn(24)
    model.export(tmp_path / "out", environment="scripted", results={"mean reward": 1.25})
    loaded = load_policy(tmp_path / "out", "cpu")
    np.testing.assert_array_equal(
        loaded.parameters_to_vector(), model.policy.parameters_to_vector()
    )
    record = loaded.training_record
    assert (record.algorithm, record.environment) == ("TransformerPPO", "scripted")
    assert (record.n_steps, record.seed) == (24, 3)
    assert record.results == {"mean reward": 1.25}
    assert record.hyper_parameters["batch_size"] == 12
    assert record.hyper_parameters["target_kl"] == 0.01
    assert record.hyper_parameters["normalize_returns"] is True
    assert {"torch", "python", "stable-baselines3"} <= set(record.versions)


def test_the_record_names_schedules_and_the_environments_id(tmp_path, make_model):
    options = {"learning_rate": LinearSchedule(0.5, 0.25, 1.0), "max_grad_norm": np.inf}
    make_model("CartPole-v1", n_steps=500, **options).export(tmp_path / "out")
    record = load_policy(tmp_path / "out", "cpu").training_record
    assert record.environment == "CartPole-v1"
    assert record.hyper_parameters["learning_rate"] == [0.5, 0.25]
    assert record.hyper_parameters["clip_range"] == 0.2
    assert record.hyper_parameters["max_grad_norm"] == "inf"


def test_the_card_tells_what_the_record_knows(tmp_path, make_vec, make_model):
    model = make_model(make_vec([6, 6], horizon=6), n_steps=6).learn(1200)
    model.export(
        tmp_path / "out",
        environment="two\n| scripted <tasks>",
        description="For <b>tests</b>.",
        results={"mean reward": 1.25},
    )
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    for line in (
        "# TransformerPolicy",
        "For &lt;b>tests&lt;/b>.",
        "| observations | Box(4,) of float32 |",
        "| environment | two \\| scripted &lt;tasks> |",
        "| steps | 1,200 |",
        "| batch_size | 12 |",
        "| mean reward | 1.25 |",
    ):
        assert line in card.splitlines()
    assert "load_policy" in card


def test_a_loaded_policy_can_be_trained_on(tmp_path, make_vec, make_model):
    model = make_model(make_vec([6, 6], horizon=6)).learn(24)
    model.export(tmp_path / "out")
    other = make_model(make_vec([6, 6], horizon=6), seed=8)
    other.policy.load_state_dict(load_policy(tmp_path / "out", "cpu").state_dict())
    other.learn(12)
    assert not np.array_equal(
        other.policy.parameters_to_vector(), model.policy.parameters_to_vector()
    )


def test_normalised_environments_are_warned_of(tmp_path, make_vec, make_model):
    model = make_model(VecNormalize(make_vec([6, 6])), n_steps=6)
    with pytest.warns(UserWarning, match="VecNormalize, whose statistics are not exported"):
        model.export(tmp_path / "out")


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


def test_facts_that_are_no_plain_values_are_not_exported(tmp_path):
    with pytest.raises(ValueError, match="`results` must hold numbers, texts and lists"):
        export_policy(make(), tmp_path / "out", record=TrainingRecord(results={"x": {1: 2}}))


def test_what_could_not_be_read_back_is_not_exported(tmp_path):
    record = TrainingRecord(results={str(i): i for i in range(2000)})
    with pytest.raises(ValueError, match="must be one that can be read back"):
        export_policy(make(), tmp_path / "out", record=record)
    record = TrainingRecord(description="x" * 5_000_000)
    with pytest.raises(ValueError, match="must have a description of at most 4194304 bytes"):
        export_policy(make(), tmp_path / "out", record=record)
    assert not list(tmp_path.iterdir())


# -------------------------------------------------------------------- folders


def test_an_earlier_export_is_replaced_and_nothing_lies_beside_it(tmp_path):
    for seed in range(3):
        export_policy(make(seed=seed), tmp_path / "deep" / "out")
        loaded = load_policy(tmp_path / "deep" / "out", "cpu")
        np.testing.assert_array_equal(actions(loaded), actions(make(seed=seed)))
        assert [entry.name for entry in (tmp_path / "deep").iterdir()] == ["out"]


def test_what_somebody_put_into_an_export_stays_when_it_is_replaced(tmp_path):
    export_policy(make(seed=0), tmp_path / "out")
    (tmp_path / "out" / ".DS_Store").write_text("icons")
    (tmp_path / "out" / "notes").mkdir()
    (tmp_path / "out" / "notes" / "dear.txt").write_text("diary")
    (tmp_path / "out" / "nowhere").symlink_to("gone")
    (tmp_path / "out" / "up").symlink_to("..")
    export_policy(make(seed=1), tmp_path / "out")
    assert os.readlink(tmp_path / "out" / "nowhere") == "gone"
    assert os.readlink(tmp_path / "out" / "up") == ".."
    loaded = load_policy(tmp_path / "out", "cpu")
    np.testing.assert_array_equal(actions(loaded), actions(make(seed=1)))
    assert (tmp_path / "out" / ".DS_Store").read_text() == "icons"
    assert (tmp_path / "out" / "notes" / "dear.txt").read_text() == "diary"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_what_an_export_that_was_killed_had_not_moved_yet_comes_back(tmp_path, monkeypatch):
    export_policy(make(seed=0), tmp_path / "out")
    (tmp_path / "out" / "notes").write_text("diary")

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(folder, "_keep_others", killed)
        patched.setattr(folder.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            export_policy(make(seed=1), tmp_path / "out")
    for seed in (2, 3):
        export_policy(make(seed=seed), tmp_path / "out")
        assert (tmp_path / "out" / "notes").read_text() == "diary"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_folder_with_the_name_of_a_file_is_left_alone(tmp_path):
    export_policy(make(seed=0), tmp_path / "out")
    (tmp_path / "out" / "README.md").unlink()
    (tmp_path / "out" / "README.md").mkdir()
    with pytest.raises(ValueError, match=r"earlier export.*other contents"):
        export_policy(make(seed=1), tmp_path / "out")
    assert (tmp_path / "out" / "README.md").is_dir()


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir()
    export_policy(make(), tmp_path / "out")
    assert contents(tmp_path / "out").keys() == FILES


def test_the_working_folder_is_not_pulled_away(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="the working folder"):
        export_policy(make(), ".")
    export_policy(make(), "out")
    assert contents(tmp_path / "out").keys() == FILES


@pytest.mark.parametrize("other", ["folder", "file", "link"])
def test_other_things_are_left_alone(tmp_path, other):
    path = tmp_path / "out"
    if other == "folder":
        path.mkdir()
        (path / "thesis.tex").write_text("dear")
    elif other == "file":
        path.write_text("dear")
    else:
        (tmp_path / "real").mkdir()
        path.symlink_to(tmp_path / "real")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(
        ValueError, match="`path` must be a new folder, or that of an earlier export"
    ):
        export_policy(make(), path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "call"), [("fsync", 0), ("fsync", 1), ("fsync", 2), ("replace", 0), ("replace", 1)]
)
def test_a_failing_export_leaves_the_old_one(tmp_path, monkeypatch, name, call):
    export_policy(make(seed=0), tmp_path / "out")
    before = contents(tmp_path / "out")
    real, n_calls = getattr(os, name), 0

    def failing(*args):
        nonlocal n_calls
        n_calls += 1
        if n_calls == call + 1:
            raise OSError("no room")
        return real(*args)

    monkeypatch.setattr(folder.os, name, failing)
    with pytest.raises(OSError, match="no room"):
        export_policy(make(seed=1), tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("n_renames", [0, 1, 2])
def test_a_killed_export_leaves_the_old_or_the_new_one(tmp_path, monkeypatch, n_renames):
    """Nothing is tidied up after a kill: neither deleted nor renamed."""
    old, new = make(seed=0), make(seed=1)
    export_policy(old, tmp_path / "out")
    with monkeypatch.context() as patch:
        real, done = os.replace, 0

        def replace(*args):
            nonlocal done
            if done == n_renames:
                raise Killed
            done += 1
            real(*args)
            if done == n_renames:
                patch.setattr(folder.shutil, "rmtree", lambda *_, **__: None)

        patch.setattr(folder.os, "replace", replace)
        if n_renames == 2:
            export_policy(new, tmp_path / "out")
        else:
            with pytest.raises(Killed):
                export_policy(new, tmp_path / "out")
    if n_renames > 0:
        assert len(list(tmp_path.iterdir())) == 2
    expected = new if n_renames == 2 else old
    np.testing.assert_array_equal(actions(load_policy(tmp_path / "out", "cpu")), actions(expected))
    export_policy(new, tmp_path / "out")
    np.testing.assert_array_equal(actions(load_policy(tmp_path / "out", "cpu")), actions(new))
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_reader_gets_one_export_whole_while_another_process_writes(tmp_path):
    policies = [make(seed=seed) for seed in range(2)]
    known = {policy.parameters_to_vector().tobytes() for policy in policies}
    export_policy(policies[0], tmp_path / "out")
    done = threading.Event()

    def read():
        while not done.is_set():
            try:
                got.add(load_policy(tmp_path / "out", "cpu").parameters_to_vector().tobytes())
            except PolicyFileError as error:
                errors.append(error)

    got: set[bytes] = set()
    errors: list[PolicyFileError] = []
    reader = threading.Thread(target=read)
    reader.start()
    try:
        for i in range(30):
            export_policy(policies[i % 2], tmp_path / "out")
    finally:
        done.set()
        reader.join()
    assert got
    assert got <= known
    assert not errors


def test_a_folder_without_a_policy_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(PolicyFileError, match=r"must be the folder of .* no policy.json"):
            load_policy(path)
    export_policy(make(), tmp_path / "out")
    (tmp_path / "out" / "policy.safetensors").unlink()
    with pytest.raises(PolicyFileError, match=r"no policy.safetensors"):
        load_policy(tmp_path / "out")


def test_a_checkpoint_is_not_taken_for_a_damaged_policy(tmp_path):
    file = tmp_path / "model.zip"
    file.write_bytes(b"PK")
    with pytest.raises(PolicyFileError, match=r"folder of an exported policy, got a file\. .*load"):
        load_policy(file)
