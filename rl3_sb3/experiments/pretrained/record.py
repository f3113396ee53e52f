"""The record of a cell: one algorithm in one domain with one H, trained with several seeds.

    pretrained/bandit-100-rl3/
        config.json        the settings of the run whose policy it is, as in a run's folder
        policy/            that policy, without its critic
        record.json        all seeds: how they were trained, and their results

So the folder is also that of a run: `rl3 evaluate` and `rl3 play` accept it, and `rl3 table` after
an evaluation. The policy is that of the seed with the median score, as in the paper, or of the
nearest seed whose policy was available. A record is never written by hand: `rl3 publish` writes it
from the runs' folders, and later runs with other seeds are added. Total rewards and means are
rounded to three decimals.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.scores import PLAYS, Evaluation
from rl3_sb3.experiments.files.atomic_file import replace_content
from rl3_sb3.experiments.runs.run_directory import RECORD_FILE
from rl3_sb3.experiments.settings.command import command_of
from rl3_sb3.experiments.settings.run_config import RunConfig

_DECIMALS = 3

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SeedRecord:
    """One run of a cell.

    Attributes:
        seed: Seed of the run.
        command: The command that trains it again.
        provenance: Commit and hardware of every part of its training.
        n_steps: Number of environment steps for which it was trained, with those of the policy that
            it started from.
        seconds: Training time, without evaluation and without that policy's.
        curve: Steps so far, and the mean total reward of training meta-episodes since the row
            before, shape (n, 2).
        returns: Variation -> play -> total reward in each held-out task, (n_tasks,).
        by_step: Variation -> play -> mean reward over the tasks at each step, (horizon,).
        start: The policy that it started from, as in the run's `config.json`; None without one.
    """

    seed: int
    command: str
    provenance: Sequence[Mapping[str, str]]
    n_steps: int
    seconds: float
    curve: FloatArray
    returns: Mapping[str, Mapping[str, FloatArray]]
    by_step: Mapping[str, Mapping[str, FloatArray]]
    start: Mapping[str, Any] | None = None

    def mean(self, variation: str, play: str) -> float:
        """Return the mean total reward."""
        return float(np.mean(self.returns[variation][play]))


@dataclass(frozen=True, kw_only=True)
class CellRecord:
    """All runs of a cell.

    Attributes:
        name: Name of the cell's folder.
        settings: Settings of the exported run, as in its `config.json`.
        exported: The seed whose policy is exported: the median by its score with sampled actions
            in the tasks that it was trained on, or the nearest one whose policy was available.
        weights: Type of the stored weights.
        oracle: Variation -> the oracle's expected total in each task; NaN if it is unknown.
        runs: The runs in the order of their seeds.
    """

    name: str
    settings: Mapping[str, Any]
    exported: int
    weights: str
    oracle: Mapping[str, FloatArray]
    runs: Sequence[SeedRecord]

    @property
    def exported_run(self) -> SeedRecord:
        """The run whose policy is exported."""
        return next(run for run in self.runs if run.seed == self.exported)

    def means(self, variation: str, play: str) -> list[float]:
        """Return each seed's mean total reward."""
        return [run.mean(variation, play) for run in self.runs]

    def with_commands(self) -> CellRecord:
        """Return the record with the commands that train its runs with the recipes of today.

        A command leaves out what the recipe says. So it changes when the recipe does.
        """
        runs = []
        for run in self.runs:
            values = {**self.settings, "seed": run.seed}
            config = RunConfig.from_dict(values, source=f"{self.name}/{RECORD_FILE}")
            runs.append(replace(run, command=command_of(config)))
        return replace(self, runs=runs)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain numbers and lists."""
        return {
            "name": self.name,
            "settings": dict(self.settings),
            "exported": self.exported,
            "weights": self.weights,
            "oracle": _lists(self.oracle),
            "runs": [
                {
                    "seed": run.seed,
                    "command": run.command,
                    "provenance": [dict(entry) for entry in run.provenance],
                    "n_steps": run.n_steps,
                    "seconds": round(run.seconds),
                    "curve": _rounded(run.curve),
                    "returns": {name: _lists(plays) for name, plays in run.returns.items()},
                    "by_step": {name: _lists(plays) for name, plays in run.by_step.items()},
                    **({} if run.start is None else {"start": dict(run.start)}),
                }
                for run in self.runs
            ],
        }

    def write(self, folder: Path) -> None:
        """Replace the record in a cell's folder."""
        text = json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":"))
        replace_content(folder / RECORD_FILE, f"{text}\n".encode())


