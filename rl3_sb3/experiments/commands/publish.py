"""Publish trained agents: `rl3 publish`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser(
        "publish", help="make pretrained agents and their records from complete runs of sweeps"
    )
    parser.add_argument("sweeps", type=Path, nargs="+", metavar="SWEEP", help="folders of sweeps")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("pretrained"),
        help="folder of the agents (%(default)s); new seeds are added to an existing record",
    )
    parser.set_defaults(command=_publish)


def _publish(options: argparse.Namespace) -> None:
    import torch as th

    from rl3_sb3.experiments.pretrained.publish import check_sweeps, publish_sweep

    th.set_num_threads(1)
    check_sweeps(options.sweeps)
    for sweep in options.sweeps:
        for record, n_missing in publish_sweep(sweep, options.out):
            missing = f" ({n_missing} runs of the sweep are missing)" if n_missing else ""
            print(
                f"{options.out / record.name}: {len(record.runs)} runs{missing}, the policy of "
                f"seed {record.exported} in {record.weights}",
                flush=True,
            )
