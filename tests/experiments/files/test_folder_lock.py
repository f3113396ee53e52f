import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.errors import InputError, RunWarning
from rl3_sb3.experiments.files import folder_lock
from rl3_sb3.experiments.files.folder_lock import FolderLock
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.training import train
from rl3_sb3.experiments.settings.run_config import RunConfig

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no locks there")

HOLD = """
import sys, time
from pathlib import Path
from rl3_sb3.experiments.files.folder_lock import FolderLock
with FolderLock(Path(sys.argv[1])).held():
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_lock_keeps_other_processes_out_until_its_holder_is_killed(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        lock = FolderLock(tmp_path)
        with pytest.raises(InputError, match=f"{tmp_path}.*process {holder.pid} on"), lock.held():
            pass
        threading.Timer(0.5, holder.send_signal, [signal.SIGKILL]).start()
        with lock.held(patience=60):  # it waits for the end
            assert holder.wait(timeout=60) == -signal.SIGKILL
    finally:
        holder.kill()
        holder.communicate()


def test_a_block_within_the_block_holds_the_same_lock_to_the_end_of_the_outer_one(tmp_path):
    lock, other = FolderLock(tmp_path), FolderLock(tmp_path)
    with lock.held():
        with lock.held():
            pass
        with pytest.raises(InputError, match=f"process {os.getpid()} on"), other.held():
            pass
    with other.held():
        pass


def test_without_locks_work_goes_on_with_a_warning(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(folder_lock.fcntl, "flock", refuse)
    with (
        pytest.warns(RunWarning, match=r"without locks \(No locks available\): make sure"),
        FolderLock(tmp_path).held(),
    ):
        pass


@contextmanager
def full_disk():
    """Let no file grow: writing raises EFBIG, as it raises ENOSPC on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_on_a_full_disk_the_lock_works_without_its_holders_name(tmp_path):
    lock, other = FolderLock(tmp_path), FolderLock(tmp_path)
    with full_disk():
        with lock.held(), pytest.raises(InputError, match="used by another process"), other.held():
            pass
        with other.held():
            assert (tmp_path / "lock").read_bytes() == b""


def contents(path):
    files = [file for file in path.rglob("*") if file.is_file() and file.name != "lock"]
    return {file: file.read_bytes() for file in files}


def test_a_run_that_another_process_trains_is_neither_trained_nor_prolonged(
    trained, tmp_path, capsys
):
    path = tmp_path / "copy"
    shutil.copytree(trained.path, path)
    before = contents(path)
    with RunDirectory(path).locked():
        status = main(["train", "random-mdp", "--out", str(path), "--iterations", "4"])
        assert status == 2
        assert f"`{path}` must be a folder that no other process uses" in capsys.readouterr().err
        with pytest.raises(InputError, match="no other process uses"):
            train(RunDirectory(path), trained.config_file.read(), device="cpu")
        assert contents(path) == before
    assert main(["train", "random-mdp", "--out", str(path), "--iterations", "4"]) == 0


def test_of_two_runs_that_begin_in_one_folder_at_once_one_does(tmp_path, monkeypatch):
    first, second = RunDirectory(tmp_path / "run"), RunDirectory(tmp_path / "run")
    configs = [RunConfig.of("bandit", algo=algo) for algo in ("rl2", "rl3")]
    real = FolderLock.held

    def overtaken(lock, patience=0.0):
        monkeypatch.setattr(FolderLock, "held", real)
        second.begin(configs[1])
        return real(lock, patience)

    monkeypatch.setattr(FolderLock, "held", overtaken)
    with pytest.raises(InputError, match="where one has just done so"):
        first.begin(configs[0])
    assert first.config_file.read() == configs[1]


def test_a_lock_that_a_killed_process_left_in_an_empty_folder_is_no_obstacle(tmp_path):
    (tmp_path / "lock").write_text("process 1 on earth")
    RunDirectory(tmp_path).begin(RunConfig.of("bandit"))
    assert (tmp_path / "lock").read_text() == ""
