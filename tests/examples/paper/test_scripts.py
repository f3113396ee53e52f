"""The scripts of the paper's tables and figures, on records that are made here."""

import dataclasses
import json
import os
import re
import runpy
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest

import rl3_sb3.experiments.paper.published as published
from rl3_sb3.experiments.algorithms import ALGORITHMS
from rl3_sb3.experiments.cli import main as rl3
from rl3_sb3.experiments.paper import script
from rl3_sb3.experiments.paper.comparison import Tasks
from rl3_sb3.experiments.pretrained.cells import name_of as pretrained_name
from rl3_sb3.experiments.pretrained.record import CellRecord, SeedRecord
from rl3_sb3.experiments.sweeps.specification import read_sweep

PAPER = Path(__file__).parents[3] / "examples" / "paper"
ITEMS = ["table_2", "figure_3a", "figure_3b", "figure_3c", "figure_5", "figure_6"]
VARIATIONS = {
    "bandit": ("canonical", "ood"),
    "random-mdp": ("canonical", "ood"),
    "gridworld": ("canonical", "deterministic", "dense", "watery", "dangerous", "corner"),
}
CELLS = [
    Tasks(domain="bandit", horizon=100),
    Tasks(domain="bandit", horizon=500),
    *(Tasks(domain="random-mdp", horizon=h) for h in published.FIGURE_3A_HORIZONS),
    Tasks(domain="gridworld", size=11, horizon=250),
    Tasks(domain="gridworld", size=13, horizon=350),
]
ORACLE = np.array([90.0, 100.0, 110.0])


