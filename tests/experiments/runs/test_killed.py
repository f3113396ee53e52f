"""Processes that are killed, and started again with the same command."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.runs.run_directory import RunDirectory

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")

# Iterations so short that a good part of the time goes into checkpoints.
TINY = ["--horizon", "6", "--n-envs", "2", "--batch-size", "12", "--save-every", "0"]
BANDIT = ["bandit", "--algo", "rl2", *TINY, "--validate-every", "3"]

# The longest that a test waits for a process to begin training.
PATIENCE = 120.0

# Kills itself at a point of writing the N-th checkpoint after the start.
SUICIDE = """
import os, pathlib, signal, sys
from rl3_sb3.experiments import cli
from rl3_sb3.experiments.files import atomic_file

where, left = sys.argv.pop(1), int(sys.argv.pop(1))

def is_checkpoint(path):
    return "step-" in str(path)

def strike():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

sync, move, remove = os.fsync, os.replace, pathlib.Path.unlink

def fsync(descriptor):
    if where in ("half", "unsynced") and is_checkpoint(os.readlink(f"/proc/self/fd/{descriptor}")):
        if where == "half" and left == 1:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        strike()
    sync(descriptor)

def replace(source, target):
    if where == "unmoved" and is_checkpoint(target):
        strike()
    move(source, target)
    if where == "moved" and is_checkpoint(target):
        strike()

def unlink(path, missing_ok=False):
    remove(path, missing_ok)
    if where == "deleted" and path.name.startswith("step-"):
        strike()

os.fsync, os.replace, pathlib.Path.unlink = fsync, replace, unlink
sys.exit(cli.main())
"""
IN_PROC = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="asks /proc for names")


def start(out, arguments, *program):
    return subprocess.Popen(
        [sys.executable, *(program or ("-m", "rl3_sb3")), "train", *arguments, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )


def finish(out, arguments):
    process = start(out, arguments)
    text, _ = process.communicate(timeout=600)
    assert process.returncode == 0, text


def n_rows(directory):
    file = directory.metrics_file
    return file.read_bytes().count(b"\n") if file.exists() else 0


def wait_until_it_trains(process, directory):
    """Return when the process has written a row of metrics of its own."""
    # A run that goes on first cuts the metrics back, perhaps by a row: wait for two more.
    wanted, deadline = n_rows(directory) + 2, time.monotonic() + PATIENCE
    while n_rows(directory) < wanted:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "the process does not train"
        time.sleep(0.01)


def kill(process):
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it was complete too early to be killed"


def whole_run(out, arguments):
    """Train to the end in this process, which saves the time to start one."""
    assert main(["train", *arguments, "--out", str(out)]) == 0
    return RunDirectory(out)


@IN_PROC
def test_a_run_that_was_killed_killed_in_a_write_and_terminated_ends_the_same(
    tmp_path, assert_same_runs
):
    arguments = [*BANDIT, "--iterations", "25"]
    directory, moments = RunDirectory(tmp_path / "killed"), np.random.default_rng(0)
    process = start(directory.path, arguments)
    wait_until_it_trains(process, directory)
    time.sleep(moments.uniform(0, 0.3))
    kill(process)

    process = start(directory.path, arguments, "-c", SUICIDE, "half", "3")
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL
    leftovers = list(directory.checkpoints.path.glob(".*"))
    assert len(leftovers) == 1

    process = start(directory.path, arguments)
    wait_until_it_trains(process, directory)
    process.terminate()
    text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM, text
    assert "stopping after this iteration" in text
    assert "continue: rl3 train bandit" in text
    assert not leftovers[0].exists()

    whole_run(directory.path, arguments)
    assert_same_runs(directory, whole_run(tmp_path / "whole", arguments))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_runs_killed_five_times_at_random_moments_end_the_same(tmp_path, assert_same_runs, seed):
    tasks = [
        ["random-mdp"],
        ["bandit", "--algo", "rl2"],
        ["gridworld", "--algo", "rl3-coarse"],
        ["random-mdp", "--algo", "rl3-markov"],
    ][seed]
    arguments = [*tasks, *TINY, "--validate-every", "7", "--iterations", "150"]
    directory, moments = RunDirectory(tmp_path / "killed"), np.random.default_rng(seed)
    for n_kills in range(5):
        process = start(directory.path, arguments)
        if n_kills != 1:  # this one at any moment from its first on
            wait_until_it_trains(process, directory)
        time.sleep(moments.uniform(0, 4.0 if n_kills == 1 else 1.5))
        kill(process)
        print(f"killed after {n_rows(directory) - 1} iterations, seed {seed}")
    finish(directory.path, arguments)
    assert_same_runs(directory, whole_run(tmp_path / "whole", arguments))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return whole_run(tmp_path_factory.mktemp("uninterrupted"), [*BANDIT, "--iterations", "8"])


@IN_PROC
@pytest.mark.slow
@pytest.mark.parametrize("where", ["half", "unsynced", "unmoved", "moved", "deleted"])
def test_a_kill_at_any_point_of_a_write_leaves_a_whole_checkpoint(
    tmp_path, uninterrupted, assert_same_runs, where
):
    arguments = [*BANDIT, "--iterations", "8"]
    directory = RunDirectory(tmp_path / "killed")
    process = start(directory.path, arguments, "-c", SUICIDE, where, "3")
    text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL, text
    assert directory.checkpoints.newest() == directory.checkpoint_file
    finish(directory.path, arguments)
    assert_same_runs(directory, uninterrupted)
    assert not list(directory.path.rglob(".*"))


@pytest.mark.slow
def test_a_killed_run_with_a_damaged_newest_checkpoint_ends_the_same_and_says_so(
    tmp_path, uninterrupted, assert_same_runs
):
    arguments = [*BANDIT, "--iterations", "8"]
    directory = RunDirectory(tmp_path / "run")
    shutil.copytree(uninterrupted.path, directory.path)
    newest = directory.checkpoint_file
    newest.write_bytes(newest.read_bytes()[:5000])
    process = start(directory.path, arguments)
    text, _ = process.communicate(timeout=600)
    assert process.returncode == 0, text
    assert f"rl3: warning: {newest} is damaged: continuing from step-000000000084.zip" in text
    assert_same_runs(directory, uninterrupted)
