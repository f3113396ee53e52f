import json

import numpy as np
import pytest

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.paper.comparison import Tasks, comparison_table, read_cell
from rl3_sb3.experiments.pretrained.record import CellRecord, SeedRecord

TASKS = Tasks(domain="bandit", horizon=100)
ORACLE = np.array([4.0, 6.0, 8.0])


def write_cell(folder, name, *seeds, oracle=ORACLE):
    """Store a cell whose seeds got these totals with sampled actions, and one more greedily."""
    runs = []
    for seed, returns in enumerate(seeds):
        more = seed if "rl3" in name else 0
        greedy = np.array(returns, float) + 1 + more
        plays = {"sampled": np.array(returns, float), "greedy": greedy}
        runs.append(
            SeedRecord(
                seed=seed,
                command="rl3 train",
                provenance=[],
                n_steps=10,
                seconds=1,
                curve=np.ones((2, 2)),
                returns={"canonical": plays},
                by_step={"canonical": {}},
            )
        )
    (folder / name).mkdir(parents=True)
    CellRecord(
        name=name,
        settings={},
        exported=1,
        weights="float16",
        oracle={"canonical": oracle},
        runs=runs,
    ).write(folder / name)


def write_classical(folder, horizon=100, **agents):
    folder.mkdir(exist_ok=True)
    values = {
        "domain": "bandit",
        "size": None,
        "horizon": horizon,
        "variation": "canonical",
        "agents": {
            title: {"mean": float(np.mean(returns)), "returns": list(returns)}
            for title, returns in agents.items()
        },
    }
    (folder / TASKS.yardstick_file).write_text(json.dumps(values))


def rows_of(table):
    rows = [[entry.strip() for entry in row.split("|")[1:-1]] for row in table.splitlines()]
    return {row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[2:]}


@pytest.fixture
def table(tmp_path):
    def table(scale="cpu"):
        return comparison_table(
            TASKS,
            ("rl2", "rl3", "rl3-markov"),
            scale=scale,
            pretrained=tmp_path / "pretrained",
            records=tmp_path / "records",
            published={("rl3", 100, "canonical"): (77.5, 0.5)},
            reference="Gittins",
        )

    return table


def test_the_table_shows_the_median_seed_its_error_and_its_difference_task_by_task(tmp_path, table):
    pretrained = tmp_path / "pretrained"
    write_cell(pretrained, "bandit-100-rl2", [1, 1, 1], [1, 2, 3], [5, 5, 5])
    write_cell(pretrained, "bandit-100-rl3", [9, 9, 9], [2, 4, 6])
    write_classical(tmp_path / "records", random=[0, 0, 3], Gittins=[4, 5, 6], oracle=ORACLE)
    rows = rows_of(table())
    assert list(rows) == ["random", "Gittins", "RL²", "RL³", "RL³ (Markov)", "oracle"]
    assert rows["RL²"] == {
        "agent": "RL²",
        "paper": "",
        "sampled": "2.0 ± 0.6",  # sd 1, three tasks
        "greedy": "3.0 ± 0.6",
        "sampled, of Gittins": "0.400",
        "minus RL², sampled": "",
        "minus RL², greedy": "",
        "seeds, sampled": "1.0, 2.0, 5.0",
        "95 % over seeds": "1.0 to 5.0",
    }
    assert rows["RL³"]["paper"] == "77.5 ± 0.5"
    assert rows["RL³"]["minus RL², sampled"] == "+2.0 ± 0.6"  # of the differences 1, 2, 3
    assert rows["RL³"]["minus RL², greedy"] == "+3.0 ± 0.6"
    assert rows["Gittins"]["sampled, of Gittins"] == "1.000"
    assert rows["random"]["sampled"] == "1.0 ± 1.0"
    assert rows["RL³ (Markov)"]["sampled"] == "not trained yet"


def test_the_scales_have_cells_of_their_own(tmp_path, table):
    write_cell(tmp_path / "pretrained", "bandit-100-rl2-paper", [1, 1, 1], [1, 2, 3])
    assert rows_of(table("paper"))["RL²"]["sampled"] == "2.0 ± 0.6"
    assert rows_of(table())["RL²"]["sampled"] == "not trained yet"


def test_a_cell_and_a_yardstick_of_other_tasks_are_refused(tmp_path, table):
    write_cell(tmp_path / "pretrained", "bandit-100-rl2", [1, 1, 1], [1, 2, 3], oracle=ORACLE + 1)
    write_classical(tmp_path / "records", oracle=ORACLE)
    with pytest.raises(InputError, match="bandit-100-rl2"):
        table()


def test_two_cells_of_other_tasks_are_refused_without_classical_agents(tmp_path, table):
    write_cell(tmp_path / "pretrained", "bandit-100-rl2", [1, 1, 1], [1, 2, 3], oracle=ORACLE + 1)
    write_cell(tmp_path / "pretrained", "bandit-100-rl3", [1, 1, 1], [1, 2, 3])
    with pytest.raises(InputError, match=r"bandit-100-rl3.*of bandit-100-rl2, got others"):
        table()
    write_cell(tmp_path / "pretrained", "bandit-100-rl3-markov", [1], [1], oracle=ORACLE[:1])
    with pytest.raises(InputError, match="got others"):
        table()


def test_classical_agents_in_a_file_of_another_name_are_refused(tmp_path, table):
    write_classical(tmp_path / "records", horizon=500, oracle=ORACLE)
    with pytest.raises(InputError, match=r"bandit-100-canonical\.json` must be of `horizon` 100"):
        table()


def test_a_cell_that_was_not_evaluated_in_the_tasks_is_missing(tmp_path):
    write_cell(tmp_path, "bandit-100-rl2", [1, 1, 1], [1, 2, 3])
    ood = Tasks(domain="bandit", horizon=100, variation="ood")
    assert read_cell(tmp_path, ood, "rl2", "cpu") is None
    assert read_cell(tmp_path, TASKS, "rl2", "cpu").exported == 1


def test_cells_in_tasks_without_an_oracle_are_compared(tmp_path, table):
    unknown = np.full(3, np.nan)
    for name in ("bandit-100-rl2", "bandit-100-rl3"):
        write_cell(tmp_path / "pretrained", name, [0, 0, 3], [0, 2, 4], oracle=unknown)
    write_classical(tmp_path / "records", random=[1.0, 1.0, 2.0])
    rows = rows_of(table())
    assert list(rows) == ["random", "RL²", "RL³", "RL³ (Markov)"]
    write_cell(tmp_path / "pretrained", "bandit-100-rl3-markov", [1, 1, 1], [1, 1, 1])
    with pytest.raises(InputError, match="must have played the tasks of bandit-100-rl2"):
        table()
