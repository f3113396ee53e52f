"""An hour of training: memory stays, throughput stays, every number is one.

    python -m pytest -m slow tests/experiments/test_soak.py -s

RL3_SOAK_SECONDS in the environment makes it shorter or longer.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rl3_sb3.experiments.runs.metrics import STEPS, read_metrics
from rl3_sb3.experiments.runs.run_directory import RunDirectory

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="asks /proc for memory and time"),
]

SECONDS = float(os.environ.get("RL3_SOAK_SECONDS", "3600"))
N_SAMPLES = 60
# Short iterations, so that whatever leaks per iteration, validation or checkpoint leaks often.
OPTIONS = ["random-mdp", "--horizon", "100", "--n-envs", "64", "--batch-size", "1600"]
OFTEN = ["--iterations", "1000000", "--validate-every", "20", "--save-every", "10"]
MIB = 2**20


def memory(process):
    """Bytes of a process that lie in memory."""
    pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(process):
    """What it computed so far; other processes of the machine do not count."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_an_hour_of_training_keeps_memory_throughput_and_finite_numbers(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    limit = ["--time-limit", str(SECONDS), "--out", str(directory.path), "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-m", "rl3_sb3", "train", *OPTIONS, *OFTEN, *limit],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    samples = []  # bytes, CPU seconds, steps
    while process.poll() is None:
        time.sleep(SECONDS / N_SAMPLES)
        if process.poll() is None and directory.metrics_file.is_file():
            rows = read_metrics(directory.metrics_file)
            if rows:
                samples.append((memory(process), cpu_seconds(process), rows[-1][STEPS]))
    assert process.returncode == 0
    rows = read_metrics(directory.metrics_file)
    assert all(np.isfinite(value) for row in rows for value in row.values())
    assert rows[-1][STEPS] == directory.checkpoints.n_steps()

    size, seconds, steps = np.array(samples).T
    quarter = len(samples) // 4
    early, late = slice(quarter, 2 * quarter), slice(3 * quarter, None)
    growth = size[late].mean() - size[early].mean()
    rates = [np.ptp(steps[part]) / np.ptp(seconds[part]) for part in (early, late)]
    print(
        f"\n{len(rows)} iterations, {rows[-1][STEPS]:,.0f} steps in {SECONDS:.0f} s; memory "
        f"{size[early].mean() / MIB:.0f} MiB in the second quarter, {size[late].mean() / MIB:.0f} "
        f"in the last ({size.max() / MIB:.0f} at most); {rates[0]:.0f} and {rates[1]:.0f} steps "
        "per CPU second"
    )
    assert growth < 8 * MIB
    assert rates[1] > 0.85 * rates[0]
