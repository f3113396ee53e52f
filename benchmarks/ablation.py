"""What each part of the recipe gives: a table and a figure of a sweep over variants.

The sweep trains; this reads what it has stored so far. A variant's score is the mean total reward
in the held-out tasks, actions sampled, as mean over the seeds with the standard error of that mean.
`--cost-rounds` also times an iteration of each variant, in turns on one thread, by this process's
CPU time. Run:

    rl3 sweep benchmarks/ablation.toml --out runs/ablation
    python benchmarks/ablation.py --sweep runs/ablation --figure ablation.png
    python benchmarks/ablation.py --smoke               (a minute; a sweep of its own, no figures)
"""

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch as th
from command_line import parse
from matplotlib.figure import Figure
from trainable import collect, trainable

from rl3_sb3.experiments.cli import main as rl3
from rl3_sb3.experiments.results.evaluation import mean_and_error
from rl3_sb3.experiments.results.table import aligned, mean_label
from rl3_sb3.experiments.sweeps.cell import Cell
from rl3_sb3.experiments.sweeps.results import Row, result_rows
from rl3_sb3.experiments.sweeps.specification import read_sweep

SMOKE = """
algorithms = ["rl3"]
seeds = [0]
horizons = [5]
domains = ["bandit"]
[settings]
iterations = 2
n_envs = 4
batch_size = 10
[evaluation]
tasks = 4
[variants.paper]
recipe = "paper"
[variants.ours]
recipe = "ours"
"""


@dataclasses.dataclass
class Arguments:
    """What to read and where to draw."""

    sweep: str = "runs/ablation"
    """The sweep's folder."""
    figure: str = "ablation.png"
    """The figure's file; none for no figure."""
    cost_rounds: int = 0
    """Iterations of each variant that are timed; the median is shown. 0: none."""
    smoke: bool = False
    """A tiny sweep of its own: only shows that all works."""


def label(row: Row) -> str:
    """Return what a column holds: an agent in a domain."""
    return f"{row.config.facts.title}, {row.config.title}"


def seconds_per_iteration(cells: Sequence[Cell], rounds: int) -> dict[str, float]:
    """Return the CPU seconds of an iteration, by the variant's name, of RL3 in one domain."""
    models = {}
    for cell in cells:
        if cell.config.algo == "rl3" and cell.config.domain == cells[0].config.domain:
            models.setdefault(cell.variant, trainable(cell.config))
    seconds: dict[str, list[float]] = {variant: [] for variant in models}
    for i in range(rounds + 1):  # the first compiles
        for variant, model in models.items():
            start = time.process_time()
            collect(model)
            model.train()
            if i > 0:
                seconds[variant].append(time.process_time() - start)
    return {variant: statistics.median(each) for variant, each in seconds.items()}


def table(rows: Sequence[Row], cost: dict[str, float]) -> str:
    """Return a line for each variant, a column for each agent in each domain."""
    columns = list(dict.fromkeys(label(row) for row in rows))
    found = {(row.variant, label(row)): row.present for row in rows}
    header = ["variant", *columns, *(["s per iteration"] if cost else [])]
    lines = []
    for variant in dict.fromkeys(row.variant for row in rows):
        entries = [variant]
        for column in columns:
            scores = found.get((variant, column), np.array([]))
            text = mean_label(*mean_and_error(scores)) if len(scores) else "missing"
            entries.append(f"{text} ({len(scores)})" if len(scores) else text)
        lines.append(entries + ([f"{cost[variant]:.1f}"] if cost else []))
    return aligned(header, lines)


def draw(file: str, rows: Sequence[Row]) -> None:
    """Draw each seed as a point, a panel for each agent in each domain."""
    columns = list(dict.fromkeys(label(row) for row in rows))
    variants = list(dict.fromkeys(row.variant for row in rows))
    size = (3.2 * len(columns) + 1.5, 0.3 * len(variants) + 1.2)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, column in zip(panels, columns, strict=True):
        for row in rows:
            if label(row) == column and len(row.present):
                place = variants.index(row.variant)
                axes.plot(row.present, np.full(len(row.present), place), "o", alpha=0.5, color="C0")
                axes.plot(row.present.mean(), place, "|", markersize=14, color="black")
        axes.set_title(column)
        axes.set_xlabel("total reward")
        axes.set_yticks(range(len(variants)), variants)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylim(len(variants) - 0.5, -0.5)
    figure.savefig(file, dpi=150)


def main() -> None:
    """Read, time, print and draw."""
    args = parse(Arguments, __doc__ or "")
    th.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if args.smoke:
            file = Path(folder, "smoke.toml")
            file.write_text(SMOKE)
            args = dataclasses.replace(
                args, sweep=f"{folder}/sweep", figure=f"{folder}/figure.png", cost_rounds=1
            )
            if rl3(["sweep", str(file), "--out", args.sweep, "--jobs", "1"]) != 0:
                raise SystemExit("the sweep failed")
        cells = read_sweep(Path(args.sweep, "sweep.toml"))
        rows = [row for row in result_rows(cells, Path(args.sweep)) if row.play == "sampled"]
        cost = seconds_per_iteration(cells, args.cost_rounds) if args.cost_rounds else {}
        print(table(rows, cost))
        if args.figure:
            draw(args.figure, rows)


if __name__ == "__main__":
    main()
