"""A run starts from the networks of another one, of an exported policy, or of a published agent."""

import json
import shlex
import shutil
from dataclasses import replace

import pytest

from rl3_sb3 import load_policy
from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.results.labels import agent_labels
from rl3_sb3.experiments.runs.metrics import read_metrics
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.run_policy import load_run_policy
from rl3_sb3.experiments.runs.start import check_start
from rl3_sb3.experiments.runs.training import train
from rl3_sb3.experiments.settings.command import command_of
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.experiments.sweeps.specification import read_sweep
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
    assert directory.config_file.n_steps_before() == 96
    start = json.loads(directory.config_file.path.read_text())["start"]
    assert (start["n_steps"], start["with_critic"]) == (96, True)


def test_an_agent_without_a_critic_trains_its_critic_first(tmp_path, first):
    export_policy(first[1].policy, tmp_path / "published" / "policy", actor_only=True)
    config = small(3, start_from=str(tmp_path / "published"), critic_first=2)
    directory = RunDirectory(tmp_path / "second")
    directory.begin(config)
    model = None
    for _ in range(2):
        model = train(directory, config, device="cpu", stop=lambda: True)
        assert same_weights(model.policy, first[1].policy, "actor")
    assert not same_weights(model.policy, first[1].policy, "critic")
    model = train(directory, config, device="cpu")
    assert not same_weights(model.policy, first[1].policy, "actor")
    rows = read_metrics(directory.metrics_file)
    assert [row.get("train/actor_epochs") for row in rows] == [None, 0, 0]
    assert json.loads(directory.config_file.path.read_text())["start"]["with_critic"] is False


def test_steps_of_both_are_in_the_export_and_a_run_counts_its_own(tmp_path, first):
    config = small(3, start_from=str(tmp_path / "first"))
    directory, _ = trained(tmp_path / "second", config)
    assert load_policy(directory.policy_folder).training_record.n_steps == 96 + 144
    assert load_run_policy(directory, config, "cpu")[1] == 144
    third, _ = trained(tmp_path / "third", small(1, start_from=str(directory.path)))
    assert third.config_file.n_steps_before() == 96 + 144


def test_interrupted_it_ends_with_the_bits_of_an_uninterrupted_run(tmp_path, first):
    config = small(3, start_from=str(tmp_path / "first"), critic_first=1)
    directory, whole = trained(tmp_path / "whole", config)
    parts = RunDirectory(tmp_path / "parts")
    parts.begin(config)
    train(parts, config, device="cpu", stop=lambda: True)
    shutil.rmtree(tmp_path / "first")  # no longer needed
    model = train(parts, config, device="cpu")
    for name, value in whole.policy.state_dict().items():
        assert value.equal(model.policy.state_dict()[name])
    rows, others = (read_metrics(each.metrics_file) for each in (directory, parts))
    clock = "time/time_elapsed"
    assert [{**row, clock: 0} for row in rows] == [{**row, clock: 0} for row in others]


def test_killed_before_its_first_checkpoint_it_must_start_from_the_same_policy(tmp_path, first):
    config = small(1, start_from=str(tmp_path / "first"))
    directory, whole = trained(tmp_path / "second", config)

    def loses_its_checkpoints():
        for file in directory.checkpoints.files():
            file.unlink()

    loses_its_checkpoints()
    again = train(directory, config, device="cpu")
    assert same_weights(again.policy, whole.policy, "actor")
    loses_its_checkpoints()
    train(RunDirectory(tmp_path / "first"), first[0].prolong(3), device="cpu")
    before = directory.config_file.path.read_bytes()
    with pytest.raises(InputError, match=r"`start_from` must be the policy that the run .* began"):
        train(directory, config, device="cpu")
    assert directory.config_file.path.read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"algo": "rl2"}, "it is of algo rl3, here rl2"),
        ({"d_model": 32}, "it is of policy.d_model 64, here 32"),
        ({"horizon": 24, "n_envs": 2}, "it is of horizon 12, here 24"),
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
    config = RunDirectory(tmp_path / "second").config_file.read()
    assert f"--start-from {tmp_path / 'first'}" in command_of(config)


@pytest.mark.parametrize("named", ["first", "first/policy"])
def test_scales_must_be_those_of_the_earlier_run(tmp_path, first, named):
    config = small(1, start_from=str(tmp_path / named), value_scale=0.5)
    with pytest.raises(InputError, match=r"`value_scale` must be 1.0 .*, got 0.5.*value_scale=1.0"):
        check_start(config)
    assert check_start(replace(config, value_scale=1.0))["n_steps"] == 96


@pytest.mark.parametrize("named", ["first", "first/policy"])
def test_settings_that_cannot_be_read_are_not_taken_for_none(tmp_path, first, named):
    first[0].config_file.path.write_text("{")
    with pytest.raises(InputError, match=r"config.json"):
        check_start(small(1, start_from=str(tmp_path / named)))


@pytest.mark.parametrize(
    ("change", "with_critic"),
    [({}, True), ({"signal": "reward"}, False), ({"gamma": 0.5}, False), ({"n_epochs": 1}, True)],
)
@pytest.mark.parametrize("named", ["first", "first/policy"])
def test_the_critic_comes_along_if_it_estimates_the_same_returns(
    tmp_path, first, named, change, with_critic
):
    config = small(1, start_from=str(tmp_path / named), **change)
    assert check_start(config)["with_critic"] is with_critic


def test_of_a_policy_without_settings_nobody_knows_what_its_critic_estimates(tmp_path, first):
    shutil.copytree(first[0].policy_folder, tmp_path / "alone")
    config = small(1, start_from=str(tmp_path / "alone"))
    assert check_start(config)["with_critic"] is False


