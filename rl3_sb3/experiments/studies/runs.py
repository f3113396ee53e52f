"""Store the runs of a study's sweep as one small record, from which tables and figures are drawn.

For each run the record has the learning curve, the mean total rewards in the held-out tasks, and
everything needed to train it again. Totals of single tasks stay in the sweep's folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.scores import Evaluation, mean_and_error
from rl3_sb3.experiments.files.atomic_file import replace_content
from rl3_sb3.experiments.results.curves import learning_curve, wall_time
from rl3_sb3.experiments.runs.metrics import read_metrics
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.settings.command import command_of
from rl3_sb3.experiments.sweeps.cell import Cell
from rl3_sb3.experiments.sweeps.specification import read_sweep

# Decimals of numbers in the record, which people read too.
_DECIMALS = 4


@dataclass(frozen=True, kw_only=True)
class Score:
    """A mean total reward over held-out tasks.

    Attributes:
        mean: Mean over all tasks.
        error: Its standard error.
    """

    mean: float
    error: float


@dataclass(frozen=True, kw_only=True)
class StudyRun:
    """One trained agent of a study.

    Attributes:
        domain: A name in `DOMAINS`.
        size: Size of the tasks, or None.
        horizon: Steps of a meta-episode.
        algo: Name of its algorithm, or the name in another library.
        variant: The study's name for its settings; "" for none.
        title: The agent's name in tables and figures.
        seed: Seed of the run.
        signal: What it learned from: "reward" or "regret".
        n_steps: Number of training steps.
        seconds: Training time on the hardware in `provenance`.
        command: The command that trains it again.
        provenance: Commits and hardware, see `ConfigFile.provenance`.
        n_tasks: Number of held-out tasks.
        scores: Variation -> "sampled", "greedy", "random" and, if known, "oracle" -> score.
        curve: Steps and mean returns of training, see `learning_curve`.
    """

    domain: str
    size: int | None
    horizon: int
    algo: str
    variant: str
    title: str
    seed: int
    signal: str
    n_steps: int
    seconds: float
    command: str
    provenance: Sequence[Mapping[str, Any]]
    n_tasks: int
    scores: Mapping[str, Mapping[str, Score]]
    curve: Sequence[Sequence[float]]

    @property
    def tasks(self) -> tuple[str, int | None, int]:
        """Domain, size and H, which identify the tasks."""
        return self.domain, self.size, self.horizon

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StudyRun:
        """Create a run from the result of `dataclasses.asdict`."""
        scores = {
            variation: {name: Score(**score) for name, score in by_name.items()}
            for variation, by_name in values["scores"].items()
        }
        return cls(**{**values, "scores": scores})


def runs_of_sweep(sweep: Path) -> list[StudyRun]:
    """Return the complete runs of a sweep, in its order.

    Args:
        sweep: The sweep's folder.

    Raises:
        InputError: There is no sweep, or no complete run.
    """
    file = sweep / "sweep.toml"
    if not file.is_file():
        raise InputError(
            f"`--runs` must hold the sweep's folder, got {sweep} without {file.name}. Pass --train."
        )
    runs = [_run_of(cell, sweep) for cell in read_sweep(file) if not cell.missing_variations(sweep)]
    if not runs:
        raise InputError(f"`{sweep}` must have a complete run, got none. Go on with --train.")
    return runs


def write_runs(file: Path, runs: Sequence[StudyRun]) -> None:
    """Store runs as JSON. An older record is replaced, and folders are created."""
    file.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"runs": [asdict(run) for run in runs]}, indent=1)
    replace_content(file, (content + "\n").encode())


def read_runs(file: Path) -> list[StudyRun]:
    """Return the stored runs; [] if there is no record yet."""
    if not file.is_file():
        return []
    runs = json.loads(file.read_text(encoding="utf-8-sig"))["runs"]
    return [StudyRun.from_dict(run) for run in runs]


def with_commands(runs: Sequence[StudyRun], sweep: Path) -> list[StudyRun]:
    """Return runs with the commands that train them with the recipes of today.

    A command leaves out what the recipe says. So it changes when the recipe does. Runs that are no
    cells of the sweep, those of other libraries, keep theirs.
    """
    commands = {
        (c.domain, c.size, c.horizon, c.algo, cell.variant, c.seed): command_of(c)
        for cell in read_sweep(sweep)
        for c in (cell.config,)
    }
    return [replace(run, command=commands.get(_key(run), run.command)) for run in runs]


def joined(new: Sequence[StudyRun], old: Sequence[StudyRun]) -> list[StudyRun]:
    """Return the old runs that are not replaced, followed by the new ones."""
    replaced = {_key(run) for run in new}
    return [run for run in old if _key(run) not in replaced] + list(new)


def _key(run: StudyRun) -> tuple[Any, ...]:
    return (*run.tasks, run.algo, run.variant, run.seed)


def _run_of(cell: Cell, sweep: Path) -> StudyRun:
    directory, config = RunDirectory(sweep / cell.name), cell.config
    rows = read_metrics(directory.metrics_file)
    found = {variation: cell.evaluation(sweep, variation) for variation in cell.variations}
    evaluations = {name: each for name, each in found.items() if each is not None}
    title = f"{config.title}, {cell.variant}" if cell.variant else config.title
    return StudyRun(
        domain=config.domain,
        size=config.size,
        horizon=config.horizon,
        algo=config.algo,
        variant=cell.variant,
        title=title,
        seed=config.seed,
        signal=config.signal,
        n_steps=next(iter(evaluations.values())).n_training_steps,
        seconds=round(wall_time(rows)),
        command=command_of(config),
        provenance=directory.config_file.provenance(),
        n_tasks=cell.n_tasks,
        scores={name: scores_of(each) for name, each in evaluations.items()},
        curve=np.round(learning_curve(rows), _DECIMALS).tolist(),
    )


def scores_of(evaluation: Evaluation) -> dict[str, Score]:
    """Return each agent's mean: a trained one's by its play, others by their titles."""
    scores = {}
    for each in evaluation.scores:
        mean, error = mean_and_error(each.returns)
        name = each.play or each.title
        scores[name] = Score(mean=round(mean, _DECIMALS), error=round(error, _DECIMALS))
    return scores
