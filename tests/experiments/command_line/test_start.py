import os
import signal
import subprocess
import sys
import warnings

import pytest

import vamdp
from rl3_sb3.experiments import cli
from vamdp.shell import install_command


def test_without_ray_the_extra_is_named(rl3, monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "ray" else True)
    status, _, error = rl3("sweep", tmp_path / "a.toml", "--ray", "auto")
    assert status == 2
    assert f"Run {install_command('sb3,cluster')}, or" in error
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def run_process(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = sys.modules["stable_baselines3"] = None
from rl3_sb3.experiments.cli import main
sys.exit(main())
"""


def test_without_torch_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the command differs within a checkout
    result = run_process(WITHOUT_TORCH, "quickstart")
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        f"rl3 needs torch, stable_baselines3: run {install_command('sb3')}"
    ]


def test_help_works_without_torch():
    result = run_process(WITHOUT_TORCH, "train", "--help")
    assert result.returncode == 0
    assert "--time-limit" in result.stdout


def test_who_reads_only_the_first_lines_gets_no_complaint():
    code = "import sys; from rl3_sb3.experiments.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "train", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().startswith("usage: rl3 train")
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), errors) == (128 + signal.SIGPIPE, "")


def test_the_package_runs_as_a_module():
    code = (
        "import runpy, sys; sys.argv[0] = 'rl3'; runpy.run_module('rl3_sb3', run_name='__main__')"
    )
    result = run_process(code, "--help")
    assert result.returncode == 0
    assert "quickstart" in result.stdout


def test_the_version_is_the_packages(rl3):
    assert rl3("--version")[:2] == (0, f"rl3 of vamdp {vamdp.__version__}\n")


def test_a_warning_for_the_user_is_one_line_and_others_stay_as_they_are(capsys):
    removed = pytest.warns(DeprecationWarning, match="will be removed")
    with removed, cli._warnings_as_lines():
        warnings.warn("masks are not used", stacklevel=1)
        warnings.warn("will be removed", DeprecationWarning, stacklevel=1)
    assert capsys.readouterr().err == "rl3: warning: masks are not used\n"
