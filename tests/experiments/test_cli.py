import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import warnings

import pytest

import vamdp
from rl3_sb3.experiments import cli
from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.runs.metrics import MetricsFile
from vamdp.shell import install_command


def run(capsys, *arguments):
    """Return exit status, standard output and standard error."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as exit_:
        status = exit_.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def contents(path):
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


SCORE = {"title": "RL3", "play": "sampled", "returns": [1.0, 2.0], "by_step": None}


def evaluation(**changes):
    """Return the text of an evaluation in two tasks, with changed entries."""
    values = {"domain": "random-mdp", "horizon": 12, "variation": "canonical"}
    values |= {"n_training_steps": 144, "oracle": [3.0, 4.0], "scores": [SCORE]}
    return json.dumps({**values, **changes})


@pytest.fixture
def copied(trained, tmp_path):
    path = tmp_path / "copy"
    shutil.copytree(trained.path, path)
    return path


def test_train_continue_evaluate_table(capsys, tmp_path, small_options):
    out = tmp_path / "bandit"
    train = ["train", "bandit", "--algo", "rl2", *small_options, "--out", out]
    status, text, _ = run(capsys, *train, "--time-limit", "0.000001")
    assert status == 0
    assert "48 of 144 steps done" in text
    status, text, _ = run(capsys, "train", "bandit", "--out", out)
    assert status == 0
    assert "144 of 144 steps done" in text
    for options, file in (([], "evaluation.json"), (["--ood"], "evaluation-ood.json")):
        status, text, _ = run(capsys, "evaluate", out, "--tasks", 6, *options)
        assert status == 0
        assert [
            line.split("|")[1].strip() for line in text.splitlines()[:6] if "--" not in line
        ] == [
            "agent",
            "random",
            "RL², sampled",
            "RL², greedy",
            "oracle",
        ]
        assert len(json.loads((out / file).read_text())["oracle"]) == 6
    status, text, _ = run(capsys, "table", out)
    assert status == 0
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert len(rows) == 2 + 2 * 4
    assert rows[3][:6] == ["Bandits", "12", "6", "RL², sampled", "0", "144"]
    assert rows[9][:4] == ["Bandits", "12", "6 ood", "oracle"]


def test_gridworlds_train_coarsely_and_are_evaluated_on_variations(capsys, tmp_path):
    out = tmp_path / "grid"
    tiny = ["--horizon", 30, "--n-envs", 3, "--batch-size", 90, "--iterations", 1]
    kind = ["--algo", "rl3-coarse", "--size", 13, "--cluster-terminals", "--warm-start"]
    status, text, _ = run(capsys, "train", "gridworld", *kind, *tiny, "--out", out)
    assert status == 0
    assert "90 of 90 steps done" in text
    stored = json.loads((out / "config.json").read_text())["run"]
    assert (stored["algo"], stored["size"]) == ("rl3-coarse", 13)
    options = stored["estimator_options"]
    assert options["cluster_terminals"] and options["warm_start"] and options["cluster_size"] == 2
    for options, file in (
        ([], "evaluation.json"),
        (["--variation", "watery"], "evaluation-watery.json"),
    ):
        status, text, _ = run(capsys, "evaluate", out, "--tasks", 3, *options)
        assert status == 0
        assert "RL³-coarse" in text
        assert (out / file).is_file()
    watery, canonical = (
        json.loads((out / name).read_text())["oracle"]
        for name in ("evaluation-watery.json", "evaluation.json")
    )
    assert watery != canonical
    status, text, _ = run(capsys, "table", out)
    assert status == 0
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    agent = "RL³-coarse (estimator.warm_start true, estimator.cluster_terminals true), greedy"
    assert ["Gridworlds 13x13", "30", "3 watery", agent] in [row[:4] for row in rows]


def test_runs_of_other_kinds_get_other_folders(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny = ["--horizon", 5, "--n-envs", 2, "--batch-size", 10, "--iterations", 1]
    for options, folder in (
        (["--size", 11], "gridworld11-rl3-5-0"),
        (["--size", 13], "gridworld13-rl3-5-0"),
        (["--variation", "dense", "--algo", "rl2"], "gridworld11-dense-rl2-5-0"),
    ):
        assert run(capsys, "train", "gridworld", *options, *tiny)[0] == 0
        assert (tmp_path / "runs" / folder / "config.json").is_file()


def test_evaluating_twice_gives_the_same_file(capsys, copied):
    files = []
    for _ in range(2):
        assert run(capsys, "evaluate", copied, "--tasks", 3)[0] == 0
        files.append((copied / "evaluation.json").read_bytes())
    assert files[0] == files[1]


def test_a_look_at_few_tasks_does_not_replace_an_evaluation_of_many(capsys, copied):
    file = copied / "evaluation.json"
    assert "; stored: " in run(capsys, "evaluate", copied, "--tasks", 5)[1]
    stored = file.read_bytes()
    status, text, _ = run(capsys, "evaluate", copied, "--tasks", 3)
    assert status == 0
    assert f"not stored (3 canonical tasks, H = 12), because {file} has this policy's 5" in text
    assert file.read_bytes() == stored
    # Another policy's is replaced, and so is a damaged file.
    values = json.loads(stored)
    for content in (json.dumps({**values, "n_training_steps": 1}), "{"):
        file.write_text(content)
        assert "; stored: " in run(capsys, "evaluate", copied, "--tasks", 3)[1]
        assert len(json.loads(file.read_text())["oracle"]) == 3


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
def test_bad_input_is_one_line_and_status_2(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    status, _, error = run(capsys, *arguments)
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
def test_options_that_contradict_the_stored_run_are_refused(
    capsys, copied, domain, options, message
):
    before = contents(copied)
    status, _, error = run(capsys, "train", domain, "--out", copied, *options)
    assert status == 2
    assert message in error
    assert contents(copied) == before


def test_a_truncated_checkpoint_is_one_line_for_evaluate_where_it_is_read(capsys, copied):
    for file in (copied / "checkpoints").iterdir():
        file.write_bytes(file.read_bytes()[:1000])
    before = contents(copied)
    status, _, error = run(capsys, "evaluate", copied, "--trust-pickle")
    assert status == 2
    assert "000144.zip` must be a complete checkpoint" in error
    assert len(error.splitlines()) == 1
    assert contents(copied) == before


def test_more_iterations_prolong_a_complete_run(capsys, copied):
    train = ["train", "random-mdp", "--out", copied]
    status, text, _ = run(capsys, *train)
    assert status == 0
    assert f"or prolong: rl3 train random-mdp --out {copied} --iterations 6" in text
    status, text, _ = run(capsys, *train, "--iterations", 4)
    assert status == 0
    assert "prolonged from 3 to 4 iterations" in text
    assert "192 of 192 steps done" in text
    stored = json.loads((copied / "config.json").read_text())
    assert stored["run"]["iterations"] == 4
    assert stored["prolonged"] == [{"n_steps": 144, "iterations": 4}]
    status, text, _ = run(capsys, *train, "--iterations", 4)  # once more: nothing to do
    assert status == 0
    assert "prolonged" not in text
    assert json.loads((copied / "config.json").read_text()) == stored


@pytest.mark.parametrize("trust", [[], ["--trust-pickle"]])
def test_the_best_checkpoint_can_be_evaluated(capsys, tmp_path, small_options, trust):
    out = tmp_path / "run"
    train = ["train", "bandit", *small_options, "--validate-every", 2, "--out", out]
    assert run(capsys, *train)[0] == 0
    for options, n_steps in (([], 144), (["--best"], 96)):
        status, text, _ = run(capsys, "evaluate", out, "--tasks", 3, *options, *trust)
        assert status == 0
        assert f"after {n_steps} of 144 training steps" in text
        assert json.loads((out / "evaluation.json").read_text())["n_training_steps"] == n_steps


@pytest.mark.parametrize("trust", [[], ["--trust-pickle"]])
def test_a_run_that_was_never_validated_has_no_best_checkpoint(capsys, copied, trust):
    status, _, error = run(capsys, "evaluate", copied, "--best", *trust)
    assert status == 2
    assert "`DIR` must hold the best checkpoint" in error
    assert "--validate-every" in error


def test_a_damaged_newest_checkpoint_is_one_line(capsys, tmp_path, small_options):
    out = tmp_path / "run"
    assert run(capsys, "train", "bandit", *small_options, "--save-every", 0, "--out", out)[0] == 0
    newest = out / "checkpoints" / "step-000000000144.zip"
    newest.write_bytes(b"")
    status, _, error = run(capsys, "evaluate", out, "--tasks", 3, "--trust-pickle")
    assert status == 0
    assert error.splitlines() == [
        f"rl3: warning: {newest} is damaged: continuing from step-000000000096.zip, the one before."
    ]


def test_half_a_configuration_that_a_kill_left_is_no_obstacle(capsys, tmp_path, small_options):
    out = tmp_path / "run"
    out.mkdir()
    (out / ".config.json.123.tmp").write_text("{")
    status, _, error = run(capsys, "train", "bandit", *small_options, "--out", out)
    assert status == 0, error
    assert not list(out.glob(".*"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.json", "{", "config.json` must be complete JSON"),
        ("config.json", "[]", "config.json` must hold a JSON object"),
        ("config.json", "{}", "config.json` must hold the settings of a run"),
        ("evaluation.json", '{"domain": "ban', "evaluation.json` must be complete JSON"),
        ("config.json", '{"run": 5}', "config.json` must have a run's settings under `run`, got 5"),
        ("evaluation.json", "{}", "evaluation.json` must be an evaluation"),
        *[
            (
                "evaluation.json",
                evaluation(**change),
                "evaluation.json` must be an evaluation, got a",
            )
            for change in (
                {"oracle": ["x"]},
                {"oracle": 3},
                {"oracle": []},
                {"scores": []},
                {"scores": 7},
                {"scores": [{**SCORE, "returns": ["x", 1]}]},
                {"scores": [{**SCORE, "returns": [1.0]}]},
            )
        ],
    ],
)
def test_a_damaged_file_is_named(capsys, copied, name, text, message):
    (copied / name).write_text(text)
    status, _, error = run(capsys, "table", copied)
    assert status == 2
    assert message in error
    assert (copied / name).read_text() == text


@pytest.mark.parametrize("name", ["provenance", "prolonged"])
def test_a_damaged_list_of_the_configuration_is_named_before_a_run_is_prolonged(
    capsys, copied, name
):
    file = copied / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), name: 5}))
    before = contents(copied)
    status, _, error = run(capsys, "train", "random-mdp", "--iterations", 9, "--out", copied)
    assert status == 2
    assert f"config.json` must have a list under `{name}`, got 5" in error
    assert contents(copied) == before


def test_a_damaged_evaluation_is_made_again(capsys, copied):
    (copied / "evaluation.json").write_text(evaluation(oracle=["x"]))
    status, _, error = run(capsys, "evaluate", copied, "--tasks", 2)
    assert status == 0, error
    assert len(json.loads((copied / "evaluation.json").read_text())["oracle"]) == 2


def test_files_that_somebody_put_into_a_run_stop_no_checkpoint(capsys, copied):
    (copied / "policy" / ".DS_Store").write_text("icons")
    status, _, error = run(capsys, "train", "random-mdp", "--iterations", 4, "--out", copied)
    assert status == 0, error
    assert (copied / "policy" / ".DS_Store").read_text() == "icons"


def test_a_run_that_was_never_evaluated_has_no_table(capsys, copied):
    status, _, error = run(capsys, "table", copied)
    assert status == 2
    assert "`DIR` must be an evaluated run" in error


def test_a_folder_with_other_contents_is_left_alone(capsys, tmp_path):
    for name in (".cache.json.1.tmp", ".config.json.2.tmp", "thesis.tex"):
        (tmp_path / name).write_text("dear")
    for command in (["train", "bandit"], ["quickstart", "--smoke"]):
        status, _, error = run(capsys, *command, "--out", tmp_path)
        assert status == 2
        assert "`--out` must be a new" in error
    assert len(list(tmp_path.iterdir())) == 3


def test_without_ray_the_extra_is_named(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "ray" else True)
    status, _, error = run(capsys, "sweep", tmp_path / "a.toml", "--ray", "auto")
    assert status == 2
    assert f"Run {install_command('sb3,cluster')}, or" in error
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def run_process(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = sys.modules["stable_baselines3"] = None
from rl3_sb3.experiments.cli import main
sys.exit(main())
"""


