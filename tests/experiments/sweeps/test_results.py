import csv
import io
import math
from dataclasses import replace

import numpy as np
import pytest

from rl3_sb3.experiments.evaluation.scores import Evaluation, Score
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.sweeps.results import result_rows, results_csv, results_table

N_STEPS = 72  # of a small cell


def store(cell, out, returns, variation="canonical", n_steps=N_STEPS, oracle=(4.0, 6.0)):
    """Store an evaluation in two tasks, in which the random agent gets 1."""
    by_step = np.zeros(6)
    evaluation = Evaluation(
        domain="bandit",
        horizon=6,
        variation=variation,
        n_training_steps=n_steps,
        oracle=np.array(oracle),
        scores=[
            Score("random", "", np.array([0.0, 2.0]), by_step),
            Score(cell.config.title, "sampled", np.array(returns), by_step),
            Score(cell.config.title, "greedy", np.array(returns) + 1, by_step),
            Score("oracle", "", np.array(oracle), None),
        ],
    )
    directory = RunDirectory(out / cell.name)
    directory.path.mkdir(exist_ok=True)
    directory.write_evaluation(evaluation)


def entries(table):
    lines = [line for line in table.splitlines() if "---" not in line]
    return [[entry.strip() for entry in line.split("|")[1:-1]] for line in lines]


def numbers(rows):
    return list(csv.DictReader(io.StringIO(results_csv(rows))))


def test_rows_are_means_over_seeds_with_the_standard_error_of_the_mean(make_cell, tmp_path):
    cells = [make_cell(seed, n_tasks=2) for seed in (0, 1, 5)]
    # Means over the tasks: 1, 2 and 6; their variance is (4 + 1 + 9) / 2 = 7.
    for cell, returns in zip(cells, ([0.0, 2.0], [2.0, 2.0], [4.0, 8.0]), strict=True):
        store(cell, tmp_path, returns)
    rows = result_rows(cells, tmp_path)
    assert entries(results_table(rows)) == [
        ["domain", "H", "tasks", "agent", "seeds", "steps", "total reward", "of the oracle"],
        ["Bandits", "6", "2", "random", "", "", "1.0", "0.200"],
        ["Bandits", "6", "2", "RL³, sampled", "3", "72", "3.0 ± 1.5", "0.600"],
        ["Bandits", "6", "2", "RL³, greedy", "3", "72", "4.0 ± 1.5", "0.800"],
        ["Bandits", "6", "2", "oracle", "", "", "5.0", "1.000"],
    ]
    random, trained, greedy, oracle = numbers(rows)
    assert float(trained["mean"]) == 3
    assert float(trained["standard_error"]) == pytest.approx(math.sqrt(7 / 3))
    assert float(trained["oracle"]) == float(oracle["mean"]) == 5
    assert (trained["agent"], trained["seeds"], trained["missing_seeds"]) == ("rl3", "3", "")
    assert [row["play"] for row in (random, trained, greedy)] == ["", "sampled", "greedy"]
    assert (random["mean"], random["standard_error"], random["seeds"]) == ("1.0", "", "")


def test_a_single_seed_has_no_error(make_cell, tmp_path):
    cell = make_cell(n_tasks=2)
    store(cell, tmp_path, [1.0, 3.0])
    rows = result_rows([cell], tmp_path)
    assert entries(results_table(rows))[2][4:] == ["1", "72", "2.0", "0.400"]
    assert numbers(rows)[1]["standard_error"] == ""


