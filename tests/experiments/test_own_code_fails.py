"""What becomes of errors in the user's own code: environments, tasks, agents."""

import os
import subprocess
import sys

import pytest

from rl3_sb3.experiments.baselines import make_baselines
from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.settings.run_config import RunConfig
from vamdp.baselines import Baseline

TINY = "--horizon 10 --n-envs 4 --batch-size 20 --iterations 5 --algo rl2".split()
MODULE = """
import gymnasium
import numpy as np
from gymnasium.spaces import Discrete

from vamdp import TabularMDP


class Corridor(gymnasium.Env):
    observation_space, action_space = Discrete(3), Discrete(2)
    error, calls = None, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        Corridor.calls += 1
        if Corridor.error is not None and Corridor.calls > 2224:  # the walks before take 2048
            raise Corridor.error
        return 0, 1.0, False, False, {}


class FromOne(Corridor):
    action_space = Discrete(2, start=1)


only = Corridor()


def corridor(rng):
    return Corridor()


def same(rng):
    return only


def from_one(rng):
    return FromOne()


def unseeded(rng):
    return TabularMDP.from_dense(np.ones((1, 2, 1)), np.random.default_rng().random((1, 2)))


class Noisy(Corridor):
    def step(self, action):
        return 0, np.random.default_rng().random(), False, False, {}


def noisy(rng):
    return Noisy()
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "corridors.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "corridors", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    import corridors  # type: ignore[import-not-found]

    yield corridors
    sys.modules.pop("corridors", None)


@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "Broken pipe"), FileNotFoundError(2, "No such file", "level7")]
)
def test_an_environment_whose_files_or_pipes_fail_keeps_its_traceback(module, capfd, error):
    module.Corridor.error = error
    assert main(["train", "corridors:corridor", *TINY, "--save-every", "0", "--out", "run"]) == 1
    text = capfd.readouterr().err
    assert "corridors.py" in text
    assert "raise Corridor.error" in text
    assert str(error) in text
    last = next(iter(RunDirectory("run").checkpoints.files()))
    assert text.rstrip().endswith(f"The last good checkpoint: {last}.")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are others there")
def test_who_closes_the_pipe_of_an_environment_that_prints_sees_no_traceback(module, tmp_path):
    (tmp_path / "printing.py").write_text(
        "import corridors\n\n\nclass Prints(corridors.Corridor):\n"
        "    def step(self, action):\n        print('step', flush=True)\n"
        "        return super().step(action)\n\n\ndef prints(rng):\n    return Prints()\n"
    )
    command = [sys.executable, "-c", "import sys; from rl3_sb3.experiments.cli import main; "
               "sys.exit(main())", "train", "printing:prints", *TINY, "--out", "run"]  # fmt: skip
    found = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=found,
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == 128 + 13


def test_an_environment_that_fails_at_once_leaves_no_folder(module, tmp_path):
    module.Corridor.error, module.Corridor.calls = KeyError("level7"), 10_000
    with pytest.raises(KeyError, match="level7"):
        main(["train", "corridors:corridor", *TINY, "--out", "run"])
    assert not (tmp_path / "run").exists()


def test_a_file_that_the_command_needs_stays_one_line(capsys, tmp_path):
    (tmp_path / "plain").write_text("")
    assert main(["curves", str(tmp_path / "nowhere"), "--out", str(tmp_path / "x.png")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ("from_one", "`action_space` must start at 0, got Discrete(2, start=1)"),
        ("same", "`env_distribution` must return a new environment at every call"),
        ("unseeded", "must draw the same task from the same random numbers, got corridors:unseed"),
        ("noisy", "corridors:noisy, which draws another every time. Take all random numbers from"),
    ],
)
def test_tasks_that_cannot_be_trained_on_are_one_line_before_a_run_begins(
    module, capsys, tmp_path, tasks, message
):
    assert main(["train", f"corridors:{tasks}", *TINY, "--out", "run"]) == 2
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert message in text
    assert not (tmp_path / "run").exists()


def test_a_baseline_that_makes_no_agent_is_named(monkeypatch, module):
    module.bad = Baseline("bad", lambda facts: 3, needs_tables=False)
    with pytest.raises(InputError, match=r"must make a vamdp.baselines.Agent, got .*3"):
        make_baselines(RunConfig.of("bandit", horizon=5), "canonical", ["corridors:bad"])
