"""The results of a sweep, over the seeds of each domain, horizon, task distribution and algorithm.

There are two rows each: one for sampled and one for greedy actions.

A seed's score is the mean total reward of its policy in the held-out tasks, which are the same for
all seeds. A row shows the mean over the seeds ± the standard error of that mean: the standard
deviation of the scores (with n - 1) divided by the square root of their number. So ± estimates how
far another set of seeds might lie, in these tasks; a single seed has none. Agents that are not
trained have no seeds, and no ±. The fraction of the oracle is the mean total divided by the
oracle's, if that is known.

Seeds without a result are never left out silently: the row shows "2 of 3" seeds, or "missing".
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rl3_sb3.experiments.evaluation.scores import (
    PLAYS,
    Evaluation,
    FloatArray,
    Score,
    mean_and_error,
)
from rl3_sb3.experiments.results.labels import agent_labels
from rl3_sb3.experiments.results.table import aligned, fraction_label, score_label, tasks_label
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.experiments.sweeps.cell import Cell

_HEADER = ("domain", "H", "tasks", "agent", "seeds", "steps", "total reward", "of the oracle")
_COLUMNS = (
    "domain",
    "size",
    "horizon",
    "n_tasks",
    "variation",
    "agent",
    "variant",
    "play",
    "trained_on",
    "seeds",
    "missing_seeds",
    "training_steps",
    "mean",
    "standard_error",
    "oracle",
)


# Mean total reward by seed; None: missing. An agent without seeds has one entry, with key None.
Scores = dict[int | None, float | None]


@dataclass(frozen=True)
class Row:
    """The result of one agent in one task distribution.

    Attributes:
        config: Configuration of one of its runs, with any seed; for an agent without runs, of some
            run on these tasks.
        n_tasks: Number of held-out tasks.
        variation: Their task distribution.
        agent: A name in `ALGORITHMS`, or the title of an agent that is not trained.
        play: How a trained agent chose its actions; "" for others.
        label: The agent's name in the table.
        variant: Name of its variant of the settings; "" for none.
        scores: See `Scores`.
        oracle: The oracle's mean total; NaN if it is unknown, or nothing has been evaluated yet.
    """

    config: RunConfig
    n_tasks: int
    variation: str
    agent: str
    play: str
    label: str
    scores: Scores
    oracle: float
    variant: str = ""

    @property
    def present(self) -> FloatArray:
        """The scores that are not missing."""
        return np.array([score for score in self.scores.values() if score is not None])

    @property
    def is_trained(self) -> bool:
        """Whether the agent has seeds."""
        return self.play != ""

    def as_text(self) -> list[str]:
        """Return the cells of the row in the table."""
        group = tasks_label(self.config, self.n_tasks, self.variation)
        n_all, n = len(self.scores), len(self.present)
        seeds = "" if not self.is_trained else str(n) if n == n_all else f"{n} of {n_all}"
        steps = f"{self.config.total_steps:,}" if self.is_trained else ""
        if n == 0:
            return [*group, self.label, seeds, steps, "missing", "missing"]
        mean, error = mean_and_error(self.present)
        fraction = fraction_label(mean, self.oracle)
        return [*group, self.label, seeds, steps, score_label(mean, error), fraction]

    def as_numbers(self) -> dict[str, object]:
        """Return the values of the row in the CSV file; missing numbers are empty."""
        config, trained = self.config, self.is_trained
        mean, error = mean_and_error(self.present) if len(self.present) else (math.nan, math.nan)
        missing = [seed for seed, score in self.scores.items() if score is None]
        return {
            "domain": config.domain,
            "size": config.size or "",
            "horizon": config.horizon,
            "n_tasks": self.n_tasks,
            "variation": self.variation,
            "agent": self.agent,
            "variant": self.variant,
            "play": self.play,
            "trained_on": config.variation if trained else "",
            "seeds": len(self.present) if trained else "",
            "missing_seeds": " ".join(map(str, missing)) if trained else "",
            "training_steps": config.total_steps if trained else "",
            "mean": _or_empty(mean),
            "standard_error": _or_empty(error),
            "oracle": _or_empty(self.oracle),
        }


def result_rows(cells: Sequence[Cell], out: Path) -> list[Row]:
    """Return all rows of a sweep, in the order of its cells.

    Args:
        cells: All cells of the sweep.
        out: The sweep's folder.
    """
    groups: dict[tuple[str, ...], list[tuple[Cell, str]]] = {}
    for cell in cells:
        for variation in cell.variations:
            # By name, because several domains may have the same title.
            group = (cell.config.domain, *tasks_label(cell.config, cell.n_tasks, variation))
            groups.setdefault(group, []).append((cell, variation))
    return [row for members in groups.values() for row in _group_rows(members, out)]


def results_table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    return aligned(_HEADER, [row.as_text() for row in rows])


def results_csv(rows: Sequence[Row]) -> str:
    """Return the rows as CSV, with numbers in full precision."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS)
    writer.writeheader()
    writer.writerows(row.as_numbers() for row in rows)
    return text.getvalue()


