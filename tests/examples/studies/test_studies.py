"""The scripts in examples/studies/, at smoke size and on agents that are trained here."""

import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest

from rl3_sb3.experiments.cli import main as rl3
from rl3_sb3.experiments.domains import DOMAINS
from vamdp.domains import GridWorlds

STUDIES = Path(__file__).parents[3] / "examples" / "studies"
NAMES = sorted(file.stem for file in STUDIES.glob("*.py"))
PRETRAINED = STUDIES.parents[1] / "pretrained"
# A few of the published agents, of each kind of tasks; all of them take minutes even at smoke size.
SOME = (
    "bandit-100-rl2", "bandit-100-rl3", "random-mdp-128-rl2", "random-mdp-128-rl3",
    "gridworld11-250-rl3", "gridworld11-250-rl3-coarse",
)  # fmt: skip

SWEEP = """
algorithms = ["rl2", "rl3"]
seeds = [0]
horizons = [15]
domains = ["gridworld"]
[settings]
iterations = 1
n_envs = 2
batch_size = 30
d_model = 8
d_ff = 8
input_hidden = 8
[evaluation]
tasks = 3
"""


@pytest.fixture(autouse=True)
def no_domains_stay():
    """Scripts may register domains; other tests list those that there are."""
    before = dict(DOMAINS)
    yield
    DOMAINS.clear()
    DOMAINS.update(before)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder with some of the published agents."""
    folder = tmp_path_factory.mktemp("published")
    for name in SOME:
        shutil.copytree(PRETRAINED / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def grids(tmp_path_factory):
    """A folder with published agents of gridworlds, and no others."""
    folder = tmp_path_factory.mktemp("grids")
    (folder / "tiny.toml").write_text(SWEEP)
    out, published = folder / "runs", folder / "published"
    assert rl3(["sweep", str(folder / "tiny.toml"), "--out", str(out), "--jobs", "1"]) == 0
    assert rl3(["publish", str(out), "--out", str(published)]) == 0
    return published


def run(name, monkeypatch, capsys, *words):
    """Run a script; return what it printed."""
    monkeypatch.setattr("sys.argv", [f"{name}.py", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(STUDIES / f"{name}.py"), run_name="__main__")
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_a_study_runs_at_smoke_size(name, published, monkeypatch, capsys):
    text = run(name, monkeypatch, capsys, "--smoke", "--pretrained", published)
    # All numbers of the ablation with an error come from stored runs, of several seeds.
    assert "± " in text or (name == "ablation" and "| ours " in text)
    assert "|" in text


@pytest.mark.parametrize("name", ["attention", "q_errors", "shifts"])
def test_a_study_takes_agents_of_gridworlds(name, grids, monkeypatch, capsys):
    text = run(name, monkeypatch, capsys, "--smoke", "--pretrained", grids)
    assert {"attention": "gridworld11-15-rl3", "q_errors": "RL³", "shifts": "slip"}[name] in text


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_record_says_how_it_was_measured(name):
    record = json.loads((STUDIES / "records" / f"{name}.json").read_text())
    assert record["command"].startswith(f"python examples/studies/{name}.py --measure")
    assert len(record["commit"]) == 40  # and no "+": of committed code
    assert record["cpu_seconds"] > 0
    assert record.get("tasks", 100) >= 100


def test_shifted_grids_are_the_same_maps_at_every_slip():
    script = runpy.run_path(str(STUDIES / "shifts.py"))
    usual = GridWorlds(size=11)(np.random.default_rng(3))
    tasks = [
        script["SlipperyGrids"](11, slip)(np.random.default_rng(3)) for slip in (0.0, 0.2, 0.6)
    ]
    assert {task.grid for task in tasks} == {usual.grid}
    for name in ("rows", "probability", "successor", "reward", "ends", "features"):
        np.testing.assert_array_equal(getattr(tasks[1], name), getattr(usual, name))
    assert tasks[0].optimal_return(100, 100) > tasks[2].optimal_return(100, 100)


@pytest.mark.parametrize(
    ("minus", "words"),
    [
        ([(5.0, 1.0), (1.9, 1.0)], "no advantage over RL² at slip 0.5"),
        ([(-5.0, 1.0), (1.9, 1.0)], "no advantage over RL² at slip 0, 0.5"),
        (
            [(5.0, 1.0), (3.0, 1.0)],
            "ahead of RL² at every slip, least at 0.5 (+3.0 % of the oracle",
        ),
    ],
)
def test_where_an_advantage_is_gone_is_said(minus, words):
    script = runpy.run_path(str(STUDIES / "shifts.py"))
    rows = [
        {"what": "slip", "value": value, "minus": {"RL³": pair}, "oracle": (100.0, 1.0)}
        for value, pair in zip((0.0, 0.5), minus, strict=True)
    ]
    assert words in script["verdict"](rows, "RL³")


def test_the_learner_that_watches_learns_what_the_agents_own_does():
    """RL³ is shown its learner's estimates: those of the watching one are the same."""
    script = runpy.run_path(str(STUDIES / "q_errors.py"))
    globals_ = script["watch"].__globals__
    agents = globals_["published_agents"](STUDIES.parents[1] / "pretrained", ["rl3"])
    agent = next(agent for agent in agents if agent.config.domain == "random-mdp")
    seen, watched = [], []

    class Watched(globals_["PolicyAgent"]):
        def act(self, observations):
            seen.append(observations[:, 10:21].copy())  # advantage, value, count
            return super().act(observations)

    def keep(learner, rough, Q, counted, met, present):
        watched.append((learner.q_values(present), learner.counts(present)))
        return {"all": np.ones(len(Q))}

    globals_["errors"] = keep
    sizes = script["Sizes"](tasks=3, looks=40)
    steps, _, _ = script["watch"](agent.config, Watched(agent.policy), 20, sizes)
    for t, (Q, counts) in zip(steps, watched, strict=True):
        if t < 20:  # what is shown before step t + 1
            np.testing.assert_allclose(10 * seen[t][:, 5], Q.max(axis=1), rtol=1e-5)
            np.testing.assert_allclose(10 * seen[t][:, 6:], counts, rtol=1e-5)
