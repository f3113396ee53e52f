"""Make pretrained agents of the runs of a sweep.

The runs of a cell differ by their seed alone. Those that are complete enter the record; the policy
of the median is exported without its critic, and in half precision if that changes none of its
scores by more than a tenth of the score's standard error. The record holds what the exported policy
gets, so that `rl3 evaluate` gives the same numbers again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.pretrained.cells import complete_runs
from rl3_sb3.experiments.pretrained.record import (
    PLAYS,
    RECORD_FILE,
    CellRecord,
    SeedRecord,
    by_step_of,
    read_record,
    returns_of,
)
from rl3_sb3.experiments.results.curves import learning_curve, wall_time
from rl3_sb3.experiments.results.evaluation import Evaluation, evaluate, mean_and_error
from rl3_sb3.experiments.results.statistics import median_index
from rl3_sb3.experiments.results.table import mean_label
from rl3_sb3.experiments.runs.atomic_file import replace_content
from rl3_sb3.experiments.runs.metrics import read_metrics
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.settings.command import command_of
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.experiments.sweeps.cell import Cell
from rl3_sb3.policy_files.folder import export_policy, load_policy

# Of a score's standard error: how much half precision may change the score.
_TOLERANCE = 0.1
# What agents that replace each other have in common.
_KIND = ("domain", "size", "algo", "horizon", "variation", "recipe")


def publish_sweep(sweep: Path, out: Path) -> Iterator[tuple[CellRecord, int]]:
    """Publish all cells of a sweep that have a complete run.

    Args:
        sweep: Its folder.
        out: Where the folders of the cells go; those of the same names are replaced.

    Yields:
        Each cell's record, and how many of its runs are still missing.

    Raises:
        InputError: There is no sweep, or it has no complete run; or the runs of a cell do not
            belong together, see `complete_runs`; or another agent lies where a cell goes; or the
            stored scores are not those of the policy.
    """
    n_published = 0
    for name, cells, n_missing in complete_runs(sweep):
        n_published += 1
        yield _publish(name, cells, sweep, out), n_missing
    if n_published == 0:
        raise InputError(
            f"`SWEEP` must have a complete run, got {sweep} without one. Go on with `rl3 sweep`."
        )


def _publish(name: str, cells: Sequence[Cell], sweep: Path, out: Path) -> CellRecord:
    target = out / name
    _clear(target, cells[0].config)
    runs = {cell.config.seed: _read_run(cell, sweep) for cell in cells}
    trained_on = cells[0].config.variation
    means = {seed: run.mean(trained_on, PLAYS[0]) for seed, run in runs.items()}
    exported = list(means)[median_index(list(means.values()))]
    chosen = next(cell for cell in cells if cell.config.seed == exported)
    source = RunDirectory(sweep / chosen.name)
    weights, evaluations = _export(source, chosen, target)
    runs[exported] = replace(runs[exported], **_scores(evaluations))
    replace_content(target / source.config_file.name, source.config_file.read_bytes())
    record = CellRecord(
        name=name,
        settings=chosen.config.to_dict(),
        exported=exported,
        weights=weights,
        oracle={each.variation: each.oracle for each in evaluations},
        runs=[runs[seed] for seed in sorted(runs)],
    )
    record.write(target)
    return record


def _clear(target: Path, config: RunConfig) -> None:
    """Make the folder, without what an earlier agent of the same kind left there.

    Raises:
        InputError: It holds an agent of another kind.
    """
    target.mkdir(parents=True, exist_ok=True)
    if (target / RECORD_FILE).is_file():
        before = read_record(target).settings
        for name, value in config.to_dict().items():
            if name in _KIND and before.get(name) != value:
                raise InputError(
                    f"`{target}` must be free or hold an agent of the same `{name}`, got "
                    f"{before.get(name)!r} there and {value!r} now. Choose another --out."
                )
    # Also what `rl3 evaluate` wrote of the earlier policy; and a record beside another policy would
    # be wrong, should this end early.
    for file in (target / RECORD_FILE, *target.glob("evaluation*.json")):
        file.unlink(missing_ok=True)


def _read_run(cell: Cell, sweep: Path) -> SeedRecord:
    directory = RunDirectory(sweep / cell.name)
    rows = read_metrics(directory.metrics_file)
    found = [cell.evaluation(sweep, variation) for variation in cell.variations]
    evaluations = [each for each in found if each is not None]
    return SeedRecord(
        seed=cell.config.seed,
        command=command_of(cell.config),
        provenance=directory.read_provenance(),
        n_steps=evaluations[0].n_training_steps,
        seconds=wall_time(rows),
        curve=learning_curve(rows),
        **_scores(evaluations),
    )


def _scores(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    return {
        "returns": {each.variation: returns_of(each) for each in evaluations},
        "by_step": {each.variation: by_step_of(each) for each in evaluations},
    }


def _export(source: RunDirectory, cell: Cell, target: Path) -> tuple[str, list[Evaluation]]:
    """Export the policy; return the type of its weights, and what the exported policy gets."""
    policy = load_policy(source.policy_folder, "cpu")
    folder = RunDirectory(target).policy_folder
    before = [_read_evaluation(source, variation) for variation in cell.variations]
    after: list[Evaluation] = []
    for weights in ("float16", "float32"):
        export_policy(policy, folder, actor_only=True, weights=weights)
        after = [
            evaluate(
                cell.config,
                load_policy(folder, "cpu"),
                n_training_steps=each.n_training_steps,
                n_tasks=cell.n_tasks,
                variation=each.variation,
            )
            for each in before
        ]
        if all(_is_close(a, b) for a, b in zip(after, before, strict=True)):
            break
    else:
        raise InputError(
            f"`{source.path}` must hold evaluations of its policy by this code, got scores that "
            "its policy does not get again. Delete its evaluation*.json, and go on with `rl3 "
            "sweep`."
        )
    assert policy.training_record is not None, "set by load_policy"
    told = replace(policy.training_record, results=_results(after))
    export_policy(policy, folder, record=told, actor_only=True, weights=weights)
    return weights, after


def _results(evaluations: Sequence[Evaluation]) -> dict[str, str]:
    """Return the scores in words, for the model card."""
    return {
        f"total reward, {each.variation}, {play}": mean_label(
            *mean_and_error(each.score_of(play).returns)
        )
        for each in evaluations
        for play in PLAYS
    }


def _read_evaluation(source: RunDirectory, variation: str) -> Evaluation:
    found = source.read_evaluation(variation)
    assert found is not None, "the run is complete"
    return found


def _is_close(one: Evaluation, other: Evaluation) -> bool:
    """Return whether the scores of a policy differ by less than the tolerance."""
    for play in PLAYS:
        mean, error = mean_and_error(other.score_of(play).returns)
        if abs(float(np.mean(one.score_of(play).returns)) - mean) > _TOLERANCE * error:
            return False
    return True
