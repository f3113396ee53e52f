import json
import shutil
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch as th

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.provenance import code_commit
from rl3_sb3.experiments.runs import config_file
from rl3_sb3.experiments.runs import stop_signals as stopping
from rl3_sb3.experiments.runs.metrics import COLUMNS, RETURN, STEPS, read_metrics
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.training import make_training_env, train
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.update.updates import Updates
from vamdp import TaskVectorEnv


def small(algo="rl3", domain="bandit", iterations=3, **options):
    return RunConfig.of(
        domain, algo=algo, horizon=12, n_envs=4, batch_size=24, iterations=iterations, **options
    )


def begun(path, config):
    directory = RunDirectory(path)
    directory.begin(config)
    return directory


def contents(path):
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.mark.parametrize("domain", ["bandit", "random-mdp"])
@pytest.mark.parametrize("algo", ["rl2", "rl3", "rl3-lstm", "rl3-markov"])
def test_a_run_writes_configuration_metrics_and_checkpoint(tmp_path, domain, algo):
    config = small(algo, domain)
    directory = begun(tmp_path / "run", config)
    model = train(directory, config, device="cpu")
    assert model.num_timesteps == config.total_steps == 144
    assert directory.config_file.read() == config
    stored = json.loads(directory.config_file.path.read_text())
    assert {"python", "torch", "vamdp"} <= set(stored["versions"])
    assert [entry["commit"] for entry in directory.config_file.provenance()] == [code_commit()]
    rows = read_metrics(directory.metrics_file)
    assert [row[STEPS] for row in rows] == [48, 96, 144]
    assert all(np.isfinite(value) for row in rows for value in row.values())
    assert list(directory.tensorboard.iterdir())
    assert not list(directory.path.glob(".*"))
    env = make_training_env(config)
    again = directory.load_checkpoint(env, "cpu")
    assert again.num_timesteps == 144
    for name, value in model.policy.state_dict().items():
        assert value.equal(again.policy.state_dict()[name])


def test_a_run_that_goes_on_with_other_code_says_so_and_a_complete_one_does_not(
    tmp_path, monkeypatch
):
    config = small()
    directory = begun(tmp_path / "run", config)
    for code in ("a", "a", "b", "c"):  # the first three take an iteration each, then it is complete
        monkeypatch.setattr(config_file, "code_commit", lambda code=code: code)
        train(directory, config, device="cpu", stop=lambda: True)
    assert [entry["commit"] for entry in directory.config_file.provenance()] == ["a", "b"]


def test_one_seed_gives_one_run_and_another_seed_another(tmp_path):
    def curve(name, seed):
        config = small(seed=seed)
        directory = begun(tmp_path / name, config)
        train(directory, config, device="cpu")
        return [row[RETURN] for row in read_metrics(directory.metrics_file)]

    assert curve("a", 1) == curve("b", 1)
    assert curve("c", 2) != curve("d", 3)


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    config = small(iterations=4)
    directory = begun(tmp_path / "run", config)
    stopped = train(directory, config, device="cpu", time_limit=1e-6)
    assert stopped.num_timesteps == 48  # the first iteration always runs
    reports = []
    model = train(directory, config, device="cpu", report=lambda *seen: reports.append(seen))
    assert model.num_timesteps == 192
    assert [n_steps for n_steps, _ in reports] == [96, 144, 192]
    rows = read_metrics(directory.metrics_file)
    assert [row[STEPS] for row in rows] == [48, 96, 144, 192]
    assert [row[RETURN] for row in rows[1:]] == pytest.approx([reward for _, reward in reports])


def test_the_entropy_coefficient_goes_on_along_its_line(tmp_path):
    config = small(domain="random-mdp", iterations=4)
    directory = begun(tmp_path / "run", config)
    train(directory, config, device="cpu", time_limit=1e-6)
    train(directory, config, device="cpu")
    # A row shows the update before it; the first row has none.
    shown = [row.get("train/ent_coef") for row in read_metrics(directory.metrics_file)]
    assert shown[0] is None
    assert shown[1:] == pytest.approx([0.015, 0.01, 0.005])


def test_a_time_limit_stops_in_time_with_a_checkpoint(tmp_path):
    config = small(domain="random-mdp", iterations=10_000)
    directory = begun(tmp_path / "run", config)
    begin = time.monotonic()
    model = train(directory, config, device="cpu", time_limit=3.0)
    assert time.monotonic() - begin < 10, "iterations are short, but the machine may be busy"
    assert 48 <= model.num_timesteps < config.total_steps
    assert model.num_timesteps % 48 == 0
    env = make_training_env(config)
    assert directory.load_checkpoint(env, "cpu").num_timesteps == model.num_timesteps


