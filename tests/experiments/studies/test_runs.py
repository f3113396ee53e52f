"""The runs of a study: read from a sweep, stored, joined, shown."""

import dataclasses
import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from rl3_sb3.experiments.cli import main as rl3
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.studies.figures import (
    by_agent,
    by_tasks,
    draw_runs,
    runs_table,
    seeds_means,
)
from rl3_sb3.experiments.studies.runs import (
    Score,
    StudyRun,
    joined,
    read_runs,
    runs_of_sweep,
    write_runs,
)
from rl3_sb3.experiments.studies.script import Study, run_study

SWEEP = """
seeds = [0, 1]
horizons = [12]
domains = [
    {name = "random-mdp", algorithms = ["rl2"], variants = ["none"]},
    {name = "random-mdp", algorithms = ["rl3"], variants = ["slow"]},
]
[settings]
iterations = 2
n_envs = 4
batch_size = 24
d_model = 8
d_ff = 8
input_hidden = 8
[evaluation]
tasks = 5
[variants.none]
[variants.slow]
estimator = "q-learning"
"""


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """The folder of a complete sweep."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "why.toml").write_text(SWEEP)
    words = ["sweep", str(folder / "why.toml"), "--out", str(folder / "why"), "--jobs", "1"]
    assert rl3(words) == 0
    return folder / "why"


def run_with(**fields):
    given = {
        "domain": "bandit", "size": None, "horizon": 9, "algo": "rl2", "variant": "",
        "title": "RL²", "seed": 0, "signal": "regret", "n_steps": 4_000_000, "seconds": 1,
        "command": "", "provenance": [], "n_tasks": 5, "curve": [[1e6, 1.0], [2e6, 3.0]],
        "scores": {
            "canonical": {
                "random": Score(mean=10.0, error=0.5), "sampled": Score(mean=30.0, error=1.0),
                "greedy": Score(mean=20.0, error=1.0), "oracle": Score(mean=60.0, error=0.5),
            }
        },
    }  # fmt: skip
    return StudyRun(**{**given, **fields})


def scored(sampled, **fields):
    scores = dict(run_with().scores["canonical"])
    scores["sampled"] = Score(mean=sampled, error=1.0)
    return run_with(scores={"canonical": scores}, **fields)


def test_a_sweeps_runs_have_what_the_evaluations_and_metrics_say(sweep):
    runs = runs_of_sweep(sweep)
    assert [(r.algo, r.variant, r.seed) for r in runs] == [
        ("rl2", "none", 0), ("rl3", "slow", 0), ("rl2", "none", 1), ("rl3", "slow", 1),
    ]  # fmt: skip
    run = runs[1]
    evaluation = RunDirectory(sweep / "random-mdp-h12-rl3-slow-s0").read_evaluation("canonical")
    returns = evaluation.score_of("greedy").returns
    assert run.scores["canonical"]["greedy"].mean == pytest.approx(returns.mean(), abs=1e-4)
    assert set(run.scores["canonical"]) == {"random", "sampled", "greedy", "oracle"}
    assert [point[0] for point in run.curve] == [48, 96]
    assert (run.n_steps, run.n_tasks, run.title) == (96, 5, "RL³, slow")
    assert {run.signal for run in runs} == {"regret"}
    assert "--set estimator=q-learning" in run.command


def test_runs_are_stored_as_they_are(tmp_path, sweep):
    runs, file = runs_of_sweep(sweep), tmp_path / "deep" / "runs.json"
    assert read_runs(file) == []
    write_runs(file, runs)
    assert [dataclasses.asdict(run) for run in read_runs(file)] == json.loads(
        json.dumps([dataclasses.asdict(run) for run in runs])
    )


def test_new_runs_replace_old_ones_of_the_same_agent_tasks_and_seed():
    old = [run_with(seed=0), run_with(seed=1), run_with(seed=0, horizon=5)]
    new = [run_with(seed=1, seconds=7), run_with(seed=0, variant="slow")]
    assert joined(new, old) == [old[0], old[2], *new]


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"must hold the sweep's folder, got .* Pass --train"):
        runs_of_sweep(tmp_path)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    with pytest.raises(InputError, match="must have a complete run, got none"):
        runs_of_sweep(tmp_path)


def test_the_table_has_each_agents_mean_over_seeds_and_every_seed():
    runs = [scored(30.0, seed=1), scored(40.0, title="RL³", seed=0), scored(20.0, seed=0)]
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in runs_table(runs).split("\n")]
    assert runs_table(runs).endswith("|\n\nAll trained agents learned from the regret.")
    assert rows[2] == ["random", "", "", "10.0", "", "", "0.167"]
    assert rows[3] == ["RL²", "4.00 M", "", "25.0 ± 5.0", "20.0 ± 0.0", "20.0, 30.0", "0.417"]
    assert rows[4][:4] == ["RL³", "4.00 M", "", "40.0"]
    assert rows[5][0] == "oracle"
    assert seeds_means(runs, "sampled").tolist() == [30.0, 40.0, 20.0]


def test_agents_that_learned_from_different_signals_are_in_no_table():
    with pytest.raises(ValueError, match=r"same signal, got \['regret', 'reward'\]\. Show them in"):
        runs_table([run_with(), run_with(title="RL³", signal="reward")])


def test_the_table_says_when_each_agent_had_most_of_the_best_ones_gain():
    """The random policy has 10, the best ends at 20: nine tenths of the way are 19."""
    curves = {
        "fast": [10.0, 20.0, 20.0, 20.0, 20.0, 20.0],
        "slow": [10.0, 10.0, 10.0, 20.0, 20.0, 20.0],
        "never": [10.0] * 6,
    }
    runs = [
        run_with(title=name, curve=[[(i + 1) * 1e6, r] for i, r in enumerate(curve)])
        for name, curve in curves.items()
    ]
    lines = {
        row.split("|")[1].strip(): row.split("|")[3].strip()
        for row in runs_table(runs).split("\n")[3:-2]
    }
    # Smoothed over two neighbours on either side.
    assert (lines["fast"], lines["slow"], lines["never"]) == ("4.00 M", "6.00 M", "")


def test_runs_are_grouped_by_tasks_and_by_agent():
    runs = [run_with(seed=1), run_with(domain="gridworld", size=11, horizon=250), run_with(seed=0)]
    assert list(by_tasks(runs)) == ["Bandits, H = 9", "Gridworlds 11x11, H = 250"]
    assert [run.seed for run in by_agent(runs)["RL²"]] == [0, 0, 1]


def test_a_curve_is_the_mean_over_seeds_within_their_range():
    axes = Figure().subplots()
    curves = [[[1e6, 1.0], [2e6, 3.0]], [[1e6, 3.0], [2e6, 5.0], [3e6, 9.0]]]
    draw_runs(axes, [run_with(seed=i, curve=c) for i, c in enumerate(curves)], {"RL²": "#d55e00"})
    (line,) = axes.lines
    steps, returns = line.get_data()
    np.testing.assert_allclose(steps, [1, 2])
    np.testing.assert_allclose(returns, [3, 3])  # of two points each, smoothed over neighbours
    assert line.get_color() == "#d55e00"
    (band,) = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (2, 4)


@dataclasses.dataclass(frozen=True)
class Sizes:
    tasks: int = 7


def study_that(**fields):
    return Study(
        title="Why?",
        sizes=Sizes(),
        smoke={},
        measure=lambda sizes, pretrained: {},
        show=lambda record: print([(run.title, run.seed) for run in record["runs"]]),
        draw=lambda record, file: file.write_text(""),
        trains=True,
        **fields,
    )


def test_a_study_trains_what_is_missing_stores_it_and_shows_it(tmp_path, capsys):
    script = tmp_path / "examples" / "studies" / "why.py"
    (script.parent / "sweeps").mkdir(parents=True)
    (script.parent / "sweeps" / "why.toml").write_text(SWEEP)
    study = study_that(train=lambda folder: [run_with(title=folder.name)])
    words = ["--train", "--only", "*rl2*-s0", "--runs", str(tmp_path / "here"), "--measure"]
    assert run_study(study, script, words) == 0
    assert "[('RL², none', 0), ('here', 0)]" in capsys.readouterr().out
    assert len(read_runs(script.parent / "records" / "why_runs.json")) == 2
    assert run_study(study, script, []) == 0
    assert "[('RL², none', 0), ('here', 0)]" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run_study(study, script, ["--help"])
    assert "4 runs, 0 million steps" in capsys.readouterr().out
