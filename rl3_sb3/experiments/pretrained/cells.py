"""Group the runs of a sweep that make one pretrained agent: those that differ only in their seed.

The settings come from the runs' folders, because the meaning of the sweep file may have changed
since they were trained, for example with a recipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.pretrained.record import read_record
from rl3_sb3.experiments.runs.run_directory import RECORD_FILE, RunDirectory
from rl3_sb3.experiments.settings.recipes import RECIPES
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.experiments.sweeps.cell import Cell
from rl3_sb3.experiments.sweeps.folder import SweepFolder
from rl3_sb3.experiments.sweeps.specification import read_sweep

_OURS = "ours"


def complete_runs(sweep: Path) -> Iterator[tuple[str, list[Cell], int]]:
    """Yield name, complete runs and number of missing runs of each agent with a complete run.

    Args:
        sweep: The sweep's folder.

    Raises:
        InputError: There is no sweep; or runs of one agent differ in more than their seed, were
            prolonged, belong to tasks that the domain no longer draws, or were not evaluated in the
            tasks that they were trained on.
    """
    folder = SweepFolder(sweep)
    if not folder.sweep_file.is_file():
        raise InputError(
            f"`SWEEP` must be the folder of a sweep, got {sweep}, which has no "
            f"{folder.sweep_file.name}. Pass the --out of an earlier `rl3 sweep`."
        )
    groups: dict[str, list[Cell]] = {}
    for cell in read_sweep(folder.sweep_file):
        groups.setdefault(name_of(cell), []).append(cell)
    for name, cells in groups.items():
        found = [
            replace(cell, config=_trained_config(cell, folder.path))
            for cell in cells
            if not cell.missing_variations(folder.path)
        ]
        if found:
            _check_one_agent(name, found)
            yield name, found, len(cells) - len(found)


def name_of(cell: Cell) -> str:
    """Return the name of a pretrained agent's folder."""
    config = cell.config
    variant = "" if cell.variant == config.recipe else cell.variant
    # The recipe `ours` is left out, unless the variant has the name of another recipe.
    is_clear = config.recipe == _OURS and variant.split("-")[0] not in RECIPES
    words = [config.kind, str(config.horizon), config.algo, "" if is_clear else config.recipe]
    return "-".join(word for word in (*words, variant) if word)


def unpublished(cells: Iterable[Cell], pretrained: Path) -> list[Cell]:
    """Return the cells whose seed and settings no published agent has.

    Args:
        cells: The cells of a sweep.
        pretrained: Folder of published agents.

    Raises:
        InputError: A record cannot be read.
    """
    known: dict[str, tuple[dict[str, Any], set[int]]] = {}
    missing = []
    for cell in cells:
        name = name_of(cell)
        if name not in known:
            known[name] = _published(pretrained / name)
        settings, seeds = known[name]
        if cell.config.seed not in seeds or _without_seed(cell.config) != settings:
            missing.append(cell)
    return missing


def _published(folder: Path) -> tuple[dict[str, Any], set[int]]:
    """Return the settings and the seeds of a published agent; no seeds if there is none."""
    if not (folder / RECORD_FILE).is_file():
        return {}, set()
    record = read_record(folder)
    config = RunConfig.from_dict(record.settings, source=str(folder / RECORD_FILE))
    return _without_seed(config), {run.seed for run in record.runs}


def _without_seed(config: RunConfig) -> dict[str, Any]:
    return {name: value for name, value in config.flat().items() if name != "seed"}


def _trained_config(cell: Cell, sweep: Path) -> RunConfig:
    """Return the settings with which a run was trained.

    Raises:
        InputError: The run was prolonged, or its domain's tasks have changed.
    """
    directory = RunDirectory(sweep / cell.name)
    config = directory.config_file.read()
    if config.total_steps != cell.config.total_steps:
        raise InputError(
            f"`{directory.config_file.path}` must be of a run of {cell.config.total_steps:,} steps "
            f"as the sweep says, got {config.total_steps:,}: it was changed or prolonged. Move the "
            "folder away, and continue with `rl3 sweep`."
        )
    directory.config_file.require_same_tasks(config)
    return config


def _check_one_agent(name: str, cells: Sequence[Cell]) -> None:
    """Raise InputError unless the runs differ only in their seed and the median can be found."""
    first = cells[0]
    for cell in cells:
        one, other = first.config.flat(), cell.config.flat()
        for setting in sorted(one.keys() | other.keys()):
            if setting != "seed" and one.get(setting) != other.get(setting):
                raise InputError(
                    f"`{name}` must be of runs that differ by their seed alone, got "
                    f"{first.name} and {cell.name}, which differ in `{setting}`. Give the variants "
                    "other names, or publish sweeps of one each."
                )
    if first.config.variation not in first.variations:
        raise InputError(
            f"`SWEEP` must evaluate {name} in the {first.config.variation} tasks that it was "
            f"trained on, to find the median, got {', '.join(first.variations)} only. Add them "
            "to `evaluation.variations`, and continue with `rl3 sweep`."
        )
