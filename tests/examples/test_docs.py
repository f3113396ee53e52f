"""The code on the pages of docs/ runs; that of the notebooks runs when the site is built."""

import doctest
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
WITH_EXAMPLES = [
    page for page in sorted(DOCS.glob("reference/*.md")) if ">>>" in page.read_text("utf-8")
]


def blocks_of(page):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.S | re.M)
    assert blocks
    return blocks


@pytest.mark.parametrize("name", ["index", "wrap_your_environment", "watch", "not_learning"])
def test_the_code_of_a_guide_runs_from_top_to_bottom(name):
    page = DOCS / f"{name}.md"
    names = {}
    exec(compile("\n".join(blocks_of(page)), str(page), "exec"), names)
    assert names["env"].reset(seed=0)


def test_the_code_for_stable_baselines3_trains_saves_and_acts(tmp_path, monkeypatch):
    page = DOCS / "stable_baselines3.md"
    code = "\n".join(blocks_of(page))
    shorter = code.replace("learn(300_000, progress_bar=True)", "learn(6_400)")
    assert shorter != code
    (tmp_path / "pretrained").symlink_to(DOCS.parent / "pretrained")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(shorter, str(page), "exec"), names)
    assert names["terminated"]
    # A published agent in the units that it knows: in others it gets 171.
    assert names["total"].shape == (16,)
    assert names["total"].mean() > 190
    assert (tmp_path / "bandits-policy" / "policy.safetensors").exists()


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.stem)
def test_the_examples_of_the_reference_give_what_they_say(page):
    code = "\n".join(blocks_of(page))
    example = doctest.DocTestParser().get_doctest(code, {}, page.stem, str(page), 0)
    assert doctest.DocTestRunner().run(example).failed == 0