def read_record(folder: Path) -> CellRecord:
    """Return the record in a cell's folder.

    Raises:
        InputError: There is none, or it cannot be read.
    """
    file = folder / RECORD_FILE
    try:
        values = json.loads(file.read_text(encoding="utf-8-sig"))
        record = CellRecord(
            name=values["name"],
            settings=values["settings"],
            exported=values["exported"],
            weights=values["weights"],
            oracle=_arrays(values["oracle"]),
            runs=[
                SeedRecord(
                    seed=run["seed"],
                    command=run["command"],
                    provenance=run["provenance"],
                    n_steps=run["n_steps"],
                    seconds=run["seconds"],
                    curve=np.array(run["curve"], np.float64).reshape(-1, 2),
                    returns={name: _arrays(plays) for name, plays in run["returns"].items()},
                    by_step={name: _arrays(plays) for name, plays in run["by_step"].items()},
                    start=run.get("start"),
                )
                for run in values["runs"]
            ],
        )
        _check(record)
        return record
    except FileNotFoundError as error:
        raise InputError(
            f"`{folder}` must be the folder of a pretrained agent, got no {RECORD_FILE} in it."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"`{file}` must be what `rl3 publish` writes, got another file ({error!r}). "
            "Restore it from a copy."
        ) from error


def _check(record: CellRecord) -> None:
    """Raise ValueError or TypeError unless it can be written again and holds what it must.

    Each run has a seed of its own and a total in every task, and one run is the exported.
    """
    record.to_dict()
    seeds = [run.seed for run in record.runs]
    if any(type(seed) is not int for seed in seeds) or len(set(seeds)) < len(seeds):
        raise ValueError(f"the seeds {seeds} are no different integers")
    if record.exported not in seeds:
        raise ValueError(f"the exported seed {record.exported} has no run")
    for run in record.runs:
        if not len(run.curve):
            raise ValueError(f"seed {run.seed} has no learning curve")
        for variation, oracle in record.oracle.items():
            for play in PLAYS:
                totals = run.returns[variation][play]
                if totals.shape != oracle.shape or not np.isfinite(totals).all():
                    raise ValueError(f"seed {run.seed} did not play all {variation} tasks")


def returns_of(evaluation: Evaluation) -> dict[str, FloatArray]:
    """Return play -> the policy's total rewards."""
    return {play: evaluation.score_of(play).returns for play in PLAYS}


def by_step_of(evaluation: Evaluation) -> dict[str, FloatArray]:
    """Return play -> the policy's mean rewards at each step."""
    found = {play: evaluation.score_of(play).by_step for play in PLAYS}
    return {play: by_step for play, by_step in found.items() if by_step is not None}


def _rounded(values: FloatArray) -> Any:
    """Return nested lists; whole numbers as integers, which are shorter, and NaN as None."""
    if values.ndim > 1:
        return [_rounded(row) for row in values]
    plain = (round(value, _DECIMALS) for value in values.tolist())
    return [
        None if np.isnan(value) else int(value) if value.is_integer() else value for value in plain
    ]


def _lists(arrays: Mapping[str, FloatArray]) -> dict[str, Any]:
    return {name: _rounded(values) for name, values in arrays.items()}


def _arrays(lists: Mapping[str, Any]) -> dict[str, FloatArray]:
    return {name: np.array(values, np.float64) for name, values in lists.items()}
