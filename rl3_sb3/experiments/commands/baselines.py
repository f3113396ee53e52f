"""Run classical agents: `rl3 baselines`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from rl3_sb3.experiments.commands.options import add_variation, domain_help
from rl3_sb3.experiments.domain import CANONICAL
from vamdp.baselines import BASELINES


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser(
        "baselines", help="run classical agents on the held-out tasks of a domain"
    )
    parser.add_argument("domain", help=domain_help())
    parser.add_argument("--size", type=int, help="11 or 13 for grids, 8 or 4 for lakes (the first)")
    add_variation(parser, default=CANONICAL)
    parser.add_argument("--horizon", type=int, help="steps of a meta-episode (the domain's)")
    parser.add_argument("--tasks", type=int, default=1000, help="number of tasks (%(default)s)")
    parser.add_argument(
        "--agents",
        help=f"comma-separated agents: any of {', '.join(BASELINES)}, their titles in the table, "
        "or MODULE:NAME of a custom agent (default: those that suit the domain)",
    )
    parser.add_argument("--json", type=Path, help="also write all total rewards into this file")
    parser.set_defaults(command=_baselines)


def _baselines(options: argparse.Namespace) -> None:
    from rl3_sb3.experiments.baselines import make_baselines
    from rl3_sb3.experiments.evaluation.evaluation import evaluate_agents
    from rl3_sb3.experiments.results.table import evaluation_table
    from rl3_sb3.experiments.results.yardsticks import require_place, write_yardsticks
    from rl3_sb3.experiments.runs.compiling import says_compiling
    from rl3_sb3.experiments.settings.run_config import RunConfig, check_integer

    if options.json is not None:
        require_place(options.json)
    config = RunConfig.of(options.domain, size=options.size, horizon=options.horizon)
    variation = options.variation or config.variation
    config.facts.check_variation(variation)
    check_integer("tasks", options.tasks, 1)
    names = None
    if options.agents is not None:
        names = [name.strip() for name in options.agents.split(",")]
    agents = make_baselines(config, variation, names)
    with says_compiling():
        evaluation = evaluate_agents(
            config,
            agents,
            n_tasks=options.tasks,
            variation=variation,
            report=lambda title: print(f"{title} ...", file=sys.stderr),
        )
    print(evaluation_table([evaluation]))
    if options.json is not None:
        write_yardsticks(options.json, config, evaluation, names)
        print(f"\nstored: {options.json}")
