import base64
import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch as th

from rl3_sb3 import TransformerPPO, load_policy
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.training import make_model, make_training_env
from rl3_sb3.experiments.settings.run_config import RunConfig


@pytest.fixture
def copied(trained, tmp_path):
    path = tmp_path / "copy"
    shutil.copytree(trained.path, path)
    return RunDirectory(path)


@pytest.fixture
def lake(tmp_path):
    """A run with pictures, hardly trained."""
    config = RunConfig.of("frozen-lake", size=4, horizon=20, n_envs=2)
    directory = RunDirectory(tmp_path / "lake")
    directory.begin(config)
    directory.save_checkpoint(make_model(config, make_training_env(config), "cpu"))
    return directory


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return (Path.touch, (self.file,))


def plant_pickle(checkpoint, file):
    """Make a checkpoint that creates a file when it is loaded, and is whole otherwise."""
    with zipfile.ZipFile(checkpoint) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    data = json.loads(members["data"])
    code = base64.b64encode(pickle.dumps(Touch(file))).decode()
    data["_last_obs"] = {":type:": "object", ":serialized:": code}
    members["data"] = json.dumps(data).encode()
    with zipfile.ZipFile(checkpoint, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_every_checkpoint_comes_with_its_policy(trained):
    loaded = load_policy(trained.policy_folder, "cpu")
    checkpoint = TransformerPPO.load(trained.checkpoint_file, device="cpu")
    np.testing.assert_array_equal(
        loaded.parameters_to_vector(), checkpoint.policy.parameters_to_vector()
    )
    record = loaded.training_record
    assert record.n_steps == 144
    assert record.environment == (
        "RL³ in random-mdp, canonical tasks, meta-episodes of 12 steps, seed 0"
    )
    assert record.hyper_parameters["ent_coef"] == [0.02, 0.0]
    # What a stranger needs who wants to show it its observations.
    assert record.description.startswith("PPO learned from the regret. All settings of the run: {")
    for fact in ('"ent_coef": "0.02:0"', '"estimator.smoothing": 0.1', '"value": "15:16"'):
        assert fact in record.description, fact


def test_evaluating_executes_nothing_of_the_checkpoint(rl3, copied, tmp_path):
    planted = tmp_path / "planted"
    plant_pickle(copied.checkpoint_file, planted)
    assert rl3("evaluate", copied.path, "--tasks", 3)[0] == 0
    assert not planted.exists()
    safe = copied.evaluation_file("canonical").read_bytes()
    assert rl3("evaluate", copied.path, "--tasks", 3, "--trust-pickle")[0] == 0
    assert planted.exists(), "the word that lets it"
    assert copied.evaluation_file("canonical").read_bytes() == safe


def test_playing_executes_nothing_of_the_checkpoint(rl3, lake, tmp_path):
    planted = tmp_path / "planted"
    plant_pickle(lake.checkpoint_file, planted)
    films = [tmp_path / "safe.gif", tmp_path / "trusting.gif"]
    assert rl3("play", lake.path, "--out", films[0])[0] == 0
    assert not planted.exists()
    assert rl3("play", lake.path, "--out", films[1], "--trust-pickle")[0] == 0
    assert planted.exists()
    assert films[0].read_bytes() == films[1].read_bytes()


def test_a_run_without_an_exported_policy_asks_for_the_word(rl3, copied):
    shutil.rmtree(copied.policy_folder)
    status, _, error = rl3("evaluate", copied.path, "--tasks", 3)
    assert status == 2
    assert "without policy/. If the run is your own, pass --trust-pickle" in error
    assert len(error.splitlines()) == 1
    assert rl3("evaluate", copied.path, "--tasks", 3, "--trust-pickle")[0] == 0
    copied.checkpoint_file.unlink()
    status, _, error = rl3("evaluate", copied.path)
    assert status == 2
    assert "Train first" in error


@pytest.mark.parametrize("name", ["policy.json", "policy.safetensors"])
def test_a_damaged_policy_is_named_in_one_line(rl3, copied, name):
    file = copied.policy_folder / name
    file.write_bytes(file.read_bytes()[:1000])
    status, _, error = rl3("evaluate", copied.path)
    assert status == 2
    assert f"policy/{name}` must" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"algo": "rl2", "estimator": None, "estimator_options": {}},
            "a policy for the observations of the run in config.json",
        ),
        ({"domain": "bandit"}, "a policy for the observations of the run in config.json"),
        ({"horizon": 24}, "a policy that remembers the 24 steps in config.json, got one for 12"),
    ],
)
def test_a_policy_of_another_run_is_refused(rl3, copied, changes, message):
    values = json.loads(copied.config_file.path.read_text())
    values["run"] |= changes
    del values["tasks"]  # which would tell already
    copied.config_file.path.write_text(json.dumps(values))
    status, _, error = rl3("evaluate", copied.path)
    assert status == 2
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_diverged_policy_is_told_at_its_checkpoint(lake):
    config = lake.config_file.read()
    model = make_model(config, make_training_env(config), "cpu")
    with th.no_grad():
        model.policy.actor.head.bias[0] = np.nan
    with pytest.raises(InputError, match="If training has diverged"):
        lake.save_checkpoint(model)
