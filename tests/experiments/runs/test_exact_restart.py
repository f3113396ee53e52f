"""A run cut into pieces equals the run in one piece, bit for bit."""

import contextlib
import json
import resource
import shutil
import sys
import time
from dataclasses import replace

import pytest
import torch as th
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rl3_sb3 import TransformerPPO
from rl3_sb3.experiments.errors import InputError, RunWarning
from rl3_sb3.experiments.runs.metrics import RETURN, read_metrics
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.training import make_training_env, train
from rl3_sb3.experiments.runs.validation import VALIDATION_RETURN
from rl3_sb3.experiments.settings.run_config import RunConfig

# Stops after its first iteration.
ONE_ITERATION = 1e-6


def small(algo="rl3", domain="random-mdp", iterations=4, validate_every=2, **options):
    return RunConfig.of(
        domain,
        algo=algo,
        horizon=12,
        n_envs=4,
        batch_size=24,
        iterations=iterations,
        validate_every=validate_every,
        **options,
    )


def begun(path, config):
    directory = RunDirectory(path)
    directory.begin(config)
    return directory


def whole(path, config, **options):
    directory = begun(path, config)
    train(directory, config, device="cpu", **options)
    return directory


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Return a run of four iterations with all its checkpoints; tests must not change it."""
    path = tmp_path_factory.mktemp("uninterrupted") / "run"
    return whole(path, small(), save_every=0, keep=9)


@pytest.fixture
def copied(uninterrupted, tmp_path):
    """Return a copy that can be changed, without its last checkpoint."""
    path = tmp_path / "copy"
    shutil.copytree(uninterrupted.path, path)
    directory = RunDirectory(path)
    directory.checkpoint_file.unlink()
    return directory


@pytest.mark.parametrize(
    "config",
    [
        small(),
        small("rl2", "bandit"),
        small("rl3", "gridworld", warm_start=True),
        small(estimator="q-learning", n_replayed=3),
        small("rl3-lstm", signal="regret", gae_lambda="0.3:1@0.5", learning_rate="1e-3:1e-4"),
        small("rl2", signal="regret", critic_sees="task"),
        small("rl2", symmetry_share=0.5),
        small("rl2", "cartpole"),
        small("rl2", "mountain-car", recipe="ours"),
        pytest.param(small("rl3-markov"), marks=pytest.mark.slow),
        pytest.param(small("rl3-coarse", "gridworld"), marks=pytest.mark.slow),
        pytest.param(small("rl3", "frozen-lake"), marks=pytest.mark.slow),
    ],
    ids=lambda config: f"{config.domain}-{config.algo}",
)
def test_a_run_stopped_after_every_iteration_equals_one_that_was_not(
    tmp_path, config, assert_same_runs
):
    directory = begun(tmp_path / "pieces", config)
    for n_iterations in (1, 2, 3, 4):
        th.manual_seed(n_iterations)  # as another process would have it
        model = train(directory, config, device="cpu", time_limit=ONE_ITERATION)
        assert model.num_timesteps == n_iterations * config.steps_per_iteration
    assert_same_runs(directory, whole(tmp_path / "whole", config))


def test_every_checkpoint_leads_to_the_same_end(copied, uninterrupted, assert_same_runs):
    config = copied.config_file.read()
    files = copied.checkpoints.files()
    assert len(files) == 3
    for file in files:
        for newer in copied.checkpoints.files():
            if newer > file:
                newer.unlink()
        train(copied, config, device="cpu", save_every=1000, keep=9)
        assert_same_runs(copied, uninterrupted)


def damage(file, how):
    content = bytearray(file.read_bytes())
    if how == "byte":
        content[len(content) // 2] ^= 0xFF
    file.write_bytes(content if how == "byte" else content[:how])


@pytest.mark.parametrize("how", [0, -1, "byte"])
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(
    copied, uninterrupted, assert_same_runs, how
):
    newest = copied.checkpoint_file
    damage(newest, how)
    with pytest.warns(RunWarning, match=r"000144.zip is damaged: continuing from .*000096.zip"):
        model = train(copied, copied.config_file.read(), device="cpu", time_limit=ONE_ITERATION)
    assert model.num_timesteps == 144
    train(copied, copied.config_file.read(), device="cpu")
    assert_same_runs(copied, uninterrupted)


@pytest.mark.filterwarnings("ignore:.*is damaged")
def test_a_damaged_checkpoint_is_no_progress(copied):
    damage(copied.checkpoint_file, -1)  # of 144 steps
    assert copied.checkpoints.n_steps() == 96
    assert copied.checkpoint_file == copied.checkpoints.newest()
    copied.prolong(9)
    stored = json.loads(copied.config_file.path.read_text())
    assert stored["prolonged"] == [{"n_steps": 96, "iterations": 9}]


@pytest.mark.filterwarnings("ignore:.*is damaged")
def test_a_damaged_checkpoint_is_not_named_as_the_last_good_one(copied, monkeypatch):
    damage(copied.checkpoint_file, -1)
    monkeypatch.setattr(TransformerPPO, "learn", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError) as error:
        train(copied, copied.config_file.read(), device="cpu")
    assert error.value.__notes__ == [f"The last good checkpoint: {copied.checkpoints.newest()}."]


def test_what_is_damaged_costs_no_whole_checkpoint_its_place(copied):
    damage(copied.checkpoint_file, 100)  # of 144 steps
    (before,) = (file for file in copied.checkpoints.files() if "000096" in file.name)
    damage(before, 100)
    with pytest.warns(RunWarning, match=r"000144.zip, .*000096.zip is damaged"):
        train(copied, copied.config_file.read(), device="cpu", time_limit=ONE_ITERATION, keep=1)
    # Only of 96 and less were there any to count: the one just written is kept.
    assert [file.name[-8:] for file in copied.checkpoints.files()] == ["0144.zip", "0096.zip"]


@pytest.mark.parametrize("how", [0, 100, -1, "byte"])
def test_without_any_whole_checkpoint_nothing_is_touched(copied, how):
    for file in copied.checkpoints.files():
        damage(file, how)
    before = contents(copied.path)
    with pytest.raises(InputError, match=r"000144.zip` must be a complete checkpoint"):
        train(copied, copied.config_file.read(), device="cpu")
    assert contents(copied.path) == before


def contents(path):
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


@contextlib.contextmanager
def no_room_beyond(n_bytes):
    """Let every file that grows beyond this fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
