"""Read the cells of a sweep from a TOML file.

    algorithms = ["rl2", "rl3"]
    seeds = [0, 1, 2]
    horizons = [100, 500]           # default: the domain's
    domains = [
        "random-mdp",
        {name = "gridworld", size = 13, horizons = [350], algorithms = ["rl2", "rl3-coarse"]},
    ]
    [settings]                      # for every run, as in `rl3 train --help`
    iterations = 40
    gae_lambda = "0.3:1@0.5"
    d_model = 32
    "estimator.gamma" = 0.95
    [evaluation]
    tasks = 1000
    variations = ["canonical"]      # default: those trained on
    [variants.paper]                # settings to compare; default: one variant without a name
    recipe = "paper"
    [variants.one-epoch]
    n_epochs = 1

Each domain is combined with each horizon, algorithm, variant and seed. An entry of `domains` may
have its own lists, settings and evaluation, which replace the ones above for this domain (settings
and evaluation key by key). So several entries may have the same domain, with another size,
variation or set of algorithms. The `variants` of an entry is a list of names; default: all. A
variant's settings take precedence over all others. Everything is checked before anything starts.
A relative `start_from` is relative to the folder where the command runs.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from rl3_sb3.experiments.domains import domain_of
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.evaluation import N_HELD_OUT_TASKS
from rl3_sb3.experiments.runs.learning_env import check_environments
from rl3_sb3.experiments.runs.start import check_start
from rl3_sb3.experiments.settings.filling import with_dots, with_one_entropy
from rl3_sb3.experiments.settings.run_config import (
    IDENTITY,
    RunConfig,
    check_integer,
    joined_settings,
)
from rl3_sb3.experiments.sweeps.cell import Cell

_LISTS = ("horizons", "algorithms", "seeds")
_TABLES = ("settings", "evaluation")
_VARIANTS = "variants"
_EVALUATION = ("tasks", "variations")


def read_sweep(file: Path) -> list[Cell]:
    """Return the cells of a sweep file: all of the first seed, then of the next, in file order.

    So the first comparison is complete long before the last run.

    Raises:
        InputError: The file is not valid; the message has the place, the value and a remedy.
    """
    return parse_sweep(sweep_content(file), str(file))


def sweep_content(file: Path) -> bytes:
    """Return the content of a sweep file.

    Raises:
        InputError: There is no such file, or it cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        reason = "it does not exist" if isinstance(error, FileNotFoundError) else error.strerror
        raise InputError(
            f"`FILE` must be a sweep's TOML file, got {file}: {reason}. examples/sweep.toml is one."
        ) from error


def parse_sweep(content: bytes, source: str) -> list[Cell]:
    """Return the cells of a sweep file's content, like `read_sweep`.

    Args:
        content: TOML in UTF-8, or with an encoding mark as written by editors on Windows.
        source: Name of the file, for errors.
    """
    try:
        values = tomllib.loads(_decoded(content))
    except ValueError as error:  # also a decoding error
        raise InputError(f"`{source}` must be a TOML file, got another: {error}.") from error
    try:
        cells = list(_cells(values))
        _check_environments(cells)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    return cells


def _decoded(content: bytes) -> str:
    """Return a file's text. Notepad and PowerShell begin it with a mark of its encoding."""
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_wide else "utf-8-sig")


def _check_environments(cells: Sequence[Cell]) -> None:
    """Raise InputError if the environments of a cell cannot be made; each kind is tried once."""
    seen = set()
    for cell in cells:
        config = cell.config
        tasks = (config.domain, config.size, config.variation, config.algo)
        kind = (*tasks, config.signal, config.critic_sees, config.gamma)
        if kind not in seen:
            seen.add(kind)
            check_environments(config)


