"""Evaluate a run: `rl3 evaluate`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rl3_sb3.experiments.commands.options import add_machine, add_trust, add_variation, use_machine
from rl3_sb3.experiments.errors import InputError

if TYPE_CHECKING:
    from rl3_sb3.experiments.evaluation.scores import Evaluation
    from rl3_sb3.experiments.runs.run_directory import RunDirectory

_N_AGENTS = 3  # agents that take steps: the random agent, and the policy twice


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser("evaluate", help="evaluate a run on held-out tasks")
    parser.add_argument("dir", type=Path, metavar="DIR", help="folder of the run")
    add_variation(parser)
    parser.add_argument("--tasks", type=int, default=1000, help="number of tasks (%(default)s)")
    parser.add_argument("--best", action="store_true", help="use the best checkpoint, not the last")
    add_trust(parser)
    add_machine(parser)
    parser.set_defaults(command=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    from rl3_sb3.experiments.evaluation.evaluation import evaluate, n_steps_of_play
    from rl3_sb3.experiments.pretrained.listing import recorded_line
    from rl3_sb3.experiments.results.table import evaluation_table
    from rl3_sb3.experiments.runs.compiling import says_compiling
    from rl3_sb3.experiments.runs.progress import play_bar
    from rl3_sb3.experiments.runs.run_directory import RunDirectory
    from rl3_sb3.experiments.runs.run_policy import load_run_policy
    from rl3_sb3.experiments.settings.run_config import check_integer

    device = use_machine(options)
    directory = RunDirectory(options.dir)
    config = directory.config_file.read()
    directory.config_file.require_same_tasks(config)
    policy, n_training_steps = load_run_policy(
        directory, config, device, trust_pickle=options.trust_pickle, best=options.best
    )
    check_integer("tasks", options.tasks, 1)
    n_steps = _N_AGENTS * n_steps_of_play(config, options.tasks)
    with says_compiling(), play_bar(n_steps) as (report, stepped):
        evaluation = evaluate(
            config,
            policy,
            n_training_steps=n_training_steps,
            n_tasks=options.tasks,
            variation=options.variation,
            report=report,
            stepped=stepped,
        )
    print(evaluation_table([evaluation]))
    if recorded := recorded_line(directory.path, evaluation):
        print(f"\n{recorded}")
    before = directory.config_file.n_steps_before()
    told = f" (and {before:,} of the agent that it started from)" if before else ""
    tasks = f"{options.tasks:,} {evaluation.variation} tasks, H = {config.horizon}"
    file = directory.evaluation_file(evaluation.variation)
    stored = _better_stored(directory, evaluation)
    if stored is not None:
        where = (
            f"not stored ({tasks}), because {file} has {len(stored.oracle):,} tasks after "
            f"{stored.n_training_steps:,} steps; move it away to store this one"
        )
    else:
        directory.write_evaluation(evaluation)
        where = f"stored: {file} ({tasks})"
    print(f"\nafter {n_training_steps:,} of {config.total_steps:,} training steps{told}; {where}")


def _better_stored(directory: RunDirectory, evaluation: Evaluation) -> Evaluation | None:
    """Return the stored evaluation if it is of a later policy, or of this one in more tasks."""
    try:
        stored = directory.read_evaluation(evaluation.variation)
    except InputError:  # a damaged file may be replaced
        return None
    return stored if stored is not None and _rank(stored) > _rank(evaluation) else None


def _rank(evaluation: Evaluation) -> tuple[int, int]:
    return evaluation.n_training_steps, len(evaluation.oracle)