def test_a_full_disk_costs_nothing_but_time(copied, uninterrupted, assert_same_runs):
    checkpoints = contents(copied.checkpoints.path)
    with no_room_beyond(1_000_000), pytest.raises(OSError, match="too large"):
        train(copied, copied.config_file.read(), device="cpu", save_every=0)
    assert contents(copied.checkpoints.path) == checkpoints
    train(copied, copied.config_file.read(), device="cpu")
    assert_same_runs(copied, uninterrupted)


def test_metrics_that_were_lost_come_back_from_the_checkpoint(
    copied, uninterrupted, assert_same_runs
):
    copied.metrics_file.unlink()
    train(copied, copied.config_file.read(), device="cpu")
    assert_same_runs(copied, uninterrupted)


def test_tensorboard_shows_no_step_twice(copied):
    """The event file of the fixture holds the last iteration, which is trained again here."""
    time.sleep(1.1)  # event files are read in the order of their names, which begin with seconds
    train(copied, copied.config_file.read(), device="cpu")
    events = EventAccumulator(str(copied.tensorboard)).Reload()
    rows = read_metrics(copied.metrics_file)
    shown = events.Scalars(RETURN)
    assert [each.step for each in shown] == [48, 96, 144, 192]
    assert [each.value for each in shown] == pytest.approx([row[RETURN] for row in rows])


def test_as_many_checkpoints_are_kept_as_asked_for(tmp_path):
    directory = whole(tmp_path / "run", small(iterations=5), save_every=0, keep=3)
    names = [file.name for file in directory.checkpoints.files()]
    assert names == [f"step-{n_steps:012d}.zip" for n_steps in (240, 192, 144)]


def test_validation_changes_nothing_but_its_column(tmp_path):
    weights, rows = [], []
    for every in (0, 1):
        config = small(iterations=3, validate_every=every)
        directory = begun(tmp_path / str(every), config)
        weights.append(train(directory, config, device="cpu").policy.parameters_to_vector())
        rows.append(read_metrics(directory.metrics_file))
    assert (weights[0] == weights[1]).all()
    measured = [row.pop(VALIDATION_RETURN, None) for row in rows[1]]
    assert measured[0] is None
    assert None not in measured[1:]
    for row in rows[0] + rows[1]:
        del row["time/time_elapsed"]
    assert rows[0] == rows[1]


def test_the_best_checkpoint_is_the_first_with_the_best_validation_return(tmp_path, monkeypatch):
    returns = iter([3.0, 5.0, 5.0, 4.0])
    monkeypatch.setattr(
        "rl3_sb3.experiments.runs.end_of_iteration.validation_return", lambda *_: next(returns)
    )
    config = small(validate_every=1)
    directory = begun(tmp_path / "run", config)
    for _ in range(4):  # the best so far is known to the next call
        train(directory, config, device="cpu", time_limit=ONE_ITERATION, keep=9)
    best = directory.load_checkpoint(make_training_env(config), "cpu", best=True)
    assert best.num_timesteps == 96
    then = TransformerPPO.load(directory.checkpoints.path / "step-000000000096.zip", device="cpu")
    assert (best.policy.parameters_to_vector() == then.policy.parameters_to_vector()).all()


def test_a_prolonged_run_is_a_run_of_that_length_as_far_as_nothing_depends_on_it(
    tmp_path, assert_same_runs
):
    # No setting of this recipe changes while it learns.
    short = small("rl2", "bandit", iterations=2, recipe="paper")
    directory = whole(tmp_path / "short", short)
    config = directory.prolong(4)
    assert directory.config_file.read() == config
    train(directory, config, device="cpu")
    assert_same_runs(directory, whole(tmp_path / "long", replace(short, iterations=4)))


def test_a_prolonged_run_follows_the_longer_line(tmp_path):
    directory = whole(tmp_path / "run", small(iterations=2))
    train(directory, directory.prolong(4), device="cpu")
    shown = [row.get("train/ent_coef") for row in read_metrics(directory.metrics_file)]
    # From 0.02 to 0: halfway after one of two iterations, and after two of two at its end.
    assert shown[1:] == pytest.approx([0.01, 0.0, 0.005])


def test_a_model_without_its_state_can_be_evaluated_but_not_trained(copied):
    config = copied.config_file.read()
    model = copied.load_checkpoint(make_training_env(config), "cpu")
    copied.save_checkpoint(model)
    before = contents(copied.path)
    assert copied.load_checkpoint(make_training_env(config), "cpu").num_timesteps == 144
    with pytest.raises(InputError, match=r"must hold training_state.json to continue training"):
        train(copied, config, device="cpu")
    with pytest.raises(InputError, match=r"must hold training_state.json to continue training"):
        copied.prolong(9)
    assert contents(copied.path) == before
