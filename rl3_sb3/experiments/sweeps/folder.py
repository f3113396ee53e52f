"""The folder of a sweep.

    sweep.toml                 the sweep file; it may grow
    random-mdp-h100-rl3-s0/    one run per cell
    results.md, results.csv    the table
    errors/                    the errors of failed cells, one file each
    lock                       held by the command that runs the sweep
    .driver-1f3a...            see `cell`

A sweep continues when the same file is given again. A file with more seeds, tasks or domains makes
it grow. A file that lacks a stored cell, or changes its settings, is an error, because the table
would silently change its meaning.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.files.atomic_file import leftovers, remove_leftovers, replace_content
from rl3_sb3.experiments.files.folder_lock import LOCK_NAME, FolderLock
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.sweeps.cell import Cell, Order
from rl3_sb3.experiments.sweeps.specification import parse_sweep

_TOKEN_STEM = ".driver-"


@contextmanager
def driving(
    out: Path, save_every: float, own_code: Sequence[tuple[str, str]] = ()
) -> Iterator[Order]:
    """Create the order for the workers in a folder, which no other command may use meanwhile.

    Args:
        out: The folder; it must exist.
        save_every: For the order.
        own_code: For the order.

    Returns:
        The order. Its token exists until it is withdrawn or the block ends.

    Raises:
        InputError: Another command works there.
    """
    with FolderLock(out).held():
        for lost in driver_files(out):
            if lost.name != LOCK_NAME:
                lost.unlink()
        token = out / f"{_TOKEN_STEM}{secrets.token_hex(8)}"
        token.touch()
        try:
            yield Order(out, token, save_every, tuple(own_code))
        finally:
            token.unlink(missing_ok=True)


def driver_files(out: Path) -> list[Path]:
    """Return the files that a command leaves if it is killed within `driving`."""
    return [out / LOCK_NAME, *out.glob(f"{_TOKEN_STEM}*")]


class SweepFolder:
    """Reads and writes the files of a whole sweep.

    Args:
        path: The folder; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        # Absolute, because nodes of a cluster work in other folders.
        self.path = path.resolve()
        self.sweep_file = self.path / "sweep.toml"
        self.table_file = self.path / "results.md"
        self.csv_file = self.path / "results.csv"
        self._errors = self.path / "errors"

    @contextmanager
    def opened(self, content: bytes, cells: Sequence[Cell], save_every: float) -> Iterator[Order]:
        """Start or continue the sweep; see `driving`.

        Args:
            content: Content of the sweep file.
            cells: The cells in it.
            save_every: For the order.

        Raises:
            InputError: The folder belongs to something else or another sweep, or is in use.
        """
        self._check_new_or_sweep()
        self.path.mkdir(parents=True, exist_ok=True)
        with driving(self.path, save_every, _own_code(cells)) as order:
            self._check_agreement(cells)
            remove_leftovers(self.path, self.sweep_file.name)
            replace_content(self.sweep_file, content)
            yield order

    def write_error(self, name: str, text: str) -> Path:
        """Store the error of a cell and return the file."""
        self._errors.mkdir(exist_ok=True)
        file = self._errors / f"{name}.txt"
        replace_content(file, text.encode())
        return file

    def remove_error(self, name: str) -> None:
        """Remove the file that `write_error` stored, if there is one."""
        (self._errors / f"{name}.txt").unlink(missing_ok=True)

    def _check_new_or_sweep(self) -> None:
        if self.sweep_file.is_file():
            return
        known = {*driver_files(self.path), *leftovers(self.path, self.sweep_file.name)}
        found = self.path.iterdir() if self.path.is_dir() else ()
        if self.path.is_file() or not known.issuperset(found):
            raise InputError(
                f"`--out` must be a new folder, an empty one or a sweep's, got {self.path}, which "
                f"has no {self.sweep_file.name}. Choose another one."
            )

    def _check_agreement(self, cells: Sequence[Cell]) -> None:
        """Raise InputError if the cells lack or contradict stored ones."""
        if not self.sweep_file.is_file():
            return
        given = {cell.name: cell for cell in cells}
        for stored in parse_sweep(self.sweep_file.read_bytes(), str(self.sweep_file)):
            now = given.get(stored.name)
            if now is None:
                raise InputError(
                    f"`FILE` must have the cell {stored.name}, which {self.sweep_file} has, got "
                    "none. A sweep may only grow: put it back, or choose another --out."
                )
            for name, before, after in _contradictions(stored, now):
                raise InputError(
                    f"`{name}` of {stored.name} must be {before} as in {self.sweep_file}, got "
                    f"{after}. Put it back, or choose another --out."
                )
            self._check_run(now)

    def _check_run(self, cell: Cell) -> None:
        """Raise InputError if a cell has begun with other settings, such as former defaults."""
        file = RunDirectory(self.path / cell.name).config_file
        if not file.exists():
            return
        before, now = file.read().flat(), cell.config.flat()
        for name in before:
            # A run that was prolonged by hand says so when it goes on.
            if name != "iterations" and before[name] != now.get(name):
                raise InputError(
                    f"`{name}` of {cell.name} must be {before[name]} as in {file.path}, got "
                    f"{now.get(name, 'none')}. Set it in FILE and in "
                    f"{self.sweep_file}, or choose another --out."
                )


def _own_code(cells: Sequence[Cell]) -> list[tuple[str, str]]:
    """Return the tasks and learners of cells that are named as MODULE:NAME, after the setting."""
    names = [
        (setting, name)
        for config in (cell.config for cell in cells)
        for setting, name in (("domain", config.domain), ("estimator", config.estimator))
        if name is not None and ":" in name
    ]
    return [*dict.fromkeys(names)]


def _contradictions(stored: Cell, now: Cell) -> Iterator[tuple[str, object, object]]:
    """Yield name, stored value and given value of each change that is not allowed."""
    before, after = stored.config.flat(), now.config.flat()
    for name in before:
        if before[name] != after.get(name):
            yield name, before[name], after.get(name, "none")
    if now.n_tasks < stored.n_tasks:
        yield "evaluation.tasks", f"at least {stored.n_tasks}", now.n_tasks
    for variation in stored.variations:
        if variation not in now.variations:
            yield "evaluation.variations", f"with {variation}", list(now.variations)
