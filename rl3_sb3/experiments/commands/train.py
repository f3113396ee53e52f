"""`rl3 train`."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from rl3_sb3.experiments.commands.options import add_machine, use_machine, variations
from rl3_sb3.experiments.config import ALGORITHMS, RunConfig
from rl3_sb3.experiments.domains import CANONICAL, DOMAINS
from rl3_sb3.experiments.errors import InputError

# Options of `rl3 train` that are settings of the run. None: not given.
_RUN_OPTIONS = (
    "algo",
    "size",
    "variation",
    "horizon",
    "seed",
    "n_envs",
    "batch_size",
    "iterations",
    "cluster_terminals",
    "warm_start",
    "mixed_precision",
    "validate_every",
)


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser("train", help="train a run, or go on with it")
    parser.add_argument("domain", choices=DOMAINS)
    parser.add_argument("--algo", choices=ALGORITHMS, help="(rl3)")
    parser.add_argument("--size", type=int, help="of grids: 11 or 13, of lakes: 8 or 4 (the first)")
    parser.add_argument("--variation", help=f"which tasks ({CANONICAL}); {variations()}")
    parser.add_argument(
        "--horizon", type=int, help="steps of a meta-episode (100; grids 250 or 350, lakes 200)"
    )
    parser.add_argument("--seed", type=int, help="of everything random (0)")
    parser.add_argument(
        "--out", type=Path, help="folder of the run (runs/DOMAIN[SIZE]-ALGO-HORIZON-SEED)"
    )
    parser.add_argument(
        "--iterations",
        type=int,
        help="PPO iterations in all (the paper's 5000, 10 000 or 20 000); a run that goes on is "
        "prolonged by more than it had",
    )
    parser.add_argument("--n-envs", type=int, help="environments (32768 / horizon)")
    parser.add_argument("--batch-size", type=int, help="steps per minibatch (4096)")
    parser.add_argument(
        "--cluster-terminals",
        action="store_true",
        default=None,
        help="rl3-coarse as the paper's authors released it: goals may join clusters",
    )
    parser.add_argument(
        "--warm-start",
        action="store_true",
        default=None,
        help="plan from the last values on: cheaper, depends on the order of the data",
    )
    parser.add_argument(
        "--mixed-precision",
        action="store_true",
        default=None,
        help="matrix products in bfloat16: faster on a GPU, slower on most CPUs",
    )
    parser.add_argument(
        "--validate-every",
        type=int,
        help="iterations between two measurements of the held-out return, by which the best "
        "checkpoint is chosen (50; 0: never)",
    )
    parser.add_argument(
        "--keep", type=int, default=2, help="how many of the last checkpoints to keep (%(default)s)"
    )
    parser.add_argument(
        "--save-every",
        type=float,
        default=60.0,
        help="seconds between two checkpoints (%(default)s; 0: one after every iteration)",
    )
    parser.add_argument(
        "--time-limit", type=float, default=math.inf, help="seconds after which to stop in time"
    )
    add_machine(parser)
    parser.set_defaults(command=_train)


def _train(options: argparse.Namespace) -> int:
    given = {
        name: value
        for name in ("domain", *_RUN_OPTIONS)
        if (value := getattr(options, name)) is not None
    }
    _check_train_options(options)
    fresh = RunConfig.of(**given)
    out = options.out or Path("runs", f"{fresh.kind}-{fresh.algo}-{fresh.horizon}-{fresh.seed}")
    from rl3_sb3.experiments.train_command import train_command

    return train_command(fresh, given, out, use_machine(options), options)


def _check_train_options(options: argparse.Namespace) -> None:
    if not options.time_limit > 0:
        raise InputError(f"`--time-limit` must be above 0, got {options.time_limit}. Pass seconds.")
    if not options.save_every >= 0:
        raise InputError(
            f"`--save-every` must be at least 0, got {options.save_every}. Pass seconds."
        )
    if options.keep < 1:
        raise InputError(
            f"`--keep` must be at least 1, got {options.keep}: without a checkpoint a run could "
            "not go on."
        )
