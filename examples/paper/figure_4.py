"""Figure 4 of the paper: what an agent does in one gridworld, at the moments that tell the story.

    python examples/paper/figure_4.py
    python examples/paper/figure_4.py --agent runs/mine --task 3

The moments are one step before the first goal, that goal, from which the values have spread back,
the quickest later way to it, and the end.
"""

import argparse
import sys
from pathlib import Path

import torch as th

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.films.events import events
from rl3_sb3.experiments.films.film import record
from rl3_sb3.experiments.films.panels import snapshot_sheet
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.run_policy import load_run_policy

TOP = Path(__file__).resolve().parent.parent.parent
ENOUGH_GOALS = 3


def main(args: argparse.Namespace) -> None:
    """Film the agent and draw the moments."""
    th.set_num_threads(1)
    directory = RunDirectory(args.agent)
    config = directory.config_file.read()
    if not config.facts.action_names:
        raise InputError(
            f"`--agent` must be a run in gridworlds, got {args.agent}, which is of {config.domain}."
        )
    directory.config_file.require_same_tasks(config)
    policy, _ = load_run_policy(directory, config, "cpu")
    n_goals, film = -1, None
    for tried in range(args.tries) if args.task < 0 else [args.task]:
        new = record(config, policy, task=tried)
        n_new = sum(shot.ended == "terminated" and shot.reward > 0 for shot in new.shots)
        if n_new > n_goals:
            task, film, n_goals = tried, new, n_new
        if n_goals >= ENOUGH_GOALS:
            break
    moments = events(film)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    row = [(moment.name, moment.shot) for moment in moments]
    snapshot_sheet([row], config.horizon).save(args.out, optimize=True)
    print(f"held-out task {task}: {n_goals} goals, total reward {film.total:g}")
    for name, shot in row:
        print(f"  {name}: step {shot.step}, episode {shot.episode}, return {shot.total:g}")
    print(f"figure: {args.out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    agent = TOP / "pretrained" / "gridworld11-250-rl3"
    add("--agent", type=Path, default=agent, help="a trained agent of gridworlds (the pretrained)")
    add(
        "--task",
        type=int,
        default=-1,
        help="the held-out task, from 0; -1: the first in which the agent reaches the goal at "
        "least three times, or, if there is none, most often (%(default)s)",
    )
    add(
        "--tries",
        type=int,
        default=50,
        help="held-out tasks to look through, at least 1 (%(default)s)",
    )
    picture = TOP / "docs" / "figures" / "figure_4.png"
    add("--out", type=Path, default=picture, help="the picture's file")
    args = parser.parse_args()
    if args.task < -1 or args.tries < 1:
        parser.error(
            f"`--task` must be at least -1 and `--tries` at least 1, got {args.task}, {args.tries}"
        )
    try:
        main(args)
    except InputError as error:
        sys.exit(f"figure_4.py: error: {error}")
