import shutil

import pytest

from rl3_sb3.experiments.runs.metrics import MetricsFile

from .folders import contents


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "bandit", "--horizon", 0], "`horizon` must be an integer of at least 1, got 0"),
        (["train", "bandit", "--horizon", "x"], "--horizon: invalid int value: 'x'"),
        (["train", "bandit", "--seed", -1], "`seed` must be an integer of at least 0, got -1"),
        (["train", "bandit", "--n-envs", 0], "`n_envs` must be an integer of at least 1, got 0"),
        (["train", "bandit", "--time-limit", 0], "`--time-limit` must be above 0, got 0.0"),
        (["train", "bandit", "--save-every", -1], "`--save-every` must be at least 0, got -1.0"),
        (["train", "bandit", "--keep", 0], "`--keep` must be at least 1, got 0"),
        (["train", "bandit", "--validate-every", -1], "`validate_every` must be an integer of at"),
        (["train", "bandit", "--threads", 0], "`--threads` must be at least 1, got 0"),
        (["train", "bandit", "--device", "tpu9"], "`--device` must be one that torch can use"),
        (
            ["train", "go"],
            "`domain` must be one of bandit, random-mdp, gridworld, ",
        ),
        (["train", "gridworld", "--size", 12], "`size` must be 11 or 13 in gridworlds, got 12"),
        (["train", "bandit", "--variation", "x"], "`variation` must be one of canonical, ood"),
        (
            ["train", "random-mdp", "--algo", "rl3-coarse"],
            "`estimator.cluster_size` must be 1 in the domain random-mdp, got 2",
        ),
        (["train", "bandit", "--algo", "rl4"], "invalid choice: 'rl4'"),
        (["evaluate", "nowhere"], "`DIR` must be the folder of a run, got nowhere"),
        (
            ["sweep", "nowhere.toml"],
            "`FILE` must be a sweep's TOML file, got nowhere.toml: it does",
        ),
        (["sweep", "a.toml", "--jobs", 0], "`--jobs` must be at least 1, got 0"),
        (["sweep", "a.toml", "--memory", 0], "`--memory` must be above 0, got 0.0"),
        (["sweep", "a.toml", "--save-every", -1], "`--save-every` must be at least 0, got -1.0"),
        (["table", "nowhere"], "`DIR` must be the folder of a run, got nowhere"),
        (
            ["train", "bandit", "--foo"],
            "rl3 train: error: unrecognized arguments: --foo; see rl3 t",
        ),
        (["table"], "see rl3 table --help"),
        (["sweep", "."], "`FILE` must be a sweep's TOML file, got .: Is a directory"),
        (["dance"], "invalid choice: 'dance'"),
        ([], "required"),
    ],
)
def test_bad_input_is_one_line_and_status_2(rl3, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    status, _, error = rl3(*arguments)
    assert status == 2
    assert message in error
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("domain", "options", "message"),
    [
        ("random-mdp", ["--horizon", 13], "`horizon` must be 12 as in"),
        ("random-mdp", ["--algo", "rl2"], "`algo` must be rl3 as in"),
        ("random-mdp", ["--variation", "ood"], "`variation` must be canonical as in"),
        ("random-mdp", ["--iterations", 2], "`iterations` must be at least 3 as in"),
        ("random-mdp", ["--validate-every", 2], "`validate_every` must be 50 as in"),
        ("bandit", [], "`domain` must be random-mdp as in"),
    ],
)
def test_options_that_contradict_the_stored_run_are_refused(rl3, copied, domain, options, message):
    before = contents(copied)
    status, _, error = rl3("train", domain, "--out", copied, *options)
    assert status == 2
    assert message in error
    assert contents(copied) == before


@pytest.mark.parametrize("trust", [[], ["--trust-pickle"]])
def test_a_run_that_was_never_validated_has_no_best_checkpoint(rl3, copied, trust):
    status, _, error = rl3("evaluate", copied, "--best", *trust)
    assert status == 2
    assert "`DIR` must hold the best checkpoint" in error
    assert "--validate-every" in error


def test_a_run_that_was_never_evaluated_has_no_table(rl3, copied):
    status, _, error = rl3("table", copied)
    assert status == 2
    assert "`DIR` must be an evaluated run" in error


def test_a_folder_with_other_contents_is_left_alone(rl3, tmp_path):
    for name in (".cache.json.1.tmp", ".config.json.2.tmp", "thesis.tex"):
        (tmp_path / name).write_text("dear")
    for command in (["train", "bandit"], ["quickstart", "--smoke"]):
        status, _, error = rl3(*command, "--out", tmp_path)
        assert status == 2
        assert "`--out` must be a new" in error
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("error", [MemoryError("1 TiB"), RuntimeError("x: can't allocate memory")])
def test_a_run_that_finds_no_memory_is_one_line_and_leaves_no_folder(
    rl3, monkeypatch, tmp_path, small_options, error
):
    def fail(directory, *arguments, **options):
        directory.tensorboard.mkdir()
        (directory.tensorboard / "events").touch()
        MetricsFile(directory.metrics_file).close()
        raise error

    monkeypatch.setattr("rl3_sb3.experiments.runs.train_command.train", fail)
    new, empty = tmp_path / "new", tmp_path / "empty"
    empty.mkdir()
    for out in (new, empty):
        status, _, message = rl3("train", "bandit", *small_options, "--out", out)
        assert status == 2
        assert f"The run needs more memory than there is: {error}. Pass fewer --n-envs" in message
        assert len([line for line in message.splitlines() if "error" in line]) == 1
        assert not out.exists()


def test_an_error_removes_nothing_of_a_run_that_was_there(rl3, monkeypatch, copied):
    def fail(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr("rl3_sb3.experiments.runs.train_command.train", fail)
    before = contents(copied)
    for options in ([], ["--iterations", 3]):
        assert rl3("train", "random-mdp", "--out", copied, *options)[0] == 2
        assert contents(copied) == before
    shutil.rmtree(copied / "checkpoints")  # stopped before its first one
    (copied / "metrics.csv").unlink()
    before = contents(copied)
    assert rl3("train", "random-mdp", "--out", copied)[0] == 2
    assert contents(copied) == before
