"""Join new runs with those in the record of a pretrained agent.

Seeds of one agent may be trained in several places: what is left of the earlier ones is their
record and one policy. They belong together where all settings but the seed are the same, and where
they played the same held-out tasks.

That policy is the record's only if it says so itself: a publication that was killed leaves a new
policy beside the record before, and files get lost.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.pretrained.listing import settings_of
from rl3_sb3.experiments.pretrained.record import CellRecord, FloatArray, read_record
from rl3_sb3.experiments.results.statistics import median_index
from rl3_sb3.experiments.runs.run_directory import RECORD_FILE, RunDirectory
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.policy_files.folder import load_policy
from rl3_sb3.policy_files.strict_json import PolicyFileError

# The oracle's expected totals are stored with three decimals.
_ROUNDING = 0.001


def earlier_record(
    folder: Path, config: RunConfig, oracle: Mapping[str, FloatArray]
) -> CellRecord | None:
    """Return the record that new runs join, or None if there is none.

    Args:
        folder: Folder of the pretrained agent.
        config: The settings of the new runs, with any seed.
        oracle: Variation -> the oracle's expected total in each task.

    Raises:
        InputError: The recorded runs have other settings or played other tasks.
    """
    if not (folder / RECORD_FILE).is_file():
        return None
    record = read_record(folder)
    there = RunConfig.from_dict(record.settings, source=str(folder / RECORD_FILE)).flat()
    now = config.flat()
    for name in sorted(there.keys() | now.keys()):
        if name != "seed" and there.get(name) != now.get(name):
            raise _misfit(folder, name, there.get(name), now.get(name))
    if record.oracle.keys() != oracle.keys():
        raise _misfit(folder, "evaluation.variations", [*record.oracle], [*oracle])
    for variation, totals in record.oracle.items():
        if totals.size != oracle[variation].size:
            raise _misfit(folder, "evaluation.tasks", totals.size, oracle[variation].size)
        if not np.allclose(totals, oracle[variation], rtol=0, atol=_ROUNDING, equal_nan=True):
            raise InputError(
                f"`{folder}` must hold scores in the same {variation} tasks, got others: the "
                "domain draws other tasks now. Choose another --out, or move the folder away."
            )
    return record


def has_its_policy(folder: Path, record: CellRecord) -> bool:
    """Return whether the policy beside a record can be read, and is of the run that it names.

    Args:
        folder: Of the pretrained agent.
        record: That lies in it.
    """
    try:
        policy = load_policy(RunDirectory(folder).policy_folder, "cpu")
    except PolicyFileError:
        return False
    told = policy.training_record
    assert told is not None, "set by load_policy"
    config = settings_of(record)
    run = (config.environment_seed, record.exported_run.n_steps)
    return config.seed == record.exported and (told.seed, told.n_steps) == run


def seed_to_export(means: Mapping[int, float], at_hand: Collection[int]) -> int:
    """Return the seed with the median score, or the nearest one whose policy is available.

    Args:
        means: Each seed's score.
        at_hand: The seeds whose policy is available.

    Example:
        >>> seed_to_export({0: 71.0, 1: 75.0, 2: 74.0}, [0, 1])
        1
    """
    seeds = sorted(means)
    median = seeds[median_index([means[seed] for seed in seeds])]
    # Among equal scores, prefer the median itself.
    return min(at_hand, key=lambda s: (abs(means[s] - means[median]), s != median, s))


def _misfit(folder: Path, name: str, there: object, now: object) -> InputError:
    return InputError(
        f"`{folder}` must be empty or hold an agent of the same `{name}`, got {there!r} there and "
        f"{now!r} now. Choose another --out, or move the folder away."
    )
