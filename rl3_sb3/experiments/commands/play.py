"""Film meta-episodes: `rl3 play`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rl3_sb3.experiments.commands.options import add_machine, add_trust, add_variation, use_machine


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser(
        "play", help="film one run, or several side by side, in a held-out task"
    )
    parser.add_argument("dirs", type=Path, nargs="+", metavar="DIR", help="folders of runs")
    parser.add_argument(
        "--out", type=Path, default=Path("meta_episode.gif"), help="the GIF's file (%(default)s)"
    )
    parser.add_argument("--task", type=int, default=0, help="number of the task (%(default)s)")
    add_variation(parser)
    parser.add_argument("--fps", type=float, default=10.0, help="frames per second (%(default)s)")
    parser.add_argument(
        "--snapshots", type=int, default=0, help="also write a PNG with this many moments"
    )
    parser.add_argument("--counts", action="store_true", help="show visit counts")
    add_trust(parser)
    add_machine(parser)
    parser.set_defaults(command=_play)


def _play(options: argparse.Namespace) -> None:
    from rl3_sb3.experiments.films.play import PlayOptions, play_runs

    chosen = PlayOptions(
        out=options.out,
        task=options.task,
        variation=options.variation,
        fps=options.fps,
        snapshots=options.snapshots,
        show_counts=options.counts,
    )
    device = use_machine(options)
    for film in play_runs(options.dirs, chosen, device, trust_pickle=options.trust_pickle):
        print(f"{film.title}: total reward {film.total:g} in {film.horizon} steps")
    print(f"film: {chosen.out}")
    if chosen.snapshots:
        print(f"snapshots: {chosen.snapshots_file}")
