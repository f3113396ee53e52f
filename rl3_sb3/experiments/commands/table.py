"""Compare evaluated runs: `rl3 table`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser("table", help="print a table of evaluated runs")
    parser.add_argument(
        "dirs", type=Path, nargs="+", metavar="DIR", help="folders of runs or sweeps"
    )
    parser.set_defaults(command=_table)


def _table(options: argparse.Namespace) -> None:
    from rl3_sb3.experiments.results.table import evaluated_runs, runs_table

    # A pattern such as runs/* may match other folders too. They are errors only if no run is left.
    found = {path: evaluated_runs(path) for path in options.dirs}
    evaluated = [run for runs in found.values() for run in runs]
    left_out = [str(path) for path, runs in found.items() if not runs]
    print(runs_table(evaluated or options.dirs))
    if evaluated and left_out:
        print(f"left out, without an evaluated run: {', '.join(left_out)}", file=sys.stderr)
