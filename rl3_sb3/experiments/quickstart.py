"""Run the paper's main comparison in a few minutes: RL2 against RL3 on random MDPs.

Both have the same transformer, the same PPO, the recipe `ours` and the same number of steps. Each
runs in its own process with one thread (on a single core, one after the other). Batches are smaller
than the recipe's, because few steps are then used better.

The quickstart is a sweep of two cells. If it was stopped or killed, the next call continues; if it
is complete, the next call prints its table again.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

from rl3_sb3.experiments.baselines import make_baselines
from rl3_sb3.experiments.domains import CANONICAL
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.evaluation import evaluate_agents
from rl3_sb3.experiments.machine import n_cores
from rl3_sb3.experiments.results.figures import draw_comparison
from rl3_sb3.experiments.results.run_curves import find_runs
from rl3_sb3.experiments.results.table import evaluation_table
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.experiments.sweeps.cell import Cell
from rl3_sb3.experiments.sweeps.command import run_sweep
from rl3_sb3.experiments.sweeps.folder import driver_files, driving

_ALGORITHMS = ("rl2", "rl3")
_CLASSICAL = "beb"  # the best in these tasks, and it takes only seconds
_SECONDS_BETWEEN_CHECKPOINTS = 15.0


@dataclass(frozen=True)
class Size:
    """The size of the comparison."""

    horizon: int
    n_envs: int
    batch_size: int
    iterations: int
    n_tasks: int

    @property
    def n_steps(self) -> int:
        """Training steps of each agent."""
        return self.iterations * self.n_envs * self.horizon


# Change this when machines or code get faster: iterations of 12 800 steps for each agent.
FULL = Size(horizon=100, n_envs=128, batch_size=1600, iterations=150, n_tasks=256)
SMOKE = Size(horizon=20, n_envs=16, batch_size=160, iterations=3, n_tasks=16)


def quickstart(out: Path, size: Size = FULL, seed: int = 0) -> tuple[str, signal.Signals | None]:
    """Train and evaluate RL2 and RL3, draw the figure and return the table.

    Args:
        out: A new or empty folder, or that of an earlier call with the same size and seed.
        size: The size of the comparison.
        seed: Seed of both runs.

    Returns:
        The table and None; or "" and the signal that stopped the quickstart.

    Raises:
        InputError: `out` contains something else, or a run has failed.
    """
    both = cells(size, seed)
    if not (_is_empty(out) or _has_begun(out, both)):
        raise InputError(
            "`--out` must be a new or empty folder, or that of a quickstart with the same "
            f"settings, got {out}. Choose another, or leave it out."
        )
    out.mkdir(parents=True, exist_ok=True)
    with driving(out.resolve(), _SECONDS_BETWEEN_CHECKPOINTS) as order:
        failed, received = run_sweep(both, order, min(len(both), n_cores()))
    if received is not None:
        return "", received
    for name, outcome in failed.items():
        raise InputError(f"the run {out / name} has failed: {outcome.reason}")
    return _compare(out, both), None


def default_folder(size: Size = FULL, seed: int = 0) -> Path:
    """Return the folder of the quickstart to continue, or else a new one.

    This is the first of rl3-quickstart, rl3-quickstart-2, ... that does not exist, or that contains
    a quickstart of this size and seed.
    """
    folder, number, both = Path("rl3-quickstart"), 1, cells(size, seed)
    while folder.exists() and not _has_begun(folder, both):
        number += 1
        folder = Path(f"rl3-quickstart-{number}")
    return folder


def cells(size: Size, seed: int = 0) -> list[Cell]:
    """Return both runs."""
    configs = [
        RunConfig.of(
            "random-mdp",
            algo=algo,
            horizon=size.horizon,
            seed=seed,
            recipe="ours",
            n_envs=size.n_envs,
            batch_size=size.batch_size,
            iterations=size.iterations,
        )
        for algo in _ALGORITHMS
    ]
    return [
        Cell(name=config.algo, config=config, n_tasks=size.n_tasks, variations=(CANONICAL,))
        for config in configs
    ]


def _is_empty(out: Path) -> bool:
    return not out.exists() or (out.is_dir() and set(driver_files(out)).issuperset(out.iterdir()))


def _has_begun(out: Path, both: list[Cell]) -> bool:
    """Return whether a run has been started there, and none has other settings."""
    runs = [(RunDirectory(out / cell.name), cell.config) for cell in both]
    stored = [(run.config_file.read(), config) for run, config in runs if run.config_file.exists()]
    return bool(stored) and all(found == config for found, config in stored)


def _compare(out: Path, both: list[Cell]) -> str:
    """Draw the figure, write the table and return it."""
    config = both[0].config
    found = [cell.evaluation(out, CANONICAL) for cell in both]
    evaluations = [evaluation for evaluation in found if evaluation is not None]
    assert len(evaluations) == len(both), "no run has failed"
    table = (
        f"{config.facts.title}, meta-episodes of {config.horizon} steps, {both[0].n_tasks} "
        f"held-out tasks, {config.total_steps:,} training steps each\n\n"
        f"{evaluation_table(evaluations)}"
    )
    agents = make_baselines(config, CANONICAL, [_CLASSICAL])
    classical = evaluate_agents(config, agents, n_tasks=both[0].n_tasks)
    runs = [run for cell in both for run in find_runs(out / cell.name)]
    draw_comparison(out / "quickstart.png", runs, [*evaluations, classical])
    (out / "table.md").write_text(table + "\n", encoding="utf-8")
    return table
