"""The page of results is written from what the scripts print."""

import runpy
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


def test_every_mark_of_the_page_names_a_script():
    names = [block[2] for block in script["BLOCK"].finditer(script["PAGE"].read_text("utf-8"))]
    assert "table_2" in names
    assert all((PAPER / f"{name}.py").is_file() for name in names)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("Bandits, H = 500, ood", True),
        ("Gridworlds 13x13, H = 350", True),
        ("| Bandits, H = 500 | 55% |", False),
        ("not trained yet: bandit-100-rl3", False),
    ],
)
def test_titles_of_tables_are_told_from_other_lines(line, answer):
    assert script["is_title"](line) == answer
