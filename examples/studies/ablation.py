"""What does each part of the recipe `ours` give, and what might come on top?

    python examples/studies/ablation.py              from the stored records
    python examples/studies/ablation.py --train      train what is missing; `--help` says the cost
    python examples/studies/ablation.py --measure    count what an iteration costs again

All variants have the same tasks and equally many steps. A score is the mean total reward in the
held-out tasks, actions sampled: mean over the seeds ± its standard error, and the number of seeds.

`s per million steps` is this process's CPU time of RL3's rollouts and updates, one thread, the
variants in turns. There the actor never stops before the last epoch, which it often does in
training (`target_kl`). So it is the most that a variant costs.
"""

import itertools
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rl3_sb3.experiments.algorithms import algorithm_of
from rl3_sb3.experiments.drawing import Figure
from rl3_sb3.experiments.evaluation.scores import mean_and_error
from rl3_sb3.experiments.results.labels import tasks_title
from rl3_sb3.experiments.results.table import aligned, mean_label
from rl3_sb3.experiments.studies.figures import by_tasks, seeds_means
from rl3_sb3.experiments.studies.runs import StudyRun
from rl3_sb3.experiments.studies.script import Study, run_study
from rl3_sb3.experiments.studies.trainable import collect, trainable
from rl3_sb3.experiments.sweeps.specification import read_sweep

SWEEP = Path(__file__).resolve().parent / "sweeps" / "ablation.toml"
ALGOS = ("rl2", "rl3")


@dataclass(frozen=True)
class Sizes:
    """What can be changed."""

    rounds: int = 2
    """iterations of each variant that are timed; the median counts"""
    envs: int = 0
    """environments of an iteration; 0: as many as each variant trains with"""
    variants: int = 0
    """only the first variants in each kind of tasks; 0: all"""


def measure(args, pretrained):
    """Return the CPU seconds of a million steps of each variant of RL3, for each kind of tasks."""
    kinds = {}
    for cell in read_sweep(SWEEP):
        if cell.config.seed == 0 and cell.config.algo == "rl3":
            kinds.setdefault(cell.config.domain, []).append(cell)
    shown = [cells[: args.variants or len(cells)] for cells in kinds.values()]
    return {"rows": [row for cells in shown for row in timed(cells, args)]}


def timed(cells, args):
    """Return the rows of one kind of tasks; the variants take turns."""
    seconds = {cell.variant: [] for cell in cells}
    for i in range(args.rounds + 1):  # the first compiles
        for cell in cells:
            config = replace(cell.config, target_kl=None)
            if args.envs:
                batch = min(config.batch_size, args.envs * config.horizon)
                config = replace(config, n_envs=args.envs, batch_size=batch)
            model = trainable(config)
            start = time.process_time()
            collect(model)
            model.train()
            spent = time.process_time() - start
            if i > 0:
                seconds[cell.variant].append(1e6 * spent / (config.n_envs * config.horizon))
    tasks = tasks_title(cells[0].config.domain, cells[0].config.size, cells[0].config.horizon)
    return [
        {"tasks": tasks, "variant": variant, "seconds": statistics.median(each)}
        for variant, each in seconds.items()
    ]


def show(record):
    """Print a line for each variant in each kind of tasks, and how many runs there are."""
    head = ["variant", *(algorithm_of(algo).title for algo in ALGOS), "s per million steps"]
    runs = by_tasks(record["runs"])
    for title in dict.fromkeys(row["tasks"] for row in record["rows"]):
        lines = []
        for row in (row for row in record["rows"] if row["tasks"] == title):
            found = [runs_of(runs.get(title, []), row["variant"], algo) for algo in ALGOS]
            lines.append([row["variant"], *map(entry, found), f"{row['seconds']:.0f}"])
        print(f"{title}\n\n{aligned(head, lines)}\n")
    print(f"{len(record['runs'])} of {len(read_sweep(SWEEP))} runs are stored.")


def runs_of(runs, variant, algo) -> list[StudyRun]:
    """Return the runs of an agent's variant."""
    return [run for run in runs if run.variant == variant and run.algo == algo]


def entry(runs: Sequence[StudyRun]) -> str:
    """Return the score of a variant's runs and their number; "" if there are none."""
    if not runs:
        return ""
    return f"{mean_label(*mean_and_error(seeds_means(runs, 'sampled')))} ({len(runs)})"


def draw(record, file):
    """Draw each seed as a point, a panel for each agent in each kind of tasks that has runs."""
    runs = by_tasks(record["runs"])
    titles = list(dict.fromkeys(row["tasks"] for row in record["rows"]))
    variants = list(dict.fromkeys(row["variant"] for row in record["rows"]))
    trained = {(title, run.algo) for title in titles for run in runs.get(title, [])}
    places = [place for place in itertools.product(titles, ALGOS) if place in trained]
    size = (3.2 * max(len(places), 1) + 1.5, 0.3 * len(variants) + 1.2)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, max(len(places), 1), sharey=True, squeeze=False)[0]
    for axes, (title, algo) in zip(panels, places, strict=False):
        for place, variant in enumerate(variants):
            if found := runs_of(runs.get(title, []), variant, algo):
                scores = seeds_means(found, "sampled")
                axes.plot(scores, np.full(len(scores), place), "o", alpha=0.5, color="C0")
                axes.plot(scores.mean(), place, "|", markersize=14, color="black")
        axes.set_title(f"{title}\n{algorithm_of(algo).title}", fontsize=9)
        axes.set_xlabel("total reward")
        axes.set_yticks(range(len(variants)), variants)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylim(len(variants) - 0.5, -0.5)
    figure.savefig(file, dpi=120)


STUDY = Study(
    title="What does each part of the recipe `ours` give?",
    sizes=Sizes(),
    smoke={"rounds": 1, "envs": 2, "variants": 2},
    measure=measure,
    show=show,
    draw=draw,
    trains=True,
)

if __name__ == "__main__":
    sys.exit(run_study(STUDY, Path(__file__)))