def check_starts(configs: Sequence[RunConfig], source: str) -> None:
    """Raise InputError if a run that has not begun cannot start from the policy it names.

    Args:
        configs: Settings of these runs.
        source: Name of the sweep's file, for the error.
    """
    tried: list[RunConfig] = []
    for config in configs:
        if config.start_from is None or (start := replace(config, seed=0)) in tried:
            continue
        tried.append(start)
        try:
            check_start(start)
        except InputError as error:
            raise InputError(f"{source}: {error}") from error


def _cells(values: Mapping[str, Any]) -> Iterator[Cell]:
    _check_keys("", values, ("domains", _VARIANTS, *_LISTS, *_TABLES))
    seen: dict[str, str] = {}
    by_seed: dict[int, list[Cell]] = {}
    for i, entry in enumerate(_list("domains", values.get("domains"))):
        where = f"domains[{i}]"
        own = {"name": entry} if isinstance(entry, str) else entry
        if not isinstance(own, dict) or not isinstance(own.get("name"), str):
            raise InputError(
                f"`{where}` must be the name of a domain, or a table with `name`, got {entry!r}."
            )
        _check_keys(f"{where}.", own, ("name", "size", _VARIANTS, *_LISTS, *_TABLES))
        for cell in _cells_of_domain(where, values, own):
            if seen.get(cell.name) == where:
                raise InputError(
                    f"`{where}` must have one cell of each name, got {cell.name} twice: an "
                    "algorithm and a variant have the name of two others. Rename the variant."
                )
            if cell.name in seen:
                raise InputError(
                    f"`{where}` must differ from `{seen[cell.name]}`, got the cell {cell.name} in "
                    "both. Take it out of one."
                )
            seen[cell.name] = where
            by_seed.setdefault(cell.config.seed, []).append(cell)
    for cells in by_seed.values():
        yield from cells


def _cells_of_domain(
    where: str, shared: Mapping[str, Any], own: Mapping[str, Any]
) -> Iterator[Cell]:
    lists = []
    for key in _LISTS:
        place, values = (f"{where}.{key}", own) if key in own else (key, shared)
        # Only `horizons` may be left out.
        missing = key == "horizons" and key not in values
        lists.append([None] if missing else _list(place, values.get(key)))
    settings = with_one_entropy(_table("settings", where, shared, own, None))
    _check_no_identity("settings", settings)
    own_settings = with_dots(own.get("settings", {}))
    places = {n: f"{where}.settings" if n in own_settings else "settings" for n in settings}
    evaluation = _table("evaluation", where, shared, own, _EVALUATION)
    variants = _variants(where, shared, own)
    for horizon, algo, variant, seed in product(lists[0], lists[1], variants, lists[2]):
        varied = with_dots(variants[variant])
        try:
            config = RunConfig.of(
                own["name"],
                size=own.get("size"),
                horizon=horizon,
                algo=algo,
                seed=seed,
                **joined_settings(settings, varied),
            )
            yield _cell(config, variant, evaluation)
        except InputError as error:
            combination = f"algorithm {algo!r}, seed {seed!r}" + (
                "" if horizon is None else f", horizon {horizon!r}"
            )
            named = {**places, **dict.fromkeys(varied, f"variants.{variant}")}
            raise _placed(error, where, algo, combination, named) from error


def _placed(
    error: InputError, where: str, algo: str, combination: str, places: Mapping[str, str]
) -> InputError:
    """Return an error about a cell's settings with their place in the file.

    Args:
        error: The error of `RunConfig`.
        where: The entry of `domains`.
        algo: The cell's algorithm.
        combination: The cell in words.
        places: The table of each setting in the file.
    """
    # The argument that the error is about, if it names one.
    name = str(error).partition("`")[2].partition("`")[0]
    short = name.rpartition(".")[2]
    given = next((each for each in (name, short) if each in places), None)
    if given is not None:
        named = str(error).replace(name, f"{places[given]}.{given}", 1)
        return InputError(
            f"{named} (With {algo}; an entry of `domains` may have settings of its own.)"
        )
    if name == "domain":
        return InputError(str(error).replace(name, where, 1))
    return InputError(
        f"`{where}` does not go with {combination}: {error} An entry of `domains` may have "
        f"{', '.join((*_LISTS, *_TABLES))} of its own."
    )


