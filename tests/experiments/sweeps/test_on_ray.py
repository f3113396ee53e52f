"""Sweeps on a Ray cluster of two nodes, both of which are this machine."""

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.sweeps.specification import read_sweep

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs Ray: pip install '.[cluster]'"
)

# The longest that a sweep may take, and that a killed node may go unnoticed.
PATIENCE = 300.0

GIB = 2**30
NODE = {
    "num_cpus": 1,
    "memory": 2 * GIB,  # room for one cell; a number for Ray, nothing is allocated
    "object_store_memory": 80 * 2**20,
    "node_ip_address": "127.0.0.1",
    "include_dashboard": False,
}


@pytest.fixture
def two_nodes(monkeypatch):
    """Return a cluster of a head and another node, which are reached from this machine only."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # What Ray does on macOS and Windows: to use 127.0.0.1 alone.
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    from ray.cluster_utils import Cluster

    # Of a short name, because sockets lie in there.
    folder = tempfile.mkdtemp(prefix="rl3-", dir="/tmp")
    # Where a cluster's address is noted; Ray itself makes only its default folder.
    monkeypatch.setenv("RAY_TMPDIR", folder)
    os.mkdir(os.path.join(folder, "ray"))
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "temp_dir": folder})
    try:
        cluster.add_node(**NODE)
        yield cluster
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def parent_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def raylet_of(node):
    (process,) = node.all_processes["raylet"]
    return process.process.pid


def sweep(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "rl3_sb3", "sweep", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
def test_a_node_that_is_killed_midway_changes_nothing_of_the_results(
    longer_sweep, tmp_path, two_nodes, training_process, assert_uninterrupted
):
    out, cells = tmp_path / "swept", read_sweep(longer_sweep)
    arguments = [longer_sweep, "--out", out, "--save-every", 0, "--ray", two_nodes.address]

    command = sweep(*arguments, "--memory", 3)
    text, _ = command.communicate(timeout=PATIENCE)
    assert command.returncode == 2
    assert "`--memory` must fit on a node with a core, got 3 GiB and nodes of 1 cores with" in text

    command = sweep(*arguments)
    (doomed,) = two_nodes.worker_nodes
    workers = {cell.name: training_process(out, cell) for cell in cells}
    there = [name for name, pid in workers.items() if parent_of(pid) == raylet_of(doomed)]
    assert len(there) == 1, "each node runs one cell"
    two_nodes.remove_node(doomed, allow_graceful=False)
    text, _ = command.communicate(timeout=PATIENCE)
    assert command.returncode == 0, text
    lost = re.search(rf"lost: {there[0]}: .*; it continues from (\d+) steps", text)
    assert int(lost[1]) >= 3 * cells[0].config.steps_per_iteration, text
    assert "missing" not in (out / "results.md").read_text()
    assert not list(out.glob(".driver-*"))
    assert_uninterrupted(cells, out)


@pytest.mark.slow
def test_a_killed_worker_and_an_interrupted_command_change_nothing_of_the_results(
    longer_sweep, tmp_path, two_nodes, training_process, assert_uninterrupted
):
    out, cells = tmp_path / "swept", read_sweep(longer_sweep)
    arguments = [longer_sweep, "--out", out, "--save-every", 0, "--ray", two_nodes.address]
    command = sweep(*arguments)
    killed = training_process(out, cells[0])
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while training_process(out, cells[0]) == killed:
        assert time.monotonic() < deadline, "it is not attempted again"
        time.sleep(0.1)
    command.send_signal(signal.SIGINT)
    text, _ = command.communicate(timeout=PATIENCE)
    assert command.returncode == 128 + signal.SIGINT, text
    assert f"stopped: {cells[0].name}" in text
    assert cells[0].missing_variations(out)

    command = sweep(*arguments)
    text, _ = command.communicate(timeout=PATIENCE)
    assert command.returncode == 0, text
    assert_uninterrupted(cells, out)


def test_an_address_where_nobody_listens_is_named(small_sweep, tmp_path, capsys):
    with socket.socket() as bound:  # and does not listen
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        arguments = ["sweep", str(small_sweep), "--out", str(tmp_path / "out"), "--ray", address]
        assert main(arguments) == 2
    error = capsys.readouterr().err
    assert f"`--ray` must be the address of a running Ray cluster, got '{address}'" in error
    assert len(error.splitlines()) == 1