def write_cell(folder, tasks, algo, most=40_000):
    """Store a cell of three seeds; RL3 learns twice as fast as the others and gets 10 more."""
    is_rl3 = algo == "rl3"
    steps = np.arange(1.0, 41.0) * 1000
    runs = []
    for seed in range(3):
        returns = {
            name: {"sampled": ORACLE / 2 + seed + 10 * is_rl3, "greedy": ORACLE / 2}
            for name in VARIATIONS[tasks.domain]
        }
        runs.append(
            SeedRecord(
                seed=seed,
                command="",
                provenance=[],
                n_steps=40_000,
                seconds=1,
                curve=np.stack([steps, np.minimum(steps * (1 + is_rl3), most) + seed], axis=1),
                returns=returns,
                by_step={name: {} for name in returns},
            )
        )
    name = tasks.cell(algo, "cpu")
    (folder / name).mkdir(parents=True)
    CellRecord(
        name=name,
        settings={},
        exported=1,
        weights="float16",
        oracle=dict.fromkeys(VARIATIONS[tasks.domain], ORACLE),
        runs=runs,
    ).write(folder / name)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A folder with all cells and all results of classical agents."""
    folder = tmp_path_factory.mktemp("stored")
    (folder / "records").mkdir()
    for cell in CELLS:
        for algo in ALGORITHMS:
            write_cell(folder / "pretrained", cell, algo)
        for variation in VARIATIONS[cell.domain]:
            tasks = Tasks(
                domain=cell.domain, size=cell.size, horizon=cell.horizon, variation=variation
            )
            titles = ("random", "Gittins", "PSRL", "UCRL2", "BEB", "informed")
            totals = dict.fromkeys(titles, ORACLE / 2) | {"oracle": ORACLE}
            agents = {
                title: {"mean": returns.mean(), "returns": list(returns)}
                for title, returns in totals.items()
            }
            text = json.dumps({**dataclasses.asdict(tasks), "agents": agents})
            (folder / "records" / tasks.yardstick_file).write_text(text)
    return folder


def run(name, monkeypatch, capsys, *arguments):
    """Run a script; return its exit status and what it printed."""
    monkeypatch.setattr("sys.argv", [f"{name}.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(PAPER / f"{name}.py"), run_name="__main__")
    return ended.value.code, capsys.readouterr().out


def folders(stored, figures):
    pairs = {"pretrained": stored / "pretrained", "records": stored / "records", "figures": figures}
    return [word for name, path in pairs.items() for word in (f"--{name}", path)]


@pytest.mark.parametrize("name", ITEMS)
def test_an_item_is_drawn_from_stored_records(name, stored, tmp_path, monkeypatch, capsys):
    status, text = run(name, monkeypatch, capsys, *folders(stored, tmp_path))
    assert status == 0
    assert "not trained" not in text
    pictures = [file.name for file in tmp_path.iterdir()]
    assert pictures == ([f"{name}.png"] if name.startswith("figure") and name[-1] != "b" else [])


def test_numbers_of_the_paper_and_ours_stand_side_by_side(stored, tmp_path, monkeypatch, capsys):
    _, text = run("table_2", monkeypatch, capsys, *folders(stored, tmp_path))
    row = next(line for line in text.splitlines() if line.startswith("| RL³ "))
    for part in ("77.5 ± 0.5", "61.0 ± 2.9", "50.0 ± 2.9", "1.220", "+10.0 ± 0.0"):
        assert f" {part} " in row
    _, text = run("figure_3b", monkeypatch, capsys, *folders(stored, tmp_path))
    (share,) = {line.split("|")[2].strip() for line in text.splitlines() if " H = " in line}
    assert share == "55%"  # half, and what a running mean of five blocks lags


@pytest.mark.parametrize("name", ITEMS)
def test_what_is_not_trained_is_said(name, tmp_path, monkeypatch, capsys):
    status, text = run(name, monkeypatch, capsys, *folders(tmp_path, tmp_path / "figures"))
    assert status == 0
    assert "not trained yet" in text


def test_where_rl3_never_gets_as_far_the_share_says_so(tmp_path, monkeypatch, capsys):
    write_cell(tmp_path / "pretrained", CELLS[0], "rl2")
    write_cell(tmp_path / "pretrained", CELLS[0], "rl3", most=20_000)
    _, text = run("figure_3b", monkeypatch, capsys, *folders(tmp_path, tmp_path))
    (line,) = (line for line in text.splitlines() if line.startswith("| Bandits, H = 100 "))
    assert [part.strip() for part in line.split("|")[2:4]] == ["never", "never, never, never"]


def test_a_measurement_that_nobody_made_is_said(tmp_path):
    script = runpy.run_path(str(PAPER / "overhead.py"))
    assert script["main"](script["Arguments"](record=tmp_path / "none.json")) == 0


@pytest.mark.parametrize("name", ["figure_5", "figure_6"])
def test_missing_curves_are_listed_in_the_same_order(name, tmp_path, monkeypatch, capsys):
    _, text = run(name, monkeypatch, capsys, *folders(tmp_path, tmp_path))
    missing = [line.rsplit("-", 1)[1] for line in text.splitlines() if line.startswith("not ")]
    algos = ["rl2", "rl3", "prior"] if name == "figure_5" else ["rl2", "rl3", "prior", "coarse"]
    assert missing == algos * (len(missing) // len(algos))


def test_all_cells_of_an_item_are_in_its_sweeps():
    for name in ITEMS:
        script = runpy.run_path(str(PAPER / f"{name}.py"))
        sweeps = [PAPER / "sweeps" / f"{s}_paper.toml" for s in script["ITEM"].sweeps]
        trained = {pretrained_name(cell) for sweep in sweeps for cell in read_sweep(sweep)}
        needed = {tasks.cell("rl3", "paper") for tasks in script["ITEM"].tasks}
        assert needed <= trained, name


@pytest.mark.parametrize(
    ("sweep", "publish", "ends", "publishes"),
    [(0, 0, 0, True), (1, 0, 0, True), (0, 2, 2, True), (130, 0, 130, False), (2, 0, 2, False)],
    ids=["complete", "some failed", "not published", "interrupted", "refused"],
)
def test_what_was_trained_is_published_unless_training_was_stopped(
    sweep, publish, ends, publishes, stored, tmp_path, monkeypatch
):
    called = noting_calls(monkeypatch, sweep, publish)
    status = train("table_2", stored, tmp_path, "bandit-h100-rl?-s0", "*-h500-rl2-s1")
    assert status == ends
    assert [words[0] for words in called] == ["sweep", "publish"][: 1 + publishes]
    out = str(tmp_path / "runs" / "bandits_cpu")
    names = ["bandit-h100-rl3-s0", "bandit-h100-rl2-s0", "bandit-h500-rl2-s1"]
    assert called[0][1:] == [
        str(PAPER / "sweeps" / "bandits_cpu.toml"),
        *("--out", out),
        *(word for name in names for word in ("--only", name)),
    ]
    if publishes:
        assert called[1][1:] == [out, "--out", str(tmp_path / "pretrained")]


def noting_calls(monkeypatch, sweep=0, publish=0):
    """Replace `rl3` by a function that notes its calls; return the list."""
    called = []

    def rl3(arguments):
        called.append(arguments)
        return {"sweep": sweep, "publish": publish}[arguments[0]]

    monkeypatch.setattr(script, "rl3", rl3)
    return called


def train(name, stored, tmp_path, *only):
    """Run a script with --train into an empty folder of agents; return its status."""
    (tmp_path / "pretrained").mkdir(exist_ok=True)
    words = ["--train", *(word for each in only for word in ("--only", each))]
    words += ["--runs", tmp_path / "runs", *folders(stored, tmp_path)]
    words += ["--pretrained", tmp_path / "pretrained"]
    item = runpy.run_path(str(PAPER / f"{name}.py"))["ITEM"]
    return script.run_script(item, PAPER / f"{name}.py", list(map(str, words)))


def test_a_script_of_several_sweeps_trains_what_matches_in_any(stored, tmp_path, monkeypatch):
    called = noting_calls(monkeypatch)
    assert train("figure_5", stored, tmp_path, "random-mdp-h128-rl3-prior-s1") == 0
    assert [Path(words[1]).name for words in called] == ["random_mdps_cpu.toml", "random_mdps_cpu"]
    assert called[0][-2:] == ["--only", "random-mdp-h128-rl3-prior-s1"]


def test_a_name_that_no_run_has_is_refused(stored, tmp_path, monkeypatch, capsys):
    called = noting_calls(monkeypatch)
    assert train("figure_5", stored, tmp_path, "nothing-*") == 2
    assert "`--only` must match the name of a run, got nothing-*" in capsys.readouterr().err
    assert called == []


@pytest.mark.parametrize("name", ["pretrained", "records"])
def test_a_folder_that_is_not_there_is_told(name, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["table_2.py", f"--{name}", "nowhere"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(PAPER / "table_2.py"), run_name="__main__")
    assert ended.value.code == 0
    assert f"table_2.py: warning: --{name} nowhere is no folder" in capsys.readouterr().err


def test_the_list_of_what_is_missing_gives_commands_that_train_it(tmp_path, capsys, monkeypatch):
    (tmp_path / "pretrained").mkdir()
    status, text = run("cells", monkeypatch, capsys, "--pretrained", tmp_path / "pretrained")
    assert status == 0
    commands = re.findall(r"`rl3 sweep (\S+) --only '(\S+)'`", text)
    found = set()
    for file, pattern in commands:
        names = [cell.name for cell in read_sweep(PAPER.parents[1] / file)]
        matching = {name for name in names if fnmatchcase(name, pattern)}
        assert matching
        assert not matching & found
        found |= matching
    sweeps = ("bandits", "random_mdps", "gridworlds")
    files = [PAPER / "sweeps" / f"{name}_cpu.toml" for name in sweeps]
    assert found == {cell.name for file in files for cell in read_sweep(file)}


def test_a_reader_that_has_seen_enough_is_no_error():
    command = [sys.executable, str(PAPER / "figure_3a.py"), "--figures", os.devnull]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (128 + 13, b"")


@pytest.mark.parametrize("name", ITEMS)
def test_the_help_says_what_training_costs(name, monkeypatch, capsys):
    status, text = run(name, monkeypatch, capsys, "--help")
    assert status == 0
    for scale in ("cpu", "paper"):
        lines = [line for line in text.splitlines() if f"--scale {scale} " in line]
        assert lines
        assert all("core-hours" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("overhead", "| RL³-coarse | 1.1x  |"),
        ("appendix_d2", "2 draws of 500 tasks"),
        ("appendix_d3", "Dirichlet"),
    ],
)
def test_a_measurement_runs_at_smoke_size(name, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [f"{name}.py", "--smoke"])
    try:
        runpy.run_path(str(PAPER / f"{name}.py"), run_name="__main__")
    except SystemExit as ended:
        assert not ended.code
    assert words in capsys.readouterr().out


def test_the_moments_of_a_meta_episode_are_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tiny = "--horizon 30 --n-envs 2 --batch-size 60 --iterations 1 --validate-every 0 --out run"
    assert rl3(["train", "gridworld", *tiny.split()]) == 0
    capsys.readouterr()
    monkeypatch.setattr("sys.argv", ["figure_4.py", *"--agent run --task 3 --out f.png".split()])
    runpy.run_path(str(PAPER / "figure_4.py"), run_name="__main__")
    text = capsys.readouterr().out
    assert "held-out task 3: " in text
    assert "  end: step 30, " in text
    assert (tmp_path / "f.png").stat().st_size > 1000
    # It reaches no goal in either, so the first is shown.
    monkeypatch.setattr("sys.argv", ["figure_4.py", *"--agent run --tries 2 --out g.png".split()])
    runpy.run_path(str(PAPER / "figure_4.py"), run_name="__main__")
    assert "held-out task 0: 0 goals" in capsys.readouterr().out
