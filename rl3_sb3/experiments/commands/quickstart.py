"""Compare RL2 and RL3 in minutes: `rl3 quickstart`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser(
        "quickstart", help="compare RL2 and RL3 on random MDPs, in a few minutes on two cores"
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="a new folder, or that of an earlier quickstart to continue (default: rl3-quickstart, "
        "or rl3-quickstart-2, ... if that has another seed or size)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of both runs (%(default)s)")
    parser.add_argument("--smoke", action="store_true", help="tiny runs, to test the installation")
    parser.set_defaults(command=_quickstart)


def _quickstart(options: argparse.Namespace) -> int:
    from rl3_sb3.experiments.quickstart import FULL, SMOKE, default_folder, quickstart

    size = SMOKE if options.smoke else FULL
    out = options.out or default_folder(size, options.seed)
    print(f"RL² and RL³, {size.n_steps:,} training steps each, into {out}", file=sys.stderr)
    print("(the first time, compiling takes about 20 s more)", file=sys.stderr)
    table, signal = quickstart(out, size, options.seed)
    if signal is not None:
        print("run the same command again to continue")
        return 128 + signal
    print(table)
    print(f"\npicture: {out / 'quickstart.png'}\nruns:    {out / 'rl2'}, {out / 'rl3'}")
    return 0
