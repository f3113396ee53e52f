import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from rl3_sb3.experiments.algorithms import ALGORITHMS
from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.scores import Evaluation, Score
from rl3_sb3.experiments.results.run_curves import draw_panel, find_runs, panels_of
from rl3_sb3.experiments.runs.metrics import RETURN, STEPS
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.settings.run_config import RunConfig


def write_run(folder, returns, domain="bandit", **settings):
    """Store a run of iterations of 100 steps with these mean total rewards."""
    config = RunConfig.of(domain, **{"horizon": 10, "n_envs": 10, "iterations": 50, **settings})
    directory = RunDirectory(folder)
    directory.begin(config)
    rows = [f"{100 * (i + 1)},{value}" for i, value in enumerate(returns)]
    directory.metrics_file.write_text("\n".join([f"{STEPS},{RETURN}", *rows, ""]))
    return folder


def drawn(*folders, over="steps", yardsticks=()):
    """Return a figure's axes and panel for each kind of tasks."""
    panels = panels_of([run for folder in folders for run in find_runs(folder)], yardsticks)
    all_axes = [Figure().subplots() for _ in panels]
    for axes, panel in zip(all_axes, panels, strict=True):
        draw_panel(axes, panel, over)
    return list(zip(all_axes, panels, strict=True))


def lines_of(axes):
    """Return x and y of the lines that the legend names."""
    named = (line for line in axes.lines if not line.get_label().startswith("_"))
    return {line.get_label(): [list(data) for data in line.get_data()] for line in named}


# -------------------------------------------------------------------- one run


def test_a_run_is_a_line_of_means_around_each_iteration_and_thin_the_iterations(tmp_path):
    returns = [0.0, 6.0, 0.0, 6.0, 3.0]
    ((axes, _),) = drawn(write_run(tmp_path / "run", returns))
    steps, means = lines_of(axes)["RL³"]
    assert steps == [100, 200, 300, 400, 500]
    assert means == [3, 2, 4, 3, 4.5]  # of one neighbour on either side where there is one
    thin, thick = axes.lines
    assert list(thin.get_ydata()) == returns
    assert thin.get_color() == thick.get_color() == ALGORITHMS["rl3"].colour
    assert "(means of 3 iterations)" in axes.get_ylabel()


def test_folders_of_something_else_are_left_out(tmp_path):
    write_run(tmp_path / "run", [1.0, 2.0])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "metrics.csv").write_text("epoch,loss\n1,0.5\n")
    assert [run.directory.path.name for run in find_runs(tmp_path)] == ["run"]


@pytest.mark.parametrize("n", range(1, 10))
def test_a_short_run_is_seen_from_its_first_row_to_its_last(tmp_path, n):
    ((axes, panel),) = drawn(write_run(tmp_path / "run", np.arange(n, dtype=float)))
    steps, means = lines_of(axes)["RL³"]
    assert steps == [100 * (i + 1) for i in range(n)]
    assert len(set(means)) == n, "not all one mean"
    middle = slice(panel.half, n - panel.half)
    assert means[middle] == list(range(n))[middle], "a straight line does not lag"
    (thick,) = [line for line in axes.lines if line.get_label() == "RL³"]
    assert n > 1 or thick.get_marker() == "o", "a single point is a dot"


@pytest.mark.parametrize("returns", [[-50.0, -20.0, -10.0], [-5.0, 0.0, 5.0]])
def test_returns_below_zero_lie_within_axes_that_are_the_right_way_up(tmp_path, returns):
    ((axes, _),) = drawn(write_run(tmp_path / "run", returns))
    bottom, top = axes.get_ylim()
    assert bottom < min(returns) < max(returns) < top
    assert lines_of(axes)["RL³"][1] == returns


def test_iterations_are_counted_whatever_the_number_of_environments(tmp_path):
    folder = write_run(tmp_path / "run", [1.0, 2.0], n_envs=5)  # rows of 100 steps: two each
    ((axes, _),) = drawn(folder, over="iterations")
    assert lines_of(axes)["RL³"][0] == [2, 4]


# -------------------------------------------------------------------- several runs