def _group_rows(members: Sequence[tuple[Cell, str]], out: Path) -> list[Row]:
    """Return the rows of all cells on the same tasks: trained agents between the others."""
    (first, variation), n_tasks = members[0], members[0][0].n_tasks
    found = {cell.name: cell.evaluation(out, variation) for cell, _ in members}
    some = next((each for each in found.values() if each is not None), None)
    oracle = math.nan if some is None else float(np.mean(some.oracle))

    def row_of(score: Score) -> Row:
        by_seed: Scores = {None: float(np.mean(score.returns))}
        title = score.title
        return Row(first.config, n_tasks, variation, title, "", title, by_seed, oracle)

    scores = [] if some is None else list(some.scores)
    plays = [score.play != "" for score in scores]
    where = plays.index(True) if any(plays) else len(scores)
    kinds = _by_all_but_the_seed([cell for cell, _ in members])
    labels = _labels([cells[0] for cells in kinds])
    rows = [row_of(score) for score in scores[:where]]
    for cells, label in zip(kinds, labels, strict=True):
        for play in PLAYS:
            by_seed: Scores = {cell.config.seed: _mean(found[cell.name], play) for cell in cells}
            config, name = cells[0].config, f"{label}, {play}"
            rows.append(
                Row(
                    config,
                    n_tasks,
                    variation,
                    config.algo,
                    play,
                    name,
                    by_seed,
                    oracle,
                    cells[0].variant,
                )
            )
    return rows + [row_of(score) for score in scores[where:] if not score.play]


def _labels(cells: Sequence[Cell]) -> list[str]:
    """Return each agent's name; for a variant, its name and special features, not its settings.

    If several agents have the same name, perhaps of different domains, the settings are added.
    """
    names = agent_labels([cell.config for cell in cells])
    kinds = [(cell.config.algo, cell.variant) for cell in cells]
    labels = []
    for cell, kind, name in zip(cells, kinds, names, strict=True):
        title = cell.config.title
        notes = name.removeprefix(title).strip(" ()") if kinds.count(kind) > 1 else ""
        variant = f"{title} ({', '.join(filter(None, (cell.variant, notes)))})"
        labels.append(variant if cell.variant else name)
    return labels


def _by_all_but_the_seed(cells: Sequence[Cell]) -> list[list[Cell]]:
    kinds: dict[str, list[Cell]] = {}
    for cell in cells:
        settings = {**cell.config.flat(), "seed": None, "variant": cell.variant}
        kinds.setdefault(repr(settings), []).append(cell)
    return list(kinds.values())


def _mean(evaluation: Evaluation | None, play: str) -> float | None:
    return None if evaluation is None else float(np.mean(evaluation.score_of(play).returns))


def _or_empty(value: float) -> float | str:
    return "" if math.isnan(value) else value