def test_without_torch_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the command differs within a checkout
    result = run_process(WITHOUT_TORCH, "quickstart")
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        f"rl3 needs torch, stable_baselines3: run {install_command('sb3')}"
    ]


def test_help_works_without_torch():
    result = run_process(WITHOUT_TORCH, "train", "--help")
    assert result.returncode == 0
    assert "--time-limit" in result.stdout


def test_who_reads_only_the_first_lines_gets_no_complaint():
    code = "import sys; from rl3_sb3.experiments.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "train", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().startswith("usage: rl3 train")
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), errors) == (128 + signal.SIGPIPE, "")


def test_the_package_runs_as_a_module():
    code = (
        "import runpy, sys; sys.argv[0] = 'rl3'; runpy.run_module('rl3_sb3', run_name='__main__')"
    )
    result = run_process(code, "--help")
    assert result.returncode == 0
    assert "quickstart" in result.stdout


def test_a_pattern_of_folders_may_match_other_things_than_evaluated_runs(capsys, tmp_path, copied):
    stray = tmp_path / "notes.txt"
    stray.write_text("not a run")
    assert run(capsys, "evaluate", copied, "--tasks", 4)[0] == 0
    status, text, notes = run(capsys, "table", copied, stray)
    assert status == 0
    assert "oracle" in text
    assert str(stray) in notes
    assert run(capsys, "table", stray)[0] == 2
    assert run(capsys, "table", copied.parent)[:2] == (0, text), "as a sweep's folder"