def test_no_iteration_begins_that_would_probably_end_too_late(tmp_path, monkeypatch):
    now = 0.0

    def iteration_takes_ten_seconds(*_):
        nonlocal now
        now += 10

    monkeypatch.setattr(stopping, "time", SimpleNamespace(monotonic=lambda: now))
    config = small(iterations=9)
    directory = begun(tmp_path / "run", config)
    # With a margin of a fifth the fourth iteration would be awaited at 42.
    model = train(
        directory, config, device="cpu", time_limit=41, report=iteration_takes_ten_seconds
    )
    assert model.num_timesteps == 3 * 48


def test_rows_after_the_checkpoint_are_written_anew(tmp_path):
    config = small(iterations=2)
    directory = begun(tmp_path / "run", config)
    train(directory, config, device="cpu", time_limit=1e-6)
    with directory.metrics_file.open("a") as file:
        file.write(",".join(["96"] + ["7"] * (len(COLUMNS) - 1)) + "\n")
        file.write("144,3")  # a row that an interruption cut short
    train(directory, config, device="cpu")
    rows = read_metrics(directory.metrics_file)
    assert [row[STEPS] for row in rows] == [48, 96]
    assert rows[1][RETURN] != 7


def test_a_complete_run_is_left_alone(trained, tmp_path):
    path = tmp_path / "copy"
    shutil.copytree(trained.path, path)
    before = contents(path)
    directory = RunDirectory(path)
    train(directory, directory.config_file.read(), device="cpu")
    assert contents(path) == before


@pytest.mark.parametrize(
    "other",
    [
        small("rl2", "random-mdp"),
        small("rl3", "bandit"),
        RunConfig.of("random-mdp", horizon=24, n_envs=4, batch_size=24, iterations=3),
    ],
)
def test_a_checkpoint_of_another_shape_is_named_and_left_alone(trained, tmp_path, other):
    directory = begun(tmp_path / "run", other)
    shutil.copytree(trained.checkpoints.path, directory.checkpoints.path)
    before = contents(directory.path)
    with pytest.raises(InputError, match=r"000144.zip` must be .* of the run in config.json, got"):
        train(directory, other, device="cpu")
    assert contents(directory.path) == before


def test_training_that_diverges_names_the_last_good_checkpoint(tmp_path, monkeypatch):
    run, calls = Updates.run, []

    def run_and_diverge(self, rollout, settings):
        calls.append(settings)
        if len(calls) == 3:
            with th.no_grad():
                next(self.policy.critic.parameters()).fill_(np.nan)
        return run(self, rollout, settings)

    monkeypatch.setattr(Updates, "run", run_and_diverge)
    directory = begun(tmp_path / "run", small(iterations=4))
    message = r"value_loss = nan in iteration 3, after 144 steps.*checkpoint: .*step-000000000096"
    with pytest.raises(InputError, match=message):
        train(directory, small(iterations=4), device="cpu", save_every=0)
    monkeypatch.setattr(Updates, "run", run)
    model = train(directory, small(iterations=4), device="cpu")  # from there it goes on
    assert model.num_timesteps == 192


def test_training_that_diverges_at_once_has_no_checkpoint(tmp_path):
    config = small(learning_rate=1e30)
    with pytest.raises(InputError, match=r"in iteration 1, .* The last good checkpoint: none yet"):
        train(begun(tmp_path / "run", config), config, device="cpu")


@pytest.mark.parametrize("kind", [ValueError, KeyError, OSError, ZeroDivisionError])
def test_an_error_of_the_environment_keeps_its_traceback_and_names_the_last_good_checkpoint(
    tmp_path, monkeypatch, kind
):
    step, calls = TaskVectorEnv.step, []

    def step_and_fail(self, actions):
        calls.append(actions)
        if len(calls) == 30:  # in the third iteration
            raise kind("a wall fell down")
        return step(self, actions)

    monkeypatch.setattr(TaskVectorEnv, "step", step_and_fail)
    directory = begun(tmp_path / "run", small(iterations=4))
    with pytest.raises(kind, match="a wall fell down") as caught:
        train(directory, small(iterations=4), device="cpu", save_every=0)
    assert str(next(iter(directory.checkpoints.files()))) in caught.value.__notes__[0]
    assert caught.traceback[-1].name == "step_and_fail"
