"""Results as a table that reads well as text and is Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from rl3_sb3.experiments.config import RunConfig
from rl3_sb3.experiments.domains import CANONICAL
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation import Evaluation, FloatArray, mean_and_error
from rl3_sb3.experiments.run_directory import RunDirectory

ORACLE = "oracle"


def evaluation_table(evaluations: Iterable[Evaluation]) -> str:
    """Compare agents in the same tasks: one row per agent, the oracle last.

    Args:
        evaluations: Of the same tasks; an agent in several of them is shown once.
    """
    rows: dict[str, list[str]] = {}
    for evaluation in evaluations:
        for title, got in evaluation.rewards.items():
            rows.setdefault(title, [title, *_score(got.returns, evaluation.oracle)])
        # Taken out first, so that it stays the last row.
        rows.pop(ORACLE, None)
        rows[ORACLE] = [ORACLE, *_score(evaluation.oracle, evaluation.oracle)]
    return aligned(["agent", "total reward", "of the oracle"], list(rows.values()))


def runs_table(paths: Sequence[Path]) -> str:
    """Compare runs by their stored evaluations, with random agent and oracle per distribution.

    Raises:
        InputError: A folder is no run, or was never evaluated.
    """
    rows: list[list[str]] = []
    for path in paths:
        directory = RunDirectory(path)
        config = directory.read_config()
        variations = [CANONICAL, *config.facts.variations]
        stored = [directory.read_evaluation(variation) for variation in variations]
        evaluations = [evaluation for evaluation in stored if evaluation is not None]
        if not evaluations:
            raise InputError(
                f"`DIR` must be an evaluated run, got {path}, which has no evaluation.json. "
                f"Run `rl3 evaluate {path}` first."
            )
        for evaluation in evaluations:
            rows += _rows(config, evaluation)
    order = {tuple(row[:3]): None for row in rows}  # groups, in the order of their first row
    grouped = [row for group in order for row in _without_repeats(rows, group)]
    return aligned(
        ["domain", "H", "tasks", "agent", "seed", "steps", "total reward", "of the oracle"], grouped
    )


def evaluated_runs(path: Path) -> list[Path]:
    """Return the folder if it is an evaluated run, else the evaluated runs in it, as of a sweep."""
    candidates = [path, *sorted(path.glob("*"))]
    evaluated = [run for run in candidates if any(run.glob("evaluation*.json"))]
    return [path] if path in evaluated else evaluated


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns are padded to equal widths.

    Example:
        >>> print(aligned(["agent", "H"], [["random", "100"]]))
        | agent  | H   |
        | ------ | --- |
        | random | 100 |
    """
    lines = [list(header), *map(list, rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(header))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def tasks_label(config: RunConfig, n_tasks: int, variation: str) -> list[str]:
    """Return what the first columns of a row say: domain, H and tasks."""
    size = "" if config.size is None else f" {config.size}x{config.size}"
    tasks = str(n_tasks) if variation == CANONICAL else f"{n_tasks} {variation}"
    return [f"{config.facts.title}{size}", str(config.horizon), tasks]


def agent_label(config: RunConfig) -> str:
    """Return the algorithm's name, and what sets the run apart from others of it."""
    return config.title + _peculiarities(config)


def fraction_label(total: float, best: float) -> str:
    """Return a total as a fraction of the oracle's; "-" of an oracle that gets nothing."""
    return f"{total / best:.3f}" if best > 0 else "-"


def mean_label(mean: float, error: float) -> str:
    """Return mean ± standard error; a single value has no error (nan)."""
    return f"{mean:.1f}" if math.isnan(error) else f"{mean:.1f} ± {error:.1f}"


def _score(returns: FloatArray, oracle: FloatArray) -> list[str]:
    total = fraction_label(float(returns.sum()), float(oracle.sum()))
    return [mean_label(*mean_and_error(returns)), total]


def _rows(config: RunConfig, evaluation: Evaluation) -> list[list[str]]:
    group = tasks_label(config, len(evaluation.oracle), evaluation.variation)
    rows = []
    for title, got in evaluation.rewards.items():
        trained = title == config.title
        if trained:
            title = agent_label(config)
        seed = str(config.seed) if trained else ""
        steps = f"{evaluation.n_training_steps:,}" if trained else ""
        rows.append([*group, title, seed, steps, *_score(got.returns, evaluation.oracle)])
    oracle = _score(evaluation.oracle, evaluation.oracle)
    return [*rows, [*group, ORACLE, "", "", *oracle]]


def _peculiarities(config: RunConfig) -> str:
    """What sets a run apart from others of its algorithm."""
    notes = [] if config.variation == CANONICAL else [f"trained on {config.variation}"]
    notes += ["clustered terminals"] if config.cluster_terminals else []
    notes += ["warm start"] if config.warm_start else []
    return f" ({', '.join(notes)})" if notes else ""


def _without_repeats(rows: list[list[str]], group: tuple[str, ...]) -> list[list[str]]:
    """Return the group's rows: random first, then the runs, the oracle last, those two once."""
    members = [row for row in rows if tuple(row[:3]) == group]
    first = [row for row in members if row[3] == "random"][:1]
    last = [row for row in members if row[3] == ORACLE][:1]
    return first + [row for row in members if row[3] not in ("random", ORACLE)] + last