def test_the_version_is_the_packages(capsys):
    assert run(capsys, "--version")[:2] == (0, f"rl3 of vamdp {vamdp.__version__}\n")


@pytest.mark.parametrize("error", [MemoryError("1 TiB"), RuntimeError("x: can't allocate memory")])
def test_a_run_that_finds_no_memory_is_one_line_and_leaves_no_folder(
    capsys, monkeypatch, tmp_path, small_options, error
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
        status, _, message = run(capsys, "train", "bandit", *small_options, "--out", out)
        assert status == 2
        assert f"The run needs more memory than there is: {error}. Pass fewer --n-envs" in message
        assert len([line for line in message.splitlines() if "error" in line]) == 1
        assert not out.exists()


def test_an_error_removes_nothing_of_a_run_that_was_there(capsys, monkeypatch, copied):
    def fail(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr("rl3_sb3.experiments.runs.train_command.train", fail)
    before = contents(copied)
    for options in ([], ["--iterations", 3]):
        assert run(capsys, "train", "random-mdp", "--out", copied, *options)[0] == 2
        assert contents(copied) == before
    shutil.rmtree(copied / "checkpoints")  # stopped before its first one
    (copied / "metrics.csv").unlink()
    before = contents(copied)
    assert run(capsys, "train", "random-mdp", "--out", copied)[0] == 2
    assert contents(copied) == before


def test_commands_that_are_printed_can_be_pasted(capsys, tmp_path, small_options):
    out = tmp_path / "my runs" / "it's one"
    status, text, _ = run(capsys, "train", "bandit", *small_options, "--out", out)
    assert status == 0
    (line,) = [line for line in text.splitlines() if line.startswith("next: ")]
    assert shlex.split(line)[1:] == ["rl3", "evaluate", str(out)]
    status, text, _ = run(capsys, "train", "bandit", "--out", out)
    (line,) = [line for line in text.splitlines() if line.startswith("or prolong: ")]
    assert str(out) in shlex.split(line)
    status, _, error = run(capsys, "table", out)
    assert status == 2
    assert str(out) in shlex.split(error.split("`")[3])


def test_a_warning_for_the_user_is_one_line_and_others_stay_as_they_are(capsys):
    removed = pytest.warns(DeprecationWarning, match="will be removed")
    with removed, cli._warnings_as_lines():
        warnings.warn("masks are not used", stacklevel=1)
        warnings.warn("will be removed", DeprecationWarning, stacklevel=1)
    assert capsys.readouterr().err == "rl3: warning: masks are not used\n"
