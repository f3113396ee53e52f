import base64
import io
import json
import pickle
import zipfile

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.utils import FloatSchedule

from rl3_sb3 import SequenceRolloutBuffer, TransformerPolicy, TransformerPPO


@pytest.fixture
def trained(make_vec, make_model):
    env = make_vec([6, 6], horizon=6)
    return make_model(env, n_steps=12, ent_coef=lambda progress: 0.01 * progress).learn(48)


@pytest.fixture
def path(trained, tmp_path):
    trained.save(tmp_path / "model.zip")
    return tmp_path / "model.zip"


def weights(model):
    return model.policy.parameters_to_vector()


def test_loads_without_an_environment_to_predict(trained, path):
    model = TransformerPPO.load(path, device="cpu")
    np.testing.assert_array_equal(weights(model), weights(trained))
    obs = np.random.default_rng(0).standard_normal((6, 4, 4)).astype(np.float32)
    state = state_2 = None
    for step in obs:
        actions, state = model.predict(step, state, deterministic=True)
        actions_2, state_2 = trained.predict(step, state_2, deterministic=True)
        np.testing.assert_array_equal(actions, actions_2)


@pytest.mark.parametrize("n_envs", [2, 5])
def test_loads_onto_another_number_of_environments_and_goes_on(trained, path, make_vec, n_envs):
    model = TransformerPPO.load(path, env=make_vec([6] * n_envs, horizon=6), device="cpu")
    assert (model.n_envs, model.n_steps) == (n_envs, 12)
    assert model.policy.actor.context_length == 6
    state, state_2 = (m.policy.optimizer.state_dict()["state"] for m in (model, trained))
    assert th.equal(state[0]["exp_avg"], state_2[0]["exp_avg"])
    model.learn(12 * n_envs, reset_num_timesteps=False)
    assert model.num_timesteps == 48 + 12 * n_envs


@pytest.mark.parametrize("policy", ["TransformerPolicy", "LstmPolicy", "MarkovPolicy"])
def test_loading_and_going_on_equals_going_on(make_vec, make_model, policy, tmp_path):
    def fresh():
        return make_vec([6, 6], horizon=6)

    model = make_model(fresh(), policy=policy).learn(24)
    model.save(tmp_path / "model.zip")
    loaded = TransformerPPO.load(tmp_path / "model.zip", env=fresh(), device="cpu")
    for each in (model, loaded):
        each.set_env(fresh())
        each.set_random_seed(1)
        each.learn(24, reset_num_timesteps=False)
    np.testing.assert_array_equal(weights(model), weights(loaded))


def test_a_checkpoint_holds_no_rollout_and_no_cache(path):
    # two small networks, and twice as much for Adam's moments
    n_parameters = weights(TransformerPPO.load(path, device="cpu")).size
    assert path.stat().st_size < 3 * 4 * n_parameters + 120_000


def test_a_checkpoint_loads_wherever_the_buffers_class_was_when_it_was_written(trained, path):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    data = json.loads(members["data"])
    assert "rollout_buffer_class" not in data  # as earlier versions wrote it:
    elsewhere = base64.b64encode(b"crl3_sb3.buffer\nSequenceRolloutBuffer\n.").decode()
    with pytest.raises(ModuleNotFoundError):
        pickle.loads(base64.b64decode(elsewhere))
    data["rollout_buffer_class"] = {":type:": "type", ":serialized:": elsewhere}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {"data": json.dumps(data)}).items():
            archive.writestr(name, content)
    loaded = TransformerPPO.load(path, device="cpu", custom_objects={"seed": 5})
    assert (loaded.rollout_buffer_class, loaded.seed) == (SequenceRolloutBuffer, 5)
    np.testing.assert_array_equal(weights(loaded), weights(trained))


def test_a_checkpoint_that_is_older_than_a_choice_means_what_there_was(
    make_vec, make_model, tmp_path
):
    kwargs = {"positions": "learned", "critic_weight_decay": 0.01}
    env = make_vec([6, 6], horizon=6)
    model = make_model(env, n_steps=12, normalize_returns=False, policy_kwargs=kwargs).learn(24)
    path = tmp_path / "model.zip"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    data = json.loads(members["data"])
    del data["normalize_returns"]
    for name in kwargs:
        del data["policy_kwargs"][name]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {"data": json.dumps(data)}).items():
            archive.writestr(name, content)
    loaded = TransformerPPO.load(path, env=make_vec([6, 6], horizon=6), device="cpu")
    np.testing.assert_array_equal(weights(loaded), weights(model))
    assert not loaded.normalize_returns
    assert loaded.policy._get_constructor_parameters()["critic_weight_decay"] == 0.01
    for each in (model, loaded):
        each.set_env(make_vec([6, 6], horizon=6))
        each.set_random_seed(1)
        each.learn(24, reset_num_timesteps=False)
    np.testing.assert_array_equal(weights(loaded), weights(model))


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_a_checkpoint_keeps_its_positions(make_vec, make_model, tmp_path, positions):
    kwargs = {"policy_kwargs": {"positions": positions}}
    model = make_model(make_vec([6, 6], horizon=6), n_steps=12, **kwargs).learn(24)
    model.save(tmp_path / "model.zip")
    loaded = TransformerPPO.load(tmp_path / "model.zip", device="cpu")
    assert loaded.policy_kwargs["positions"] == positions
    unasked = make_model(make_vec([6, 6], horizon=6), n_steps=12)
    assert unasked.policy_kwargs["positions"] == TransformerPolicy.default_choices()["positions"]
    assert loaded.normalize_returns
    np.testing.assert_array_equal(weights(loaded), weights(model))