def test_missing_cells_are_counted_and_never_left_out(make_cell, tmp_path):
    cells = [make_cell(seed, n_tasks=2, algo=algo) for algo in ("rl2", "rl3") for seed in (0, 1)]
    store(cells[0], tmp_path, [1.0, 1.0])
    store(cells[1], tmp_path, [9.0, 9.0], n_steps=48)  # not trained to its end
    (tmp_path / cells[2].name).mkdir()
    (tmp_path / cells[2].name / "evaluation.json").write_text("{")  # damaged
    rows = result_rows(cells, tmp_path)
    assert [row[3:7] for row in entries(results_table(rows))[1:]] == [
        ["random", "", "", "1.0"],
        ["RL², sampled", "1 of 2", "72", "1.0"],
        ["RL², greedy", "1 of 2", "72", "2.0"],
        ["RL³, sampled", "0 of 2", "72", "missing"],
        ["RL³, greedy", "0 of 2", "72", "missing"],
        ["oracle", "", "", "5.0"],
    ]
    assert [row["missing_seeds"] for row in numbers(rows)] == ["", "1", "1", "0 1", "0 1", ""]
    assert numbers(rows)[3]["mean"] == ""


def test_before_the_first_cell_is_complete_all_is_missing(make_cell, tmp_path):
    rows = result_rows([make_cell()], tmp_path)
    assert [row[6] for row in entries(results_table(rows))[1:]] == ["missing"] * 2


def test_each_distribution_of_tasks_has_rows_of_its_own(make_cell, tmp_path):
    cell = make_cell(n_tasks=2, variations=("canonical", "ood"))
    store(cell, tmp_path, [1.0, 3.0])
    store(cell, tmp_path, [4.0, 6.0], variation="ood", oracle=(10.0, 10.0))
    rows = [
        row
        for row in entries(results_table(result_rows([cell], tmp_path)))
        if "RL³, sampled" in row
    ]
    assert [(row[2], row[6], row[7]) for row in rows] == [
        ("2", "2.0", "0.400"),
        ("2 ood", "5.0", "0.500"),
    ]


def test_variants_are_rows_named_as_the_sweep_names_them(make_cell, tmp_path):
    named = ("few", "many")
    cells = [replace(make_cell(0, n_tasks=2), variant=name, name=name) for name in named]
    store(cells[1], tmp_path, [2.0, 2.0])
    rows = result_rows(cells, tmp_path)
    labels = [row.label for row in rows if row.is_trained]
    assert labels == [f"RL³ ({name}), {play}" for name in named for play in ("sampled", "greedy")]
    assert [row["variant"] for row in numbers(rows)] == ["", "few", "few", "many", "many", ""]
    assert [len(row.present) for row in rows if row.is_trained] == [0, 0, 1, 1]


def test_agents_of_one_variant_that_differ_besides_are_told_apart(make_cell, tmp_path):
    cell = make_cell(0, n_tasks=2)
    configs = [replace(cell.config, symmetry_share=share) for share in (0.0, 0.5)]
    cells = [
        replace(cell, config=config, variant="few", name=f"cell-{i}")
        for i, config in enumerate(configs)
    ]
    labels = {row.label for row in result_rows(cells, tmp_path) if row.play == "sampled"}
    shares = [f"symmetry_share {share}" for share in (0.0, 0.5)]
    assert labels == {f"RL³ (few, {share}), sampled" for share in shares}


def test_runs_with_other_settings_are_no_seeds_of_one_row(make_cell, tmp_path):
    cells = [make_cell(0, n_tasks=2), make_cell(1, n_tasks=2, iterations=2)]
    for cell in cells:
        store(cell, tmp_path, [1.0, 3.0])
    steps = [row[4:6] for row in entries(results_table(result_rows(cells, tmp_path)))[2:6]]
    assert steps == [["1", "72"], ["1", "72"], ["1", "48"], ["1", "48"]]


def test_where_no_oracle_is_known_its_column_is_empty(make_cell, tmp_path):
    cell = make_cell(n_tasks=2)
    store(cell, tmp_path, [1.0, 3.0], oracle=(math.nan, math.nan))
    rows = result_rows([cell], tmp_path)
    table = entries(results_table(rows))
    assert [row[-1] for row in table[1:4]] == ["-", "-", "-"]
    assert [row["oracle"] for row in numbers(rows)[:3]] == ["", "", ""]
