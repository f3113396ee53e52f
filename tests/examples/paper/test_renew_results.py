"""The page of results is written from what the scripts print."""

import runpy
import shutil
from pathlib import Path

import pytest

pytest.importorskip("stable_baselines3")
PAPER = Path(__file__).parents[3] / "examples" / "paper"
script = runpy.run_path(str(PAPER / "renew_results.py"))


def test_what_stands_between_the_marks_is_what_the_script_prints_now(tmp_path):
    page = "Before.\n\n<!-- table_2 -->\nold\n<!-- end -->\n\nAfter.\n"
    now = script["renewed"](page, tmp_path)
    assert now.startswith("Before.\n\n<!-- table_2 -->\n\nMean total reward")
    assert "\n\n**Bandits, H = 100**\n\n| agent " in now
    assert now.endswith("|\n\n<!-- end -->\n\nAfter.\n")
    assert "old" not in now
    assert script["renewed"](now, tmp_path) == now


@pytest.mark.parametrize(
    ("page", "name"),
    [("results.md", "table_2"), ("studies.md", "q_errors"), ("training.md", "ablation")],
)
def test_every_mark_of_a_page_names_a_script(page, name):
    (place,) = (place for place in script["PAGES"] if place.name == page)
    names = [block[2] for block in script["BLOCK"].finditer(place.read_text("utf-8"))]
    assert name in names
    assert all((script["PAGES"][place] / f"{name}.py").is_file() for name in names)


def test_commands_of_records_train_their_agents_with_the_recipes_of_today():
    root = PAPER.parents[1]
    assert not script["renew_commands"](
        root / "pretrained", root / "examples" / "studies", check=True
    )


def test_commands_of_another_recipe_are_renewed(tmp_path):
    studies = tmp_path / "studies"
    shutil.copytree(PAPER.parent / "studies" / "sweeps", studies / "sweeps")
    (studies / "records").mkdir()
    agent = "bandit-100-rl3-markov"
    shutil.copytree(PAPER.parents[1] / "pretrained" / agent, tmp_path / "agents" / agent)
    record = tmp_path / "agents" / agent / "record.json"
    runs = studies / "records" / "learners_runs.json"
    shutil.copy(PAPER.parent / "studies" / "records" / runs.name, runs)
    whole = {file: file.read_bytes() for file in (record, runs)}
    for file, content in whole.items():
        file.write_bytes(content.replace(b"rl3 train", b"rl3 train --older", 1))
    stale = [agent, "learners_runs.json"]
    assert script["renew_commands"](tmp_path / "agents", studies, check=True) == stale
    assert script["renew_commands"](tmp_path / "agents", studies, check=False) == stale
    assert {file: file.read_bytes() for file in whole} == whole
    assert script["renew_commands"](tmp_path / "agents", studies, check=True) == []


@pytest.mark.parametrize("name", ["results.md", "studies.md", "training.md"])
def test_a_page_is_what_the_stored_records_say(name, tmp_path):
    (page,) = (page for page in script["PAGES"] if page.name == name)
    text = page.read_text("utf-8")
    assert script["renewed"](text, tmp_path, script["PAGES"][page]) == text
    drawn = {file.name for file in tmp_path.iterdir()}
    blocks = {f"{block[2]}.png" for block in script["BLOCK"].finditer(text)}
    without = {"cells.png", "figure_3b.png", "overhead.png", "table_2.png"}
    assert drawn == blocks - without


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("Bandits, H = 500, ood", True),
        ("Gridworlds 13x13, H = 350", True),
        ("Cart-poles, H = 400", True),
        ("| Bandits, H = 500 | 55% |", False),
        ("not trained yet: bandit-100-rl3", False),
    ],
)
def test_titles_of_tables_are_told_from_other_lines(line, answer):
    assert script["is_title"](line) == answer


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            "python examples/studies/a.py --measure: 4 s",
            "`python examples/studies/a.py --measure`: 4 s",
        ),
        ("python examples/paper/a.py, commit 1", "`python examples/paper/a.py`, commit 1"),
        ("see python examples/paper/a.py", "see python examples/paper/a.py"),
    ],
)
def test_the_command_of_a_measurement_is_code(line, shown):
    """A page would show its -- as a dash."""
    assert script["as_code"](line) == shown
