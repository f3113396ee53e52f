"""The benchmarks run at their smallest size; what they print at full size is no test's business."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DOCS = BENCHMARKS.parent / "docs"


@pytest.mark.parametrize(
    ("script", "promised"),
    [
        ("planning.py", ["all ways agree on Q", "vamdp, single", "bytes per task", "exploits"]),
        ("gridworlds.py", ["accepted 11x11 grids a second", "microseconds a step", "rl3-coarse"]),
        ("stepping.py", ["vamdp.ValueAugment", "batched engine", "vamdp/RandomMDP-v0"]),
        ("cpu_kernels.py", ["T = 20", "feed-forward", "embedding", "of peak", "steps T = 20"]),
        ("memory.py", ["| count-recall | memoryless    |", "| cartpole     | recurrent-ppo |"]),
        (
            "learners.py",
            ["batch of 2", "single", "dyna-q, 10 planned", "gridworlds 11x11", "1.00x"],
        ),
        ("regret.py", ["regret costs", "task costs", "% of an iteration", "frozen-lake"]),
        ("continuous_learners.py", ["acting at random", "kernel, m <= 128", "linear, 32 waves"]),
        ("action_masks.py", ["seconds per iteration", "without      0", "minutes"]),
        ("training.py", ["arithmetic limit", "without limit", "LSTM-8", "planning", "MiB"]),
    ],
)
def test_a_benchmark_runs_and_prints_its_comparisons(script, promised):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / script, "--smoke"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert [words for words in promised if words not in done.stdout] == []


def test_the_page_on_memory_shows_the_stored_curves(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    memory = runpy.run_path(str(BENCHMARKS / "memory.py"))
    rows = memory["read"](DOCS / "figures" / "memory" / "curves.csv")
    curves = {tuple(row[name] for name in ("task", "agent", "seed", "length")) for row in rows}
    assert len(rows) == len(curves) * memory["POINTS"]
    assert memory["table"](rows) in (DOCS / "memory.md").read_text(encoding="utf-8")
