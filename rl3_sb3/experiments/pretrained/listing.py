"""List pretrained agents, and print a recorded score beside a new evaluation."""

from __future__ import annotations

from pathlib import Path

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.evaluation import tasks_per_generator
from rl3_sb3.experiments.evaluation.scores import PLAYS, Evaluation, mean_and_error
from rl3_sb3.experiments.pretrained.record import CellRecord, SeedRecord, read_record
from rl3_sb3.experiments.results.table import aligned, score_label
from rl3_sb3.experiments.runs.run_directory import RECORD_FILE
from rl3_sb3.experiments.settings.run_config import RunConfig

_HEADER = (
    "agent",
    "trained on",
    "recipe",
    "signal",
    "steps",
    "seeds",
    "tasks",
    *PLAYS,
    "kB",
)


def read_records(folder: Path) -> dict[Path, CellRecord]:
    """Return the records of all pretrained agents in a folder, by the agents' folders.

    Raises:
        InputError: There are none, or one cannot be read.
    """
    files = sorted(folder.glob(f"*/{RECORD_FILE}"))
    if not files:
        raise InputError(
            f"`DIR` must hold pretrained agents, got {folder} without one. Run the command in a "
            "checkout of the repository, or pass the path of its folder pretrained/."
        )
    return {file.parent: read_record(file.parent) for file in files}


def pretrained_table(folder: Path) -> str:
    """Return a table of the pretrained agents in a folder, one row for each kind of tasks."""
    rows = []
    for place, record in read_records(folder).items():
        config = settings_of(record)
        size = sum(file.stat().st_size for file in (place / "policy").glob("policy.*"))
        run = record.exported_run
        first = [
            place.name,
            config.kind,
            config.recipe,
            config.signal,
            f"{run.n_steps:,}",
            str(len(record.runs)),
        ]
        for i, variation in enumerate(run.returns):
            own = first if i == 0 else [""] * len(first)
            last = str(round(size / 1000)) if i == 0 else ""
            rows.append([*own, variation, *(_score(run, variation, play) for play in PLAYS), last])
    return aligned(_HEADER, rows)


def recorded_line(folder: Path, evaluation: Evaluation) -> str:
    """Return the recorded scores in the tasks of an evaluation, as text; "" without a record."""
    if not (folder / RECORD_FILE).is_file():
        return ""
    record = read_record(folder)
    run = record.exported_run
    if evaluation.variation not in run.returns:
        return f"recorded: nothing in {evaluation.variation} tasks"
    n = len(evaluation.oracle)
    scores = []
    for play in PLAYS:
        returns = run.returns[evaluation.variation][play]
        mean = score_label(*mean_and_error(returns[:n]))
        scores.append(f"{mean} {play}")
    n_both = min(n, len(returns))
    line = f"recorded in the first {n_both} of these tasks: {', '.join(scores)}"
    unit = tasks_per_generator()
    if n_both % unit == 0 or n == len(returns):
        return line
    return f"{line}\n(Sampled actions are the same ones only in a multiple of {unit} tasks.)"


def settings_of(record: CellRecord) -> RunConfig:
    """Return the settings of the run whose policy is exported."""
    return RunConfig.from_dict(record.settings, source=record.name)


def _score(run: SeedRecord, variation: str, play: str) -> str:
    return score_label(*mean_and_error(run.returns[variation][play]))