@pytest.mark.parametrize("path", ["", "none"])
def test_the_option_wants_a_folder(path, capsys):
    assert main(["train", "bandit", "--start-from", path]) == 2
    assert f"`--start-from` must be a folder, got '{path}'" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["x" * 300, "a\0b"])
def test_what_can_be_no_folder_is_named(path):
    with pytest.raises(InputError, match="`start_from` must be the folder of a published agent"):
        check_start(small(1, start_from=path))


def test_the_name_of_a_published_agent_alone_is_enough_for_a_hint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pretrained" / "bandit-100-rl3").mkdir(parents=True)
    with pytest.raises(InputError, match=r"Did you mean pretrained.bandit-100-rl3\?$"):
        check_start(small(1, start_from="bandit-100-rl3"))


def test_a_policy_alone_that_does_not_fit_is_named_too(tmp_path, first):
    shutil.copytree(first[0].policy_folder, tmp_path / "alone")
    config = small(1, start_from=str(tmp_path / "alone"), d_model=32)
    with pytest.raises(InputError, match=r"`start_from` must fit the run, .*`d_model` 32"):
        check_start(config)


def test_an_evaluation_and_a_table_tell_what_a_run_started_from(tmp_path, first, capsys):
    config = small(1, start_from=str(tmp_path / "first"), seed=3)
    trained(tmp_path / "second", config)
    for run in ("first", "second"):
        assert main(["evaluate", str(tmp_path / run), "--tasks", "4", "--device", "cpu"]) == 0
    text = capsys.readouterr().out
    assert "after 96 of 96 training steps; stored: " in text
    told = "after 48 of 48 training steps (and 96 of the agent that it started from); stored: "
    assert told in text
    assert "(4 canonical tasks, H = 12)" in text
    labels = agent_labels([first[0].config_file.read(), config])
    assert labels == ["RL³", f"RL³ (start_from {tmp_path / 'first'})"]


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="`start_from` must be a folder, got ''"):
        small(start_from="")
    with pytest.raises(InputError, match="`critic_first` must be below `iterations`, 2, got 2"):
        small(2, critic_first=2)
    assert small(start_from="runs/first/").start_from == "runs/first"


@pytest.mark.parametrize("entry", ["x", [], {"n_steps": "many"}, {}])
def test_a_damaged_entry_of_the_configuration_is_named(tmp_path, first, entry):
    directory, _ = first
    values = json.loads(directory.config_file.path.read_text())
    directory.config_file.path.write_text(json.dumps({**values, "start": entry}))
    with pytest.raises(InputError, match="must say under `start` what the run started from"):
        directory.config_file.n_steps_before()


def test_a_sweep_checks_what_it_starts_from_before_anything_starts(tmp_path, first, capsys):
    def cells(path):
        (tmp_path / "sweep.toml").write_text(
            'domains = ["bandit"]\nalgorithms = ["rl3"]\nseeds = [0, 1]\nhorizons = [12]\n'
            f'[settings]\nrecipe = "ours"\niterations = 1\nstart_from = "{path}"\n'
        )
        return read_sweep(tmp_path / "sweep.toml")

    assert len(cells((tmp_path / "first").as_posix())) == 2
    cells("nowhere")
    assert main(["sweep", str(tmp_path / "sweep.toml"), "--out", str(tmp_path / "out")]) == 2
    assert "sweep.toml: `start_from` must be the folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_sweeps_cells_start_from_its_earlier_ones(tmp_path, capsys):
    out = tmp_path / "out"
    (tmp_path / "sweep.toml").write_text(
        'domains = ["bandit"]\nalgorithms = ["rl3"]\nseeds = [0]\nhorizons = [12]\n'
        "[settings]\niterations = 1\nn_envs = 2\nbatch_size = 24\n[evaluation]\ntasks = 3\n"
        "[variants.early]\n[variants.late]\n"
        f'start_from = "{out.as_posix()}/bandit-h12-rl3-early-s0"\n'
    )
    command = ["sweep", str(tmp_path / "sweep.toml"), "--out", str(out), "--jobs", "1"]
    assert main([*command, "--only", "*-late-*"]) == 2
    assert "`start_from` must be the folder" in capsys.readouterr().err
    assert main([*command, "--only", "*-early-*"]) == 0, capsys.readouterr().err
    assert main(command) == 0, capsys.readouterr().err


def test_a_complete_sweep_needs_what_it_started_from_no_longer(tmp_path, first, capsys):
    path = tmp_path / "moved"
    shutil.copytree(tmp_path / "first", path)
    (tmp_path / "sweep.toml").write_text(
        'domains = ["bandit"]\nalgorithms = ["rl3"]\nseeds = [0]\nhorizons = [12]\n'
        f'[settings]\nrecipe = "ours"\niterations = 1\nstart_from = "{path.as_posix()}"\n'
        "n_envs = 2\nbatch_size = 24\n[evaluation]\ntasks = 3\n"
    )
    command = ["sweep", str(tmp_path / "sweep.toml"), "--out", str(tmp_path / "out"), "--jobs", "1"]
    assert main(command) == 0, capsys.readouterr().err
    shutil.rmtree(path)
    assert main(command) == 0, capsys.readouterr().err
    assert main(["publish", str(tmp_path / "out"), "--out", str(tmp_path / "pub")]) == 0


def test_the_command_of_a_run_quotes_its_folder():
    command = command_of(small(start_from="it's a run=1"))
    words = shlex.split(command)
    assert words[words.index("--start-from") + 1] == "it's a run=1"


def test_runs_from_before_the_setting_start_from_nothing(tmp_path):
    values = small().to_dict()
    del values["start_from"], values["critic_first"]
    config = RunConfig.from_dict(values, source="config.json")
    assert (config.start_from, config.critic_first) == (None, 0)
