"""`rl3 train` under torchrun: one run, in several processes."""

import os
import socket
import subprocess
import sys

import pytest

import rl3_sb3.experiments.runs.training
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.runs.metrics import RETURN, read_metrics
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.training import make_training_env
from rl3_sb3.experiments.settings.run_config import RunConfig

OPTIONS = ["random-mdp", "--horizon", "12", "--n-envs", "5", "--batch-size", "24"]
TORCHRUN = ["-m", "torch.distributed.run"]
LENGTH = ["--iterations", "3", "--validate-every", "2"]


def start(out, launcher, *more):
    command = [*launcher, "-m", "rl3_sb3", "train", *OPTIONS, *LENGTH]
    return subprocess.Popen(
        [sys.executable, *command, "--device", "cpu", "--out", str(out), *more],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return printed


def train(out, n_ranks, *more):
    launcher = [*TORCHRUN, "--standalone", f"--nproc-per-node={n_ranks}"] if n_ranks > 1 else []
    printed = finish(start(out, launcher, *more))
    return RunDirectory(out), printed


@pytest.fixture(scope="module")
def on_two_ranks(tmp_path_factory):
    return train(tmp_path_factory.mktemp("ranks") / "run", 2)


def test_two_ranks_write_one_run(on_two_ranks, tmp_path):
    directory, printed = on_two_ranks
    assert printed.count("180 of 180 steps done") == 1
    rows = read_metrics(directory.metrics_file)
    assert [row["time/total_timesteps"] for row in rows] == [60, 120, 180]
    # Equally seeded, they collect what one process collects, until rounding sets them apart.
    alone, _ = train(tmp_path / "alone", 1)
    first = read_metrics(alone.metrics_file)[0]
    for name in (RETURN, "rollout/signal_mean"):
        assert first[name] == rows[0][name], name


def test_two_ranks_go_on_exactly_where_they_stopped(on_two_ranks, tmp_path, assert_same_runs):
    _, printed = train(tmp_path / "run", 2, "--time-limit", "0.001")
    assert "60 of 180 steps done" in printed
    again, _ = train(tmp_path / "run", 2)
    assert_same_runs(on_two_ranks[0], again)


@pytest.mark.slow
def test_two_nodes_train_the_run_of_two_ranks(on_two_ranks, tmp_path, assert_same_runs):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = ["--master-addr=127.0.0.1", f"--master-port={probe.getsockname()[1]}"]
    nodes = [
        start(tmp_path / "run", [*TORCHRUN, "--nnodes=2", f"--node-rank={rank}", *address])
        for rank in (0, 1)
    ]
    printed = [finish(node) for node in nodes]
    assert ["180 of 180" in text for text in printed] == [True, False]
    assert_same_runs(on_two_ranks[0], RunDirectory(tmp_path / "run"))


def test_fewer_environments_than_processes_are_refused(monkeypatch):
    monkeypatch.setattr(rl3_sb3.experiments.runs.training, "n_ranks", lambda: 4)
    config = RunConfig.of("bandit", horizon=12, n_envs=3)
    with pytest.raises(InputError, match=r"`n_envs` must be at least 1 for each of 4 .* got 3"):
        make_training_env(config)