def test_saves_to_a_stream(trained):
    stream = io.BytesIO()
    trained.save(stream)
    stream.seek(0)
    np.testing.assert_array_equal(
        weights(TransformerPPO.load(stream, device="cpu")), weights(trained)
    )


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_refused(path, fraction):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    with pytest.raises(ValueError, match=r"`path` must be a complete checkpoint, got .*model.zip"):
        TransformerPPO.load(path)


def test_a_damaged_file_is_refused(path):
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"`path` must be a complete checkpoint"):
        TransformerPPO.load(path)


def test_a_zip_file_that_is_no_checkpoint_is_refused(tmp_path):
    np.savez(tmp_path / "arrays.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match=r"`path` must be a complete checkpoint"):
        TransformerPPO.load(tmp_path / "arrays.npz")


@pytest.mark.parametrize("kwargs", [{"obs_dim": 5}, {"dict_obs": True}, {"box_actions": True}])
def test_an_environment_of_another_shape_is_refused(path, make_vec, kwargs):
    with pytest.raises(ValueError, match=r"`env` must have the spaces of the checkpoint"):
        TransformerPPO.load(path, env=make_vec([6, 6], horizon=6, **kwargs))


def test_an_environment_of_another_horizon_is_refused(path, make_vec):
    with pytest.raises(ValueError, match=r"`env` must have episodes that fit .* 7, got 12"):
        TransformerPPO.load(path, env=make_vec([7, 7], horizon=7))
    with pytest.raises(ValueError, match=r"`env` must have episodes that fit .* 12 steps, got 6"):
        TransformerPPO.load(path, env=make_vec([12, 12], horizon=12))


@pytest.fixture
def load(tmp_path, make_vec):
    """Save a model made with these policy arguments, and load it with others."""

    def load(made, given, policy="TransformerPolicy", **kwargs):
        env = make_vec([6, 6], horizon=6)
        TransformerPPO(policy, env, n_steps=12, policy_kwargs=made).save(tmp_path / "m")
        return TransformerPPO.load(tmp_path / "m", env=env, policy_kwargs=given, **kwargs)

    return load


@pytest.mark.parametrize(
    ("made", "given"),
    [
        ({"d_model": 16}, {"d_model": 16}),
        ({"d_model": 16, "positions": "learned"}, {"d_model": 16, "positions": "learned"}),
        ({"d_model": 16, "positions": "learned"}, {"d_model": 16}),
        ({"d_model": 16, "context_length": None}, {"d_model": 16, "context_length": None}),
        ({"context_length": 9}, {"context_length": 9}),
        ({"d_model": 16, "critic_weight_decay": 0.1}, {"critic_weight_decay": 0.1, "d_model": 16}),
        ({}, {"d_model": 64, "adam_eps": 1e-5}),  # the defaults
        (None, {}),
        ({"d_model": 16}, None),
    ],
)
def test_loads_with_the_policy_arguments_of_its_construction(load, made, given):
    model = load(made, given)
    sizes = model.policy.actor.context_length, model.policy.actor.head.in_features
    made = made or {}
    assert sizes == (made.get("context_length") or 6, made.get("d_model", 64))
    assert model.policy_kwargs["positions"] == made.get("positions", "rotary")
    model.learn(24)


@pytest.mark.parametrize(
    ("policy", "made", "given", "message"),
    [
        ("TransformerPolicy", {"d_model": 16}, {"d_model": 32}, "d_model = 16, got 32"),
        ("TransformerPolicy", {"d_model": 16}, {}, "d_model = 16, got 64"),
        ("TransformerPolicy", {}, {"context_length": 9}, "context_length = 6, got 9"),
        ("TransformerPolicy", {}, {"positions": "learned"}, "positions = 'rotary', got 'learned'"),
        ("TransformerPolicy", {}, {"adam_eps": 0.1}, "adam_eps = 1e-05, got 0.1"),
        ("LstmPolicy", {"hidden": 8}, {"hidden": 9}, "hidden = 8, got 9"),
    ],
)
def test_other_policy_arguments_are_refused_by_their_own_name(load, policy, made, given, message):
    with pytest.raises(ValueError, match=f"^`policy_kwargs` must make .* which has {message}"):
        load(made, given, policy)


def test_a_rollout_length_of_the_callers_is_not_the_environments_fault(load):
    assert load({}, None, n_steps=18).n_steps == 18
    assert load({}, None, n_steps=None).n_steps == 12  # as the constructor's None, not set
    with pytest.raises(ValueError, match=r"^`n_steps` must be a multiple of .* 6, got 9"):
        load({}, None, n_steps=9)


def test_a_context_too_short_for_the_callers_rollouts_is_the_checkpoints(path, make_vec):
    message = "^`context_length` must cover .* 12 steps, got 6. The checkpoint's context is fixed"
    with pytest.raises(ValueError, match=message):
        TransformerPPO.load(path, env=make_vec([12, 12], horizon=12), n_steps=12)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"gamma": 1.2}, ValueError, r"`gamma` must be in \[0, 1\], got 1.2"),
        ({"gamma": None}, TypeError, "`gamma` must be a number, got None"),
        ({"batch_size": 1}, ValueError, "`batch_size` must be at least 2, got 1"),
        ({"n_steps": 0}, ValueError, "`n_steps` must be at least 1, got 0"),
        ({"n_epochs": 1.5}, ValueError, "`n_epochs` must be an integer, got 1.5"),
        ({"learning_rate": "fast"}, TypeError, "`learning_rate` must be a number, got 'fast'"),
        ({"clip_range": 0}, ValueError, "`clip_range` must be above 0, got 0"),
        ({"target_kl": -1.0}, ValueError, "`target_kl` must be above 0, got -1.0"),
        ({"symmetry": 3}, ValueError, "`symmetry` must be a Symmetry or None, got 3"),
        ({"cuda_graphs": True, "device": "cpu"}, ValueError, "`cuda_graphs` must be False"),
        ({"learning_rte": 0.1}, TypeError, "`learning_rte` must be left out, .* learning_rate,"),
        ({"_init_setup_model": True}, TypeError, "`_init_setup_model` must be left out"),
    ],
)
def test_what_is_set_instead_of_the_checkpoints_is_checked_as_on_construction(
    load, given, error, message
):
    with pytest.raises(error, match=f"^{message}"):
        load({}, None, **given)


