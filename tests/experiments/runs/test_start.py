"""A run starts from the networks of another one, of an exported policy, or of a published agent."""

import json
import shutil

import pytest

from rl3_sb3 import load_policy
from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.runs.metrics import read_metrics
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.run_policy import load_run_policy
from rl3_sb3.experiments.runs.training import train
from rl3_sb3.experiments.settings.command import command_of
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.policy_files.folder import export_policy


def small(iterations=2, domain="bandit", **options):
    settings = {"horizon": 12, "n_envs": 4, "batch_size": 24, "recipe": "ours"}
    return RunConfig.of(domain, iterations=iterations, **settings | options)


def trained(path, config):
    directory = RunDirectory(path)
    directory.begin(config)
    return directory, train(directory, config, device="cpu")


@pytest.fixture
def first(tmp_path):
    return trained(tmp_path / "first", small(seed=3))


def same_weights(policy, other, network):
    one, two = (getattr(each, network).state_dict() for each in (policy, other))
    return all(one[name].equal(two[name]) for name in one)


@pytest.mark.parametrize("folder", ["first", "first/policy"])
def test_networks_are_those_of_the_folder(tmp_path, first, folder):
    config = small(1, start_from=str(tmp_path / folder), learning_rate=0.0)
    directory, model = trained(tmp_path / "second", config)
    for network in ("actor", "critic"):
        assert same_weights(model.policy, first[1].policy, network)
    assert directory.n_steps_before() == 96
    start = json.loads(directory.config_file.read_text())["start"]
    assert (start["n_steps"], start["with_critic"]) == (96, True)


def test_an_agent_without_a_critic_trains_its_critic_first(tmp_path, first):
    export_policy(first[1].policy, tmp_path / "published" / "policy", actor_only=True)
    config = small(3, start_from=str(tmp_path / "published"), critic_first=3)
    directory, model = trained(tmp_path / "second", config)
    assert same_weights(model.policy, first[1].policy, "actor")
    assert not same_weights(model.policy, first[1].policy, "critic")
    rows = read_metrics(directory.metrics_file)
    assert [row.get("train/actor_epochs") for row in rows] == [None, 0, 0]
    assert json.loads(directory.config_file.read_text())["start"]["with_critic"] is False


def test_steps_of_both_are_in_the_export_and_a_run_counts_its_own(tmp_path, first):
    config = small(3, start_from=str(tmp_path / "first"))
    directory, _ = trained(tmp_path / "second", config)
    assert load_policy(directory.policy_folder).training_record.n_steps == 96 + 144
    assert load_run_policy(directory, config, "cpu")[1] == 144
    third, _ = trained(tmp_path / "third", small(1, start_from=str(directory.path)))
    assert third.n_steps_before() == 96 + 144


def test_interrupted_it_ends_with_the_bits_of_an_uninterrupted_run(tmp_path, first):
    config = small(3, start_from=str(tmp_path / "first"), critic_first=1)
    _, whole = trained(tmp_path / "whole", config)
    parts = RunDirectory(tmp_path / "parts")
    parts.begin(config)
    train(parts, config, device="cpu", stop=lambda: True)
    shutil.rmtree(tmp_path / "first")  # no longer needed
    model = train(parts, config, device="cpu")
    for name, value in whole.policy.state_dict().items():
        assert value.equal(model.policy.state_dict()[name])


def test_killed_before_its_first_checkpoint_it_must_start_from_the_same_policy(tmp_path, first):
    config = small(1, start_from=str(tmp_path / "first"))
    directory = RunDirectory(tmp_path / "second")
    directory.begin(config)
    train(directory, config, device="cpu")
    for file in directory.checkpoints.files():
        file.unlink()
    train(RunDirectory(tmp_path / "first"), first[0].prolong(3), device="cpu")
    before = directory.config_file.read_bytes()
    with pytest.raises(InputError, match=r"`start_from` must be the policy that the run .* began"):
        train(directory, config, device="cpu")
    assert directory.config_file.read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"algo": "rl2"}, "as many numbers"),
        ({"d_model": 32}, "`d_model` 32"),
        ({"horizon": 24, "n_envs": 2}, "`context_length` 24"),
    ],
)
def test_an_agent_that_does_not_fit_is_named_and_the_command_leaves_nothing(
    tmp_path, first, settings, message
):
    config = small(1, start_from=str(tmp_path / "first"), **settings)
    directory = RunDirectory(tmp_path / "second")
    directory.begin(config)
    with (
        pytest.raises(InputError, match=f"`start_from` must fit the run, got .*{message}"),
        directory.locked(),
        directory.discarded_on_error(),
    ):
        train(directory, config, device="cpu")
    assert not directory.path.exists()


def test_a_folder_without_a_policy_is_named(tmp_path):
    directory = RunDirectory(tmp_path / "second")
    config = small(1, start_from=str(tmp_path))
    directory.begin(config)
    with pytest.raises(InputError, match="`start_from` must be the folder of a published agent"):
        train(directory, config, device="cpu")


def test_the_command_has_the_option_and_can_be_given_again(tmp_path, first, capsys):
    command = "train bandit --horizon 12 --n-envs 4 --batch-size 24 --iterations 1 --recipe ours"
    words = [*command.split(), "--device", "cpu", "--out", str(tmp_path / "second"), "--start-from"]
    assert main([*words, str(tmp_path / "first")]) == 0
    assert main([*words, str(tmp_path / "first")]) == 0
    assert main([*words, "elsewhere"]) != 0
    assert "`start_from` must be" in capsys.readouterr().err
    config = RunDirectory(tmp_path / "second").read_config()
    assert f"--set start_from={tmp_path / 'first'}" in command_of(config)


def test_runs_from_before_the_setting_start_from_nothing(tmp_path):
    values = small().to_dict()
    del values["start_from"], values["critic_first"]
    config = RunConfig.from_dict(values, source="config.json")
    assert (config.start_from, config.critic_first) == (None, 0)
