"""`rl3 table`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser("table", help="compare evaluated runs")
    parser.add_argument("dirs", type=Path, nargs="+", metavar="DIR", help="folders of runs")
    parser.set_defaults(command=_table)


def _table(options: argparse.Namespace) -> None:
    from rl3_sb3.experiments.table import runs_table

    # A pattern such as runs/* matches other things too; they are errors only where nothing is left.
    evaluated = [path for path in options.dirs if any(path.glob("evaluation*.json"))]
    left_out = [str(path) for path in options.dirs if path not in evaluated]
    print(runs_table(evaluated or options.dirs))
    if evaluated and left_out:
        print(f"left out, never evaluated: {', '.join(left_out)}", file=sys.stderr)
