"""Train a run: `rl3 train`."""

from __future__ import annotations

import argparse
import importlib.util
import math
from pathlib import Path
from typing import Any

from rl3_sb3.experiments.algorithms import ALGORITHMS
from rl3_sb3.experiments.commands.options import (
    add_machine,
    domain_help,
    use_machine,
    variations,
)
from rl3_sb3.experiments.domains import CANONICAL
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.settings.recipes import DEFAULT_RECIPE, RECIPES
from rl3_sb3.experiments.settings.setting import read_assignments
from vamdp.estimators import BUILT_INS

# Options of `rl3 train` that are settings of the run; None if not given.
_RUN_OPTIONS = (
    "algo",
    "size",
    "variation",
    "horizon",
    "seed",
    "policy",
    "estimator",
    "recipe",
    "signal",
    "n_envs",
    "batch_size",
    "iterations",
    "cluster_terminals",
    "warm_start",
    "mixed_precision",
    "validate_every",
    "start_from",
)


class _Help(argparse.Action):
    """Shows the options, and then all settings, whose import takes a moment."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print the help and exit."""
        print(parser.format_help(), end="")
        missing = [n for n in ("torch", "stable_baselines3") if importlib.util.find_spec(n) is None]
        if missing:
            print(f"\nThe list of settings needs {' and '.join(missing)}.")
        else:
            from rl3_sb3.experiments.settings.help import settings_help

            print(f"\n{settings_help()}")
        parser.exit()


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser("train", help="train a run, or continue it", add_help=False)
    parser.add_argument(
        "-h", "--help", action=_Help, nargs=0, help="show this help with all settings, and exit"
    )
    parser.add_argument("domain", help=domain_help())
    tasks = parser.add_argument_group("tasks")
    tasks.add_argument("--size", type=int, help="11 or 13 for grids, 8 or 4 for lakes (the first)")
    tasks.add_argument("--variation", help=f"task distribution ({CANONICAL}); {variations()}")
    tasks.add_argument("--horizon", type=int, help="steps of a meta-episode (the domain's)")
    tasks.add_argument("--seed", type=int, help="seed of everything random (0)")
    agent = parser.add_argument_group("agent")
    agent.add_argument(
        "--algo", choices=ALGORITHMS, help="what the agent sees and how it remembers (rl3)"
    )
    agent.add_argument(
        "--policy",
        help="class of the policy (the algorithm's), or MODULE:NAME of your own; its arguments are "
        "listed below",
    )
    agent.add_argument(
        "--estimator",
        help=f"the learner (the algorithm's): {', '.join(BUILT_INS)}, or MODULE:NAME of your own",
    )
    agent.add_argument(
        "--cluster-terminals",
        action="store_true",
        default=None,
        help="rl3-coarse as in the paper authors' released code: goals may join clusters",
    )
    agent.add_argument(
        "--warm-start",
        action="store_true",
        default=None,
        help="plan from the last values: cheaper, but depends on the order of the data",
    )
    agent.add_argument(
        "--mixed-precision",
        action="store_true",
        default=None,
        help="matrix products in bfloat16: faster on a GPU, slower on most CPUs",
    )
    learning = parser.add_argument_group("learning")
    learning.add_argument(
        "--recipe",
        choices=RECIPES,
        help=f"where settings that are not given come from ({DEFAULT_RECIPE})",
    )
    learning.add_argument(
        "--iterations",
        type=int,
        help="total number of PPO iterations (the recipe's for the domain); a larger number "
        "prolongs an existing run",
    )
    learning.add_argument(
        "--n-envs", type=int, help="environments (the recipe's steps per iteration / horizon)"
    )
    learning.add_argument("--batch-size", type=int, help="steps per minibatch (the recipe's)")
    learning.add_argument("--signal", help="what PPO learns from: reward or regret (the recipe's)")
    learning.add_argument(
        "--validate-every",
        type=int,
        help="iterations between two plays of the validation tasks, which choose the best "
        "checkpoint (50); 0: never",
    )
    learning.add_argument(
        "--start-from",
        metavar="DIR",
        help="begin with the networks of a published agent, of a run, or of an exported policy",
    )
    learning.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any setting in the list below; may be repeated",
    )
    process = parser.add_argument_group("files and machine")
    process.add_argument(
        "--out",
        type=Path,
        help="folder of the run (runs/DOMAIN[SIZE][-VARIATION]-ALGO-HORIZON-SEED)",
    )
    process.add_argument(
        "--keep", type=int, default=2, help="number of last checkpoints to keep (%(default)s)"
    )
    process.add_argument(
        "--save-every",
        type=float,
        default=60.0,
        help="seconds between two checkpoints (%(default)s); 0: save after every iteration",
    )
    process.add_argument(
        "--time-limit",
        type=float,
        default=math.inf,
        help="save a checkpoint and stop after this many seconds (default: never)",
    )
    add_machine(process)
    parser.set_defaults(command=_train)


def _train(options: argparse.Namespace) -> int:
    given = read_assignments(options.set)
    for name in _RUN_OPTIONS:
        if (value := getattr(options, name)) is None:
            continue
        if name in given:
            raise InputError(f"`--set` must not give {name} again, got it beside the option.")
        given[name] = value
    _check_train_options(options)
    from rl3_sb3.experiments.runs.train_command import train_command
    from rl3_sb3.experiments.settings.run_config import RunConfig

    fresh = RunConfig.of(options.domain, **given)
    out = options.out or Path("runs", f"{fresh.kind}-{fresh.algo}-{fresh.horizon}-{fresh.seed}")
    asked = fresh.resolved({"domain": options.domain, **given})
    return train_command(fresh, asked, out, use_machine(options), options)


def _check_train_options(options: argparse.Namespace) -> None:
    if options.start_from in ("", "none"):
        raise InputError(
            f"`--start-from` must be a folder, got {options.start_from!r}. Leave it out to start "
            "anew."
        )
    if not options.time_limit > 0:
        raise InputError(f"`--time-limit` must be above 0, got {options.time_limit}. Pass seconds.")
    if not options.save_every >= 0:
        raise InputError(
            f"`--save-every` must be at least 0, got {options.save_every}. Pass seconds."
        )
    if options.keep < 1:
        raise InputError(
            f"`--keep` must be at least 1, got {options.keep}: a run cannot be continued without "
            "a checkpoint."
        )
