"""A sweep small enough for tests."""

import re
import time

import pytest

from rl3_sb3.experiments.runs.metrics import last_row
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.experiments.sweeps.cell import Cell, Ending, Order, attempt_cell

# The longest that a test waits for a cell to begin.
PATIENCE = 120.0

SMALL = """
algorithms = ["rl2", "rl3"]
seeds = [0, 1]
horizons = [6]
domains = ["bandit"]
[settings]
iterations = 3
n_envs = 4
batch_size = 12
[evaluation]
tasks = 4
"""


@pytest.fixture
def small_sweep(tmp_path):
    """Return a file of four cells of 72 steps."""
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    return file


@pytest.fixture
def longer_sweep(small_sweep):
    """Return a file of two cells that can be killed midway, even if one starts late."""
    return _two_cells(small_sweep, 80)


@pytest.fixture
def held_sweep(small_sweep):
    """Return a file of two cells that can be made to stand still midway."""
    return _two_cells(small_sweep, 20)


def _two_cells(file, iterations):
    text = file.read_text().replace("iterations = 3", f"iterations = {iterations}")
    file.write_text(text.replace("seeds = [0, 1]", "seeds = [0]"))
    return file


@pytest.fixture
def order(tmp_path):
    """Return what workers are told."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "token").touch()
    return Order(out, out / "token", save_every=0)


@pytest.fixture
def make_cell():
    """Return a function from a seed, and what else is wanted, to a cell of 24 steps each."""

    def make(seed=0, n_tasks=4, variations=("canonical",), algo="rl3", iterations=3):
        config = RunConfig.of(
            "bandit",
            algo=algo,
            horizon=6,
            seed=seed,
            n_envs=4,
            batch_size=12,
            iterations=iterations,
        )
        name = f"bandit-h6-{algo}-s{seed}"
        return Cell(name=name, config=config, n_tasks=n_tasks, variations=variations)

    return make


@pytest.fixture
def training_process():
    """Return a function that waits for a cell's fourth iteration, and returns who trains it."""

    def wait(out, cell):
        deadline = time.monotonic() + PATIENCE
        while (row := last_row(RunDirectory(out / cell.name).metrics_file)) is None or (
            row[0] < 4 * cell.config.steps_per_iteration
        ):
            assert time.monotonic() < deadline, "it does not begin"
            time.sleep(0.02)
        return int(re.match(r"process (\d+) on", (out / cell.name / "lock").read_text())[1])

    return wait


@pytest.fixture
def assert_uninterrupted(order, assert_same_runs):
    """Return a check that cells equal those that were attempted once, in this process."""

    def check(cells, out):
        for cell in cells:
            assert attempt_cell(cell, order).ending is Ending.COMPLETE
            swept, whole = (RunDirectory(path / cell.name) for path in (out, order.out))
            assert_same_runs(swept, whole)
            files = [run.evaluation_file("canonical").read_bytes() for run in (swept, whole)]
            assert files[0] == files[1]

    return check
