"""Draw learning curves: `rl3 curves`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from rl3_sb3.experiments.errors import InputError


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser("curves", help="draw the learning curves of runs")
    parser.add_argument(
        "dirs",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="folders of runs or sweeps; runs that differ only in their seed share a line",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("curves.png"), help="the picture's file (%(default)s)"
    )
    parser.add_argument(
        "--over", choices=("steps", "iterations"), default="steps", help="x axis (%(default)s)"
    )
    parser.add_argument(
        "--baselines",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a file from `rl3 baselines --json`, whose random agent, best other agent and oracle "
        "are drawn as lines; may be repeated (default: random agent and oracle of the runs' "
        "evaluations)",
    )
    parser.set_defaults(command=_curves)


def _curves(options: argparse.Namespace) -> None:
    from rl3_sb3.experiments.drawing import Figure
    from rl3_sb3.experiments.results.run_curves import draw_panels, find_runs, panels_of

    known = Figure().canvas.get_supported_filetypes()
    if options.out.suffix[1:].lower() not in known:
        raise InputError(f"`--out` must end in one of .{', .'.join(known)}, got {options.out}.")
    if not options.out.parent.is_dir():
        raise InputError(
            f"`--out` must be in an existing folder, got {options.out}. Create it first."
        )
    for path in options.dirs:
        if not path.is_dir():
            raise InputError(f"`DIR` must be the folder of a run or of a sweep, got {path}.")
    # A pattern such as runs/* may match other folders too. They are errors only if no run is left.
    found = {path: find_runs(path) for path in options.dirs}
    left_out = ", ".join(str(path) for path, runs in found.items() if not runs)
    runs = [run for group in found.values() for run in group]
    if not runs:
        raise InputError(
            f"`DIR` must be a run with at least one iteration, got {left_out}. Train it first: "
            "`rl3 train`."
        )
    panels = panels_of(runs, options.baselines)
    draw_panels(options.out, panels, options.over)
    for panel in panels:
        print(panel.title)
        for line in panel.lines:
            last = line.returns(panel.half).mean(axis=0)[-1]
            print(f"  {line.label}: {line.n_rows:,} iterations, {last:z.1f} in the end")
            longest = max(len(run.curve) for run in line.runs)
            if longest > line.n_rows:
                print(f"    (as many as all its seeds have; the longest run has {longest:,})")
    print(f"picture: {options.out}")
    if left_out:
        print(f"left out, without a run that has done an iteration: {left_out}", file=sys.stderr)
