"""The folder of a sweep.

    sweep.toml                 what was asked for; it may grow
    random-mdp-h100-rl3-s0/    one run per cell
    results.md, results.csv    the table
    errors/                    what ended the cells that failed, a file each
    lock                       held by the command that runs the sweep
    .driver-1f3a...            see `cell`

A sweep goes on where it was when the same file is given again. A file with more in it, seeds or
tasks or whole domains, makes it grow; one that lacks a stored cell, or gives it other settings, is
refused: the table would silently mean something else.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.runs.atomic_file import leftovers, remove_leftovers, replace_content
from rl3_sb3.experiments.runs.folder_lock import LOCK_NAME, FolderLock
from rl3_sb3.experiments.sweeps.cell import Cell, Order
from rl3_sb3.experiments.sweeps.specification import parse_sweep

_TOKEN_STEM = ".driver-"


@contextmanager
def driving(out: Path, save_every: float) -> Iterator[Order]:
    """Drive cells in a folder; nobody else does within the block.

    Args:
        out: It must exist.
        save_every: For the order.

    Returns:
        The order for the workers, whose token exists until it is taken back or the block ends.

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
            yield Order(out, token, save_every)
        finally:
            token.unlink(missing_ok=True)


def driver_files(out: Path) -> list[Path]:
    """Return what a command that was killed in `driving` leaves."""
    return [out / LOCK_NAME, *out.glob(f"{_TOKEN_STEM}*")]


class SweepFolder:
    """Reads and writes what belongs to a sweep as a whole.

    Args:
        path: The folder; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        # Nodes of a cluster work in other folders.
        self.path = path.resolve()
        self.sweep_file = self.path / "sweep.toml"
        self.table_file = self.path / "results.md"
        self.csv_file = self.path / "results.csv"
        self._errors = self.path / "errors"

    @contextmanager
    def opened(self, content: bytes, cells: Sequence[Cell], save_every: float) -> Iterator[Order]:
        """Begin or continue the sweep; see `driving`.

        Args:
            content: Of the sweep file.
            cells: What it says.
            save_every: For the order.

        Raises:
            InputError: The folder is no sweep's, or another sweep's, or a command runs it.
        """
        self._check_new_or_sweep()
        self.path.mkdir(parents=True, exist_ok=True)
        with driving(self.path, save_every) as order:
            self._check_agreement(cells)
            remove_leftovers(self.path, self.sweep_file.name)
            replace_content(self.sweep_file, content)
            yield order

    def write_error(self, name: str, text: str) -> Path:
        """Store what ended a cell and return the file."""
        self._errors.mkdir(exist_ok=True)
        file = self._errors / f"{name}.txt"
        replace_content(file, text.encode())
        return file

    def remove_error(self, name: str) -> None:
        """Remove what `write_error` stored, if anything."""
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
        """Raise InputError if the cells lack, or contradict, what is stored."""
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


def _contradictions(stored: Cell, now: Cell) -> Iterator[tuple[str, object, object]]:
    """Yield name, stored and given value of what may not change so."""
    before, after = stored.config.flat(), now.config.flat()
    for name in before:
        if before[name] != after.get(name):
            yield name, before[name], after.get(name, "none")
    if now.n_tasks < stored.n_tasks:
        yield "evaluation.tasks", f"at least {stored.n_tasks}", now.n_tasks
    for variation in stored.variations:
        if variation not in now.variations:
            yield "evaluation.variations", f"with {variation}", list(now.variations)