def test_runs_that_differ_in_their_seed_are_a_line_with_a_band_as_far_as_all_go(tmp_path):
    write_run(tmp_path / "a", [1.0, 2.0, 3.0], seed=0)
    write_run(tmp_path / "b", [3.0, 6.0], seed=1)
    write_run(tmp_path / "c", [0.0, 0.0], algo="rl2")
    ((axes, _),) = drawn(tmp_path)  # the folder of a sweep
    assert lines_of(axes) == {
        "RL³, 2 seeds": [[100, 200], [2, 4]],
        "RL²": [[100, 200], [0, 0]],
    }
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    assert {(x, y) for x, y in corners.tolist()} == {(100, 1), (100, 3), (200, 2), (200, 6)}


def test_other_settings_are_other_lines_and_their_names_tell_them_apart(tmp_path):
    write_run(tmp_path / "a", [1.0])
    write_run(tmp_path / "b", [2.0], ent_coef=0.5)
    write_run(tmp_path / "c", [3.0], algo="rl2")
    write_run(tmp_path / "d", [4.0], algo="rl2", iterations=60)
    ((axes, _),) = drawn(tmp_path)
    names = ["RL³ (ent_coef 0.1:0)", "RL³ (ent_coef 0.5)", "RL², c", "RL², d"]
    assert list(lines_of(axes)) == names
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 4


def test_the_same_seed_twice_is_no_band_and_a_folder_named_twice_is_drawn_once(tmp_path):
    one, again = write_run(tmp_path / "one", [1.0]), write_run(tmp_path / "again", [2.0])
    ((axes, _),) = drawn(one, again, tmp_path)
    assert lines_of(axes) == {"RL³, one": [[100], [1]], "RL³, again": [[100], [2]]}
    assert len(axes.lines) == 2


def test_other_tasks_have_a_panel_of_their_own(tmp_path):
    write_run(tmp_path / "a", [1.0])
    write_run(tmp_path / "b", [2.0], horizon=20)
    write_run(tmp_path / "c", [3.0], variation="ood")
    write_run(tmp_path / "d", [4.0], domain="frozen-lake", size=4)
    titles = [panel.title for _, panel in drawn(tmp_path)]
    assert titles == [
        "Bandits, H = 10", "Bandits, H = 20", "Bandits, H = 10, ood", "Frozen lakes 4x4, H = 10",
    ]  # fmt: skip


# -------------------------------------------------------------------- levels


def test_levels_are_those_of_a_runs_evaluation(tmp_path):
    folder = write_run(tmp_path / "run", [1.0, 2.0])
    scores = [
        Score("random", "", np.array([1.0, 3.0]), np.zeros(10)),
        Score("RL³", "sampled", np.array([4.0, 4.0]), np.zeros(10)),
        Score("oracle", "", np.array([8.0, 9.0]), None),
    ]
    evaluation = Evaluation("bandit", 10, "canonical", 200, np.array([8.0, 9.0]), scores)
    RunDirectory(folder).write_evaluation(evaluation)
    ((axes, panel),) = drawn(folder)
    assert panel.levels == {"random": 2.0, "oracle": 8.5}
    assert {name: set(y) for name, (_, y) in lines_of(axes).items()} == {
        "RL³": {1, 2}, "random": {2}, "oracle": {8.5},
    }  # fmt: skip


def yardsticks(file, horizon=10, **means):
    tasks = {"domain": "bandit", "size": None, "horizon": horizon, "variation": "canonical"}
    agents = {title: {"mean": mean, "se": 0.1, "returns": [mean]} for title, mean in means.items()}
    file.write_text(json.dumps({**tasks, "agents": agents}))
    return file


def test_of_a_file_the_random_agent_the_best_of_the_others_and_the_oracle_are_drawn(tmp_path):
    folder = write_run(tmp_path / "run", [1.0])
    file = yardsticks(tmp_path / "b.json", random=5, UCB1=7.5, Gittins=7.9, Thompson=7, oracle=9)
    ((_, panel),) = drawn(folder, yardsticks=[file])
    assert panel.levels == {"random": 5, "Gittins": 7.9, "oracle": 9}


# -------------------------------------------------------------------- the command


