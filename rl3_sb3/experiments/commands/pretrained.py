"""List trained agents: `rl3 pretrained`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from vamdp.shell import quoted


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser("pretrained", help="list trained agents with their scores")
    parser.add_argument(
        "dir",
        type=Path,
        nargs="?",
        default=Path("pretrained"),
        metavar="DIR",
        help="folder of the agents (%(default)s)",
    )
    parser.set_defaults(command=_pretrained)


def _pretrained(options: argparse.Namespace) -> None:
    from rl3_sb3.experiments.pretrained.listing import pretrained_table

    print(pretrained_table(options.dir))
    print(
        "\nTotal rewards in the held-out tasks, mean ± standard error over the tasks, of the seed "
        "whose policy it is.\nAll seeds are in record.json. Evaluate one: rl3 evaluate "
        f"{quoted(options.dir / 'AGENT')} (grids and lakes also: rl3 play)"
    )