def test_what_is_set_instead_of_the_checkpoints_is_what_the_model_learns_with(load):
    model = load({}, None, gamma=0.5, learning_rate=lambda left: left, verbose=0, batch_size=12)
    assert (model.gamma, model.batch_size, model.lr_schedule(0.25)) == (0.5, 12, 0.25)
    model.learn(24)


def test_the_schedules_in_older_checkpoints_go_on_as_the_numbers_they_hold(
    make_vec, make_model, tmp_path
):
    def after(wrapped):
        model = make_model(make_vec([6, 6], horizon=6), ent_coef=0.1, gae_lambda=0.5).learn(24)
        if wrapped:  # as older checkpoints store them
            model.ent_coef = FloatSchedule(model.ent_coef)
            model.gae_lambda = FloatSchedule(model.gae_lambda)
        model.save(tmp_path / "model.zip")
        env = make_vec([6, 6], horizon=6)
        model = TransformerPPO.load(tmp_path / "model.zip", env=env, device="cpu")
        return weights(model.learn(24, reset_num_timesteps=False))

    np.testing.assert_array_equal(after(True), after(False))


def test_parameters_travel_between_models(trained, make_vec, make_model):
    other = make_model(make_vec([6, 6, 6], horizon=6), n_steps=12, seed=9)
    other.set_parameters(trained.get_parameters())
    np.testing.assert_array_equal(weights(other), weights(trained))


def test_parameters_of_another_shape_are_refused_and_change_nothing(trained, make_vec, make_model):
    other = make_model(make_vec([6, 6], horizon=6, obs_dim=5), n_steps=12, seed=9)
    before = weights(trained)
    moments = trained.policy.optimizer.state_dict()["state"][0]["exp_avg"].clone()
    with pytest.raises(ValueError, match=r"`load_path_or_dict` must hold the parameters"):
        trained.set_parameters(other.get_parameters())
    np.testing.assert_array_equal(weights(trained), before)
    assert th.equal(trained.policy.optimizer.state_dict()["state"][0]["exp_avg"], moments)


def test_incomplete_parameters_are_refused_and_change_nothing(trained, make_vec, make_model):
    other = make_model(make_vec([6, 6], horizon=6), n_steps=12, seed=9)
    before = weights(trained)
    with pytest.raises(ValueError, match=r"`load_path_or_dict` must hold the parameters"):
        trained.set_parameters({"policy": other.get_parameters()["policy"]})
    np.testing.assert_array_equal(weights(trained), before)


@pytest.mark.gpu
def test_a_checkpoint_moves_between_cpu_and_cuda(trained, path, make_vec, tmp_path):
    on_gpu = TransformerPPO.load(path, env=make_vec([6, 6], horizon=6), device="cuda")
    np.testing.assert_array_equal(weights(on_gpu), weights(trained))
    on_gpu.learn(24, reset_num_timesteps=False)
    on_gpu.save(tmp_path / "gpu.zip")
    back = TransformerPPO.load(tmp_path / "gpu.zip", env=make_vec([6, 6], horizon=6), device="cpu")
    np.testing.assert_array_equal(weights(back), weights(on_gpu))
    back.learn(24, reset_num_timesteps=False)
