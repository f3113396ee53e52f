"""Train and evaluate many runs: `rl3 sweep`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.machine import GIB, RUN_MEMORY


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser(
        "sweep", help="train and evaluate many runs, here or on a Ray cluster, or continue them"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="TOML file that lists the runs")
    parser.add_argument("--out", type=Path, help="folder of the sweep (runs/NAME for NAME.toml)")
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="address of a running Ray cluster: HOST:PORT, or auto for this machine's cluster; "
        "every node must see the folder (default: run on this machine)",
    )
    parser.add_argument(
        "--jobs", type=int, help="cells to run at a time (default: what cores and memory allow)"
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="PATTERN",
        help="run only the cells whose names match, such as 'bandit-h500-*-s0'; may be repeated "
        "(default: all)",
    )
    parser.add_argument(
        "--memory",
        type=float,
        default=RUN_MEMORY / GIB,
        help="GiB of memory per cell (%(default)s)",
    )
    parser.add_argument(
        "--save-every",
        type=float,
        default=60.0,
        help="seconds between two checkpoints of a cell (%(default)s); 0: save after every "
        "iteration",
    )
    parser.set_defaults(command=_sweep)


def _sweep(options: argparse.Namespace) -> int:
    if options.jobs is not None and options.jobs < 1:
        raise InputError(f"`--jobs` must be at least 1, got {options.jobs}.")
    if not options.memory > 0:
        raise InputError(f"`--memory` must be above 0, got {options.memory}. Pass GiB.")
    if not options.save_every >= 0:
        raise InputError(
            f"`--save-every` must be at least 0, got {options.save_every}. Pass seconds."
        )
    from rl3_sb3.experiments.sweeps.command import sweep_command

    return sweep_command(
        options.file,
        options.out or Path("runs", options.file.stem),
        ray_address=options.ray,
        n_jobs=options.jobs,
        run_memory=options.memory * GIB,
        save_every=options.save_every,
        only=options.only,
    )
