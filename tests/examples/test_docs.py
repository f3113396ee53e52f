"""The code on the pages of docs/ runs; that of the notebooks runs when the site is built."""

import doctest
import re
from pathlib import Path

import pytest

from rl3_sb3.experiments.cli import main
from rl3_sb3.policy import POLICIES

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


def test_the_network_of_ones_own_trains_is_exported_and_goes_into_a_run(tmp_path, monkeypatch):
    page = DOCS / "own_networks.md"
    network, in_python = blocks_of(page)
    (tmp_path / "my_networks.py").write_text(network)
    monkeypatch.chdir(tmp_path)
    names = {}
    try:
        exec(compile(network + in_python, str(page), "exec"), names)
        assert type(names["policy"]) is names["GruPolicy"]
        tiny = ["--horizon", "10", "--n-envs", "4", "--batch-size", "20", "--iterations", "2"]
        own = ["--policy", "my_networks:GruPolicy", "--set", "policy.hidden=32"]
        assert main(["train", "bandit", *own, *tiny, "--out", "run"]) == 0
        assert main(["evaluate", "run", "--tasks", "2"]) == 0
    finally:
        for name in ("GruPolicy", "my_networks:GruPolicy"):
            POLICIES.pop(name, None)


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.stem)
def test_the_examples_of_the_reference_give_what_they_say(page):
    code = "\n".join(blocks_of(page))
    example = doctest.DocTestParser().get_doctest(code, {}, page.stem, str(page), 0)
    assert doctest.DocTestRunner().run(example).failed == 0
