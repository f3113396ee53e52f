"""`rl3 sweep`: start or continue a sweep, and write its table."""

from __future__ import annotations

import importlib.util
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.files.atomic_file import replace_content
from rl3_sb3.experiments.machine import RUN_MEMORY, n_runs_at_a_time
from rl3_sb3.experiments.runs.progress import step_progress
from rl3_sb3.experiments.runs.stop_signals import StopSignals
from rl3_sb3.experiments.sweeps.cell import Cell, Order, Outcome
from rl3_sb3.experiments.sweeps.folder import SweepFolder
from rl3_sb3.experiments.sweeps.local import LocalWorkers
from rl3_sb3.experiments.sweeps.results import Row, result_rows, results_csv, results_table
from rl3_sb3.experiments.sweeps.schedule import Workers, run_cells
from rl3_sb3.experiments.sweeps.specification import check_starts, parse_sweep, sweep_content
from rl3_sb3.experiments.sweeps.watching import SweepBars
from vamdp.shell import install_command


def sweep_command(
    file: Path,
    out: Path,
    *,
    ray_address: str | None,
    n_jobs: int | None,
    run_memory: float,
    save_every: float,
    only: str | Sequence[str] | None = None,
) -> int:
    """Run the cells that are not complete, and print the table of all cells.

    Args:
        file: See `specification`.
        out: The sweep's folder.
        ray_address: Address of a Ray cluster; None: run the cells on this machine.
        n_jobs: Number of cells at a time; None: as many as fit.
        run_memory: Bytes of memory per cell.
        save_every: Seconds between two checkpoints of a cell.
        only: Run only the cells whose names match this shell pattern, or one of these; None: all.
            The table always contains all cells.

    Returns:
        0 if all selected cells are complete, 1 if some have failed, 128 + the number of the signal
        that stopped the sweep.

    Raises:
        InputError: The sweep cannot be run like this.
    """
    if ray_address is not None and importlib.util.find_spec("ray") is None:
        raise InputError(
            f"`--ray` needs Ray, got {ray_address!r} without it. Run "
            f"{install_command('sb3,cluster')}, or leave --ray out to run the cells here."
        )
    content = sweep_content(file)
    cells = parse_sweep(content, str(file))
    wanted = _matching(cells, [only] if isinstance(only, str) else only)
    folder = SweepFolder(out)
    check_starts([cell.config for cell in wanted if not cell.has_begun(folder.path)], str(file))
    with folder.opened(content, cells, save_every) as order:
        n_before = sum(not cell.missing_variations(order.out) for cell in wanted)
        cells_in_words = "1 cell" if len(wanted) == 1 else f"{len(wanted)} cells"
        print(f"{cells_in_words}, {n_before} of them complete: {folder.path}", flush=True)
        failed: Mapping[str, Outcome] = {}
        received = None
        if n_before < len(wanted):
            # The cluster decides how many fit.
            most = len(wanted) if ray_address is not None else n_runs_at_a_time(run_memory)
            n_at_a_time = min(n_jobs or most, len(wanted) - n_before)
            print(f"at most {n_at_a_time} at a time", flush=True)
            failed, received = run_sweep(
                wanted, order, n_at_a_time, ray_address=ray_address, run_memory=run_memory
            )
        for cell in wanted:
            folder.remove_error(cell.name)
        _report(folder, cells, wanted, failed)
        if only is not None:
            n_done = sum(not cell.missing_variations(order.out) for cell in wanted)
            print(f"of those asked for, {n_done} of {len(wanted)} are complete")
    if received is not None:
        return 128 + received
    return 1 if failed else 0


def _matching(cells: Sequence[Cell], patterns: Sequence[str] | None) -> list[Cell]:
    """Return the cells whose names match a pattern, in their order; without patterns, all."""
    if patterns is None:
        return [*cells]
    for pattern in patterns:
        if not any(fnmatchcase(cell.name, pattern) for cell in cells):
            raise InputError(
                f"`--only` must match the name of a cell, got {pattern!r}; there are "
                f"{', '.join(cell.name for cell in cells)}."
            )
    return [cell for cell in cells if any(fnmatchcase(cell.name, each) for each in patterns)]


def run_sweep(
    cells: Sequence[Cell],
    order: Order,
    n_at_a_time: int,
    *,
    ray_address: str | None = None,
    run_memory: float = RUN_MEMORY,
) -> tuple[dict[str, Outcome], signal.Signals | None]:
    """Run cells, with progress bars, until all are complete or failed, or a signal arrives.

    Args:
        cells: See `run_cells`.
        order: See `run_cells`.
        n_at_a_time: See `run_cells`.
        ray_address: See `sweep_command`.
        run_memory: See `sweep_command`.

    Returns:
        Name of each failed cell -> its outcome, and the signal.
    """
    with ExitStack() as stack:
        workers: Workers
        if ray_address is None:
            workers = stack.enter_context(LocalWorkers(order))
        else:
            from rl3_sb3.experiments.sweeps.on_ray import RayWorkers

            workers = stack.enter_context(RayWorkers(ray_address, order, run_memory))
        # After Ray, which installs its own handler.
        signals = stack.enter_context(StopSignals())
        bars = SweepBars(stack.enter_context(step_progress()), cells, order.out)
        failed = run_cells(
            cells, order, workers, bars, n_at_a_time=n_at_a_time, asked=signals.asked
        )
    return failed, signals.received


def _report(
    folder: SweepFolder,
    cells: Sequence[Cell],
    wanted: Sequence[Cell],
    failed: Mapping[str, Outcome],
) -> None:
    """Write the table and the missing cells; print them without the cells nobody asked for."""
    missing = {
        cell.name: f"- {_whats_missing(cell, folder, failed)}\n"
        for cell in cells
        if cell.missing_variations(folder.path)
    }
    told = [missing[cell.name] for cell in wanted if cell.name in missing]
    if n_others := len(missing) - len(told):
        told.append(f"- {n_others} that --only left out, listed in {folder.table_file.name}\n")
    rows = result_rows(cells, folder.path)
    replace_content(folder.table_file, _text(rows, missing.values()).encode())
    replace_content(folder.csv_file, results_csv(rows).encode())
    print(f"\n{_text(rows, told)}\nstored: {folder.table_file}, {folder.csv_file.name}")
    for name, outcome in failed.items():
        details = folder.write_error(name, f"{outcome.reason}\n\n{outcome.details}")
        print(f"rl3: error: {name}: {outcome.reason} ({details})", file=sys.stderr)
    if missing:
        print("run the same command again to retry what is missing", file=sys.stderr)


def _text(rows: Sequence[Row], notes: Iterable[str]) -> str:
    listed = "".join(notes)
    missing = f"\nMissing:\n\n{listed}" if listed else ""
    return f"{results_table(rows)}\n\n{_MEANING}\n{missing}"


_MEANING = (
    "Total reward: mean over the seeds ± standard error of that mean. A seed's score is its mean "
    "over the held-out tasks."
)


def _whats_missing(cell: Cell, folder: SweepFolder, failed: Mapping[str, Outcome]) -> str:
    if cell.name in failed:
        return f"{cell.name} failed: {failed[cell.name].reason}"
    n_steps, n_evaluations = cell.progress(folder.path)
    return (
        f"{cell.name}: {n_steps:,} of {cell.config.total_steps:,} steps, {n_evaluations} of "
        f"{len(cell.variations)} evaluations"
    )
