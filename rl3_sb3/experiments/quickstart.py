"""The paper's main comparison in a few minutes: RL2 against RL3 on random MDPs.

Both sides have the same transformer, the same PPO and the same number of steps, in a process and on
a thread of their own each (with a single core: one after the other). The batches are smaller than
the paper's, which learns faster when steps are few.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch as th

from rl3_sb3.experiments.config import RunConfig
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation import Evaluation, evaluate
from rl3_sb3.experiments.figures import draw_comparison
from rl3_sb3.experiments.progress import run_bars
from rl3_sb3.experiments.run_directory import RunDirectory
from rl3_sb3.experiments.table import evaluation_table
from rl3_sb3.experiments.training import train

_ALGORITHMS = ("rl2", "rl3")
_SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True)
class Size:
    """How much the quickstart does."""

    horizon: int
    n_envs: int
    batch_size: int
    iterations: int
    n_tasks: int


# The number to change when machines or code get faster: iterations of 12 800 steps for each side.
FULL = Size(horizon=100, n_envs=128, batch_size=1600, iterations=40, n_tasks=256)
SMOKE = Size(horizon=20, n_envs=16, batch_size=160, iterations=3, n_tasks=16)


def quickstart(out: Path, size: Size = FULL, seed: int = 0) -> str:
    """Train RL2 and RL3, evaluate both, draw the picture and return the table.

    Args:
        out: A new or empty folder.
        size: How much to do.
        seed: Of both runs.

    Raises:
        InputError: `out` is not empty.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise InputError(
            f"`--out` must be a new or empty folder, got {out}. Choose another, or leave it out."
        )
    configs = [
        RunConfig.of(
            "random-mdp",
            algo=algo,
            horizon=size.horizon,
            seed=seed,
            n_envs=size.n_envs,
            batch_size=size.batch_size,
            iterations=size.iterations,
        )
        for algo in _ALGORITHMS
    ]
    directories = [RunDirectory(out / config.algo) for config in configs]
    for directory, config in zip(directories, configs, strict=True):
        directory.begin(config)
    evaluations = _run_all(configs, directories, size.n_tasks)
    config = configs[0]
    table = (
        f"{config.facts.title}, meta-episodes of {config.horizon} steps, {size.n_tasks} held-out "
        f"tasks, {config.total_steps:,} training steps each\n\n{evaluation_table(evaluations)}"
    )
    picture = out / "quickstart.png"
    runs = {c.title: d for c, d in zip(configs, directories, strict=True)}
    draw_comparison(picture, config, runs, evaluations)
    (out / "table.md").write_text(table + "\n", encoding="utf-8")
    return table


def default_folder() -> Path:
    """Return the first of rl3-quickstart, rl3-quickstart-2, ... that does not exist."""
    folder, number = Path("rl3-quickstart"), 1
    while folder.exists():
        number += 1
        folder = Path(f"rl3-quickstart-{number}")
    return folder


def n_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _run_all(
    configs: Sequence[RunConfig], directories: Sequence[RunDirectory], n_tasks: int
) -> list[Evaluation]:
    # Spawned, not forked: a child of a process that has used torch's threads can hang.
    context = multiprocessing.get_context("spawn")
    # Per run: steps done and the last mean return; each child writes its own entries only.
    board = context.Array("d", 2 * len(configs), lock=False)
    n_workers = min(len(configs), n_cores())
    with ProcessPoolExecutor(n_workers, context, _start_worker, (board,)) as pool:
        jobs = [
            pool.submit(_run_one, i, config, directory.path, n_tasks)
            for i, (config, directory) in enumerate(zip(configs, directories, strict=True))
        ]
        _show_progress(configs, jobs, board)
        return [job.result() for job in jobs]


def _show_progress(
    configs: Sequence[RunConfig], jobs: Sequence[Future[Evaluation]], board: Any
) -> None:
    """Draw one bar per run until all are done or one has failed."""
    with run_bars(configs) as bars:
        pending: set[Future[Evaluation]] = set(jobs)
        while pending:
            done, pending = wait(pending, timeout=_SECONDS_BETWEEN_LOOKS)
            for i in range(len(configs)):
                n_steps, reward = int(board[2 * i]), board[2 * i + 1]
                if n_steps:
                    bars.show(i, n_steps, reward)
            for job in done:
                if job.exception() is not None:
                    for other in pending:
                        other.cancel()
                    return


_board: Any = None


def _start_worker(board: Any) -> None:
    global _board
    _board = board
    # Two threads on a busy machine of two cores are several times slower than one.
    th.set_num_threads(1)


def _run_one(i: int, config: RunConfig, path: Path, n_tasks: int) -> Evaluation:
    """Train and evaluate run i, in its own process."""

    def report(n_steps: int, reward: float) -> None:
        _board[2 * i], _board[2 * i + 1] = n_steps, reward

    directory = RunDirectory(path)
    model = train(directory, config, device="cpu", report=report)
    evaluation = evaluate(
        config, model.policy, n_training_steps=model.num_timesteps, n_tasks=n_tasks
    )
    directory.write_evaluation(evaluation)
    return evaluation
