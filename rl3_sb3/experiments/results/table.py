"""Print results as Markdown tables that are also readable as text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from rl3_sb3.experiments.domains import CANONICAL
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.scores import Evaluation, FloatArray, Score, mean_and_error
from rl3_sb3.experiments.results.labels import agent_labels, domain_title
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.settings.run_config import RunConfig
from vamdp.shell import quoted

# Smaller errors of equal totals come from rounding.
_NO_ERROR = 5e-5


def evaluation_table(evaluations: Iterable[Evaluation]) -> str:
    """Return a table of agents in the same tasks: one row per agent, in the order of the scores.

    Args:
        evaluations: Evaluations of the same tasks. An agent in several of them has one row.
    """
    groups = [
        [(bool(score.play), [score.label, *_entries(score, each.oracle)]) for score in each.scores]
        for each in evaluations
    ]
    return aligned(["agent", "total reward", "of the oracle"], merged(groups))


def runs_table(paths: Sequence[Path]) -> str:
    """Return a table of runs from their stored evaluations; untrained agents appear once.

    Raises:
        InputError: A folder is not a run, or has not been evaluated.
    """
    directories = [RunDirectory(path) for path in paths]
    configs = [directory.config_file.read() for directory in directories]
    labels = agent_labels(configs)
    # By domain, H and tasks, in the order of their first run.
    groups: dict[tuple[str, ...], list[list[tuple[bool, list[str]]]]] = {}
    for directory, config, label in zip(directories, configs, labels, strict=True):
        variations = [CANONICAL, *config.facts.variations]
        stored = [directory.read_evaluation(variation) for variation in variations]
        evaluations = [evaluation for evaluation in stored if evaluation is not None]
        if not evaluations:
            raise InputError(
                f"`DIR` must be an evaluated run, got {directory.path}, which has no "
                f"evaluation.json. Run `rl3 evaluate {quoted(directory.path)}` first."
            )
        for evaluation in evaluations:
            group = tasks_label(config, len(evaluation.oracle), evaluation.variation)
            rows = _rows(config, label, evaluation)
            # By domain too, because other tasks may have the same title.
            same_tasks = (config.domain, evaluation.telling.tobytes().hex(), *group)
            groups.setdefault(same_tasks, []).append(rows)
    header = ["domain", "H", "tasks", "agent", "seed", "steps", "total reward", "of the oracle"]
    return aligned(
        header, [[*group[2:], *row] for group, runs in groups.items() for row in merged(runs)]
    )


def merged(groups: Sequence[Sequence[tuple[bool, list[str]]]]) -> list[list[str]]:
    """Return the rows of several evaluations in the same tasks as those of a single one.

    Rows before the first trained agent of an evaluation come before all trained agents, and rows
    after it come after all. Each such row appears once, where it first occurs.

    Args:
        groups: For each evaluation, its rows and whether their agents are trained.

    Example:
        >>> merged([[(False, ["random"]), (True, ["RL²"])], [(False, ["random"]), (True, ["RL³"])]])
        [['random'], ['RL²'], ['RL³']]
    """
    before: dict[str, list[str]] = {}
    trained: list[list[str]] = []
    after: dict[str, list[str]] = {}
    for rows in groups:
        side = before
        for is_trained, row in rows:
            if is_trained:
                trained.append(row)
                side = after
            else:
                side.setdefault(row[0], row)
    return [*before.values(), *trained, *after.values()]


def evaluated_runs(path: Path) -> list[Path]:
    """Return the folder itself if it is an evaluated run, else the evaluated runs in it."""
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
    """Return the first columns of a row: domain, H and tasks."""
    tasks = str(n_tasks) if variation == CANONICAL else f"{n_tasks} {variation}"
    return [domain_title(config.domain, config.size), str(config.horizon), tasks]


def fraction_label(total: float, best: float) -> str:
    """Return a total as a fraction of the oracle's; "-" if that is not above 0 or unknown."""
    return f"{total / best:.3f}" if best > 0 else "-"


def score_label(mean: float, error: float) -> str:
    """Return mean ± standard error like `mean_label`, with more decimals for a smaller error.

    An error below 0.05 has two digits. Without an error, the mean has the decimals it needs.

    Example:
        >>> score_label(49.96, 0.51), score_label(0.5204, 0.0131), score_label(0.25, 0.0)
        ('50.0 ± 0.5', '0.520 ± 0.013', '0.25 ± 0.0')
    """
    if math.isnan(error) or round(error, 1) > 0:
        return mean_label(mean, error)
    if error < _NO_ERROR:
        digits = f"{mean:z.4f}".rstrip("0")
        return f"{digits}0 ± 0.0" if digits.endswith(".") else f"{digits} ± 0.0"
    n_decimals = 1 - math.floor(math.log10(error))
    return f"{mean:z.{n_decimals}f} ± {error:.{n_decimals}f}"


def mean_label(mean: float, error: float) -> str:
    """Return mean ± standard error to one decimal; a single value's error is NaN and left out.

    Example:
        >>> mean_label(-0.04, 0.25), mean_label(2.0, float("nan"))
        ('0.0 ± 0.2', '2.0')
    """
    # z: no minus sign before 0.
    return f"{mean:z.1f}" if math.isnan(error) else f"{mean:z.1f} ± {error:.1f}"


def _entries(score: Score, oracle: FloatArray) -> list[str]:
    total = fraction_label(float(score.returns.sum()), float(oracle.sum()))
    return [score_label(*mean_and_error(score.returns)), total]


def _rows(config: RunConfig, label: str, evaluation: Evaluation) -> list[tuple[bool, list[str]]]:
    rows = []
    for score in evaluation.scores:
        entries = _entries(score, evaluation.oracle)
        if score.play:
            steps = f"{evaluation.n_training_steps:,}"
            row = [f"{label}, {score.play}", str(config.seed), steps, *entries]
        else:
            row = [score.title, "", "", *entries]
        rows.append((bool(score.play), row))
    return rows