def _variants(
    where: str, shared: Mapping[str, Any], own: Mapping[str, Any]
) -> Mapping[str, dict[str, Any]]:
    """Return the variants' settings by name; without variants, {"": {}}."""
    variants = shared.get(_VARIANTS, {})
    if not isinstance(variants, dict):
        raise InputError(f"`{_VARIANTS}` must be tables of settings by name, got {variants!r}.")
    for name, settings in variants.items():
        if not re.fullmatch(r"[\w-]+", name) or not isinstance(settings, dict):
            raise InputError(
                f"`{_VARIANTS}.{name}` must be a table named by letters, digits, _ and -, got "
                f"{settings!r}: results are stored under its name."
            )
        _check_no_identity(f"{_VARIANTS}.{name}", settings)
    if _VARIANTS not in own:
        return variants or {"": {}}
    place = f"{where}.{_VARIANTS}"
    for name in (chosen := _list(place, own[_VARIANTS])):
        if not isinstance(name, str) or name not in variants:
            known = ", ".join(variants) or "none"
            raise InputError(
                f"`{place}` must hold names of variants, got {name!r}; there are {known}."
            )
    return {name: variants[name] for name in chosen}


def _check_no_identity(place: str, settings: Mapping[str, Any]) -> None:
    for name in IDENTITY:
        if name in settings:
            raise InputError(
                f"`{place}.{name}` must be left out, got {settings[name]!r}: it belongs in "
                "`domains` or a list."
            )


def _cell(config: RunConfig, variant: str, evaluation: Mapping[str, Any]) -> Cell:
    n_tasks = evaluation.get("tasks", N_HELD_OUT_TASKS)
    check_integer("evaluation.tasks", n_tasks, 1)
    variations = [config.variation]
    if "variations" in evaluation:
        variations = _list("evaluation.variations", evaluation["variations"])
    for variation in variations:
        if not isinstance(variation, str):
            raise InputError(f"`evaluation.variations` must hold names, got {variation!r}.")
        domain_of(config.domain).check_variation(variation)
    agent = f"{config.algo}-{variant}" if variant else config.algo
    return Cell(
        name=f"{config.kind}-h{config.horizon}-{agent}-s{config.seed}",
        config=config,
        variant=variant,
        n_tasks=n_tasks,
        variations=tuple(variations),
    )


def _list(where: str, values: Any) -> list[Any]:
    if not isinstance(values, list) or not values:
        got = "none" if values is None else repr(values)
        raise InputError(f"`{where}` must be a list of at least one value, got {got}. Fill it in.")
    for value in values:
        if values.count(value) > 1:
            raise InputError(f"`{where}` must hold different values, got {value!r} twice.")
    return values


def _table(
    key: str,
    where: str,
    shared: Mapping[str, Any],
    own: Mapping[str, Any],
    known: Sequence[str] | None,
) -> dict[str, Any]:
    """Return a table of the file, changed by an entry of `domains`.

    Args:
        key: Key of the table.
        where: Name of the entry.
        shared: The file.
        own: The entry.
        known: Keys that the table may have; None: checked elsewhere.
    """
    joined: dict[str, Any] = {}
    for prefix, values in (("", shared), (f"{where}.", own)):
        table = values.get(key, {})
        if not isinstance(table, dict):
            raise InputError(f"`{prefix}{key}` must be a table, got {table!r}.")
        if known is not None:
            _check_keys(f"{prefix}{key}.", table, known)
        joined = joined_settings(joined, table) if known is None else joined | table
    return joined


def _check_keys(prefix: str, values: Mapping[str, Any], known: Sequence[str]) -> None:
    for key, value in values.items():
        if key not in known:
            raise InputError(
                f"`{prefix}{key}` must be left out, got {value!r}: known are {', '.join(known)}."
            )
