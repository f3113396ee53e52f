"""Make pretrained agents from the runs of a sweep.

The runs of a cell differ only in their seed. Complete runs are added to the record. If there is one
already, its runs with the same seeds are replaced, and the others stay with their scores, even if
their folders are gone.

The exported policy is that of the median seed, or of the nearest seed whose policy is available: in
the sweep, or exported before. It has no critic, and half precision if that changes none of its
scores by more than a tenth of the score's standard error. The record holds the scores of the
exported policy, so that `rl3 evaluate` reproduces them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.evaluation import evaluate
from rl3_sb3.experiments.evaluation.scores import PLAYS, Evaluation, mean_and_error
from rl3_sb3.experiments.files.atomic_file import replace_content
from rl3_sb3.experiments.pretrained.cells import complete_runs
from rl3_sb3.experiments.pretrained.joining import (
    earlier_record,
    has_its_policy,
    seed_to_export,
)
from rl3_sb3.experiments.pretrained.record import (
    CellRecord,
    FloatArray,
    SeedRecord,
    by_step_of,
    returns_of,
)
from rl3_sb3.experiments.results.curves import learning_curve, wall_time
from rl3_sb3.experiments.results.table import score_label
from rl3_sb3.experiments.runs.metrics import read_metrics
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.settings.command import command_of
from rl3_sb3.experiments.sweeps.cell import Cell
from rl3_sb3.policy_files.folder import check_target, export_policy, load_policy

# Largest change of a score by half precision, in units of the score's standard error.
_TOLERANCE = 0.1


def check_sweeps(sweeps: Sequence[Path]) -> None:
    """Raise InputError unless all folders are those of sweeps."""
    for sweep in sweeps:
        next(complete_runs(sweep), None)


def publish_sweep(sweep: Path, out: Path) -> Iterator[tuple[CellRecord, int]]:
    """Publish all cells of a sweep that have a complete run.

    Args:
        sweep: The sweep's folder.
        out: Folder of the cells' folders. Existing records are extended.

    Yields:
        Each cell's record, and the number of its runs that are missing.

    Raises:
        InputError: There is no sweep, or no complete run; the runs of a cell do not belong
            together, see `complete_runs`; a cell's folder has an agent with other settings or
            tasks; or the stored scores are not those of the policy.
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
    try:  # before policies are played again
        check_target(RunDirectory(target).policy_folder)
    except ValueError as error:
        raise InputError(str(error)) from error
    runs = {cell.config.seed: _read_run(cell, sweep) for cell in cells}
    before = earlier_record(target, cells[0].config, _oracle(_evaluations(cells[0], sweep)))
    everyone = {} if before is None else {run.seed: run for run in before.runs}
    everyone |= runs
    _check_one_start(name, everyone)
    trained_on = cells[0].config.variation
    means = {seed: run.mean(trained_on, PLAYS[0]) for seed, run in everyone.items()}
    at_hand = {*runs}
    if before is not None and has_its_policy(target, before):
        at_hand.add(before.exported)
    exported = seed_to_export(means, at_hand)
    if before is not None and exported not in runs:  # its policy lies there
        record = replace(before, runs=_by_seed(everyone))
        record.write(target)
        return record
    chosen = next(cell for cell in cells if cell.config.seed == exported)
    source = RunDirectory(sweep / chosen.name)
    target.mkdir(parents=True, exist_ok=True)
    weights, evaluations = _export(source, chosen, target)
    everyone[exported] = replace(everyone[exported], **_scores(evaluations))
    replace_content(target / source.config_file.path.name, source.config_file.path.read_bytes())
    for file in target.glob("evaluation*.json"):  # from `rl3 evaluate`, of an earlier policy
        file.unlink()
    record = CellRecord(
        name=name,
        settings=chosen.config.to_dict(),
        exported=exported,
        weights=weights,
        oracle=_oracle(evaluations),
        runs=_by_seed(everyone),
    )
    record.write(target)
    return record


def _by_seed(runs: Mapping[int, SeedRecord]) -> list[SeedRecord]:
    return [runs[seed] for seed in sorted(runs)]


def _oracle(evaluations: Sequence[Evaluation]) -> dict[str, FloatArray]:
    return {each.variation: each.oracle for each in evaluations}


def _evaluations(cell: Cell, sweep: Path) -> list[Evaluation]:
    found = [cell.evaluation(sweep, variation) for variation in cell.variations]
    return [each for each in found if each is not None]


def _read_run(cell: Cell, sweep: Path) -> SeedRecord:
    directory = RunDirectory(sweep / cell.name)
    rows = read_metrics(directory.metrics_file)
    evaluations = _evaluations(cell, sweep)
    return SeedRecord(
        seed=cell.config.seed,
        command=command_of(cell.config),
        provenance=directory.config_file.provenance(),
        n_steps=evaluations[0].n_training_steps + directory.config_file.n_steps_before(),
        seconds=wall_time(rows),
        curve=learning_curve(rows),
        start=directory.config_file.start(),
        **_scores(evaluations),
    )


def _check_one_start(name: str, runs: Mapping[int, SeedRecord]) -> None:
    """Raise InputError if runs of one agent started from different policies."""
    starts = {seed: (run.start or {}).get("weights") for seed, run in runs.items()}
    if len({*starts.values()}) > 1:
        raise InputError(
            f"`{name}` must be of runs that started from one policy, got others for the seeds "
            f"{', '.join(map(str, starts))}: what `start_from` names was trained on meanwhile. "
            "Train them again from the same policy."
        )


def _scores(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    return {
        "returns": {each.variation: returns_of(each) for each in evaluations},
        "by_step": {each.variation: by_step_of(each) for each in evaluations},
    }


def _export(source: RunDirectory, cell: Cell, target: Path) -> tuple[str, list[Evaluation]]:
    """Export the policy; return the type of its weights, and the exported policy's evaluations."""
    policy = load_policy(source.policy_folder, "cpu")
    before = [_read_evaluation(source, variation) for variation in cell.variations]
    after: list[Evaluation] = []
    for weights in ("float16", "float32"):
        # Elsewhere first: if this fails, an earlier policy and its record stay consistent.
        with TemporaryDirectory() as elsewhere:
            export_policy(policy, Path(elsewhere, "policy"), actor_only=True, weights=weights)
            after = [
                evaluate(
                    cell.config,
                    load_policy(Path(elsewhere, "policy"), "cpu"),
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
            "its policy does not reproduce. Delete its evaluation*.json, and continue with `rl3 "
            "sweep`."
        )
    assert policy.training_record is not None, "set by load_policy"
    told = replace(policy.training_record, results=_results(after))
    folder = RunDirectory(target).policy_folder
    export_policy(policy, folder, record=told, actor_only=True, weights=weights)
    return weights, after


def _results(evaluations: Sequence[Evaluation]) -> dict[str, str]:
    """Return the scores as text for the model card."""
    return {
        f"total reward, {each.variation}, {play}": score_label(
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
    """Return whether the scores of a policy differ by at most the tolerance."""
    for play in PLAYS:
        mean, error = mean_and_error(other.score_of(play).returns)
        if abs(float(np.mean(one.score_of(play).returns)) - mean) > _TOLERANCE * error:
            return False
    return True