def test_files_of_the_same_tasks_are_taken_together(tmp_path):
    folder = write_run(tmp_path / "run", [1.0])
    one = yardsticks(tmp_path / "one.json", random=5, UCB1=7.5)
    other = yardsticks(tmp_path / "other.json", Gittins=7.9, oracle=9)
    ((_, panel),) = drawn(folder, yardsticks=[one, other])
    assert panel.levels == {"random": 5, "Gittins": 7.9, "oracle": 9}


def test_folders_of_one_name_are_told_apart_by_those_above_them(tmp_path):
    folders = [
        write_run(tmp_path / place / "run", [1.0], iterations=50 + i)
        for i, place in enumerate(("a/long", "a/short", "b/short"))
    ]
    ((axes, _),) = drawn(*folders)
    assert list(lines_of(axes)) == ["RL³, long/run", "RL³, a/short/run", "RL³, b/short/run"]


def test_no_two_lines_of_a_panel_look_alike(tmp_path):
    folders = [write_run(tmp_path / f"{i}", [1.0], learning_rate=0.001 * i) for i in range(1, 9)]
    ((axes, _),) = drawn(*folders)
    looks = {(line.get_color(), str(line._unscaled_dash_pattern)) for line in axes.lines}
    assert len(looks) == len(axes.lines) == 8


def test_the_command_draws_the_picture_and_says_where_each_line_ends(tmp_path, capsys):
    write_run(tmp_path / "runs" / "a", [1.0, 2.0, 3.0], seed=0)
    write_run(tmp_path / "runs" / "b", [3.0, 6.0], seed=1)
    out = tmp_path / "picture.svg"
    empty = tmp_path / "empty"
    empty.mkdir()
    arguments = ["curves", str(tmp_path / "runs"), str(empty), "--out", str(out)]
    assert main([*arguments, "--over", "iterations"]) == 0
    text = out.read_text()
    assert "training iterations" in text and "RL³, 2 seeds" in text
    captured = capsys.readouterr()
    assert captured.out == (
        "Bandits, H = 10\n"
        "  RL³, 2 seeds: 2 iterations, 4.0 in the end\n"
        "    (as many as all its seeds have; the longest run has 3)\n"
        f"picture: {out}\n"
    )
    assert captured.err == f"left out, without a run that has done an iteration: {empty}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "`DIR` must be the folder of a run or of a sweep, got nowhere."),
        (["empty"], "`DIR` must be a run with at least one iteration, got empty."),
        (["begun"], "`DIR` must be a run with at least one iteration, got begun."),
        (["run", "--out", "a.txt"], "`--out` must end in one of ."),
        (["run", "--out", "no/a.png"], "`--out` must be in an existing folder, got no/a.png."),
        (["run", "--baselines", "other.json"], "`--baselines` must be of the tasks of a run that"),
    ],
)
def test_what_cannot_be_drawn_is_one_line_and_no_picture(
    tmp_path, monkeypatch, capsys, words, message
):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run", [1.0])
    write_run(tmp_path / "begun", [])
    (tmp_path / "empty").mkdir()
    yardsticks(tmp_path / "other.json", horizon=20, random=1)
    assert main(["curves", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda values: values.update(agents=None),
        lambda values: values.update(agents=["random"]),
        lambda values: values["agents"].update(random=5),
        lambda values: values["agents"].update(random={"mean": None}),
        lambda values: values.update(size=[5]),
    ],
)
def test_a_damaged_file_of_yardsticks_is_named(tmp_path, damage):
    file = yardsticks(tmp_path / "b.json", random=5)
    values = json.loads(file.read_text())
    damage(values)
    file.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"b\.json` must be what `rl3 baselines --json` writes"):
        drawn(write_run(tmp_path / "run", [1.0]), yardsticks=[file])


@pytest.mark.parametrize("text", [f"{STEPS},{RETURN}\n100,\n".encode(), b"\xff\xfe\n"])
def test_damaged_metrics_are_named(tmp_path, text):
    folder = write_run(tmp_path / "run", [1.0])
    RunDirectory(folder).metrics_file.write_bytes(text)
    with pytest.raises(InputError, match=r"metrics\.csv` must be the metrics of a run"):
        find_runs(folder)
