"""Figure 3a of the paper: random MDPs over H, in and out of distribution, as a share of the oracle.

    python examples/paper/figure_3a.py

`--help` says what training the cells costs.
"""

import sys
from pathlib import Path

import numpy as np

from rl3_sb3.experiments.algorithms import ALGORITHMS
from rl3_sb3.experiments.drawing import Figure
from rl3_sb3.experiments.paper.comparison import (
    NOT_TRAINED,
    Tasks,
    read_cell,
    read_classical,
)
from rl3_sb3.experiments.paper.published import FIGURE_3A, FIGURE_3A_HORIZONS
from rl3_sb3.experiments.paper.script import Folders, Item, run_script
from rl3_sb3.experiments.paper.tables import show_tables

VARIATIONS = {"canonical": "in distribution", "ood": "out of distribution"}
ALGOS = ("rl2", "rl3", "rl3-prior")
# With an LSTM in the transformer's place at the shortest H.
SHORTEST, LSTMS = 128, ("rl2-lstm", "rl3-lstm")
CLASSICAL = {"UCRL2": ":", "BEB": "--", "PSRL": "-."}
TASKS = tuple(
    Tasks(domain="random-mdp", horizon=horizon, variation=variation)
    for variation in VARIATIONS
    for horizon in FIGURE_3A_HORIZONS
)


def algos_of(tasks: Tasks) -> tuple[str, ...]:
    """Return which agents are compared in tasks."""
    return (*ALGOS, *(LSTMS if tasks.horizon == SHORTEST else ()))


def show(folders: Folders) -> None:
    """Print a table for each kind of tasks, and draw the figure."""
    print(f"{FIGURE_3A}\n")
    show_tables(folders, TASKS, algos_of, reference="oracle")
    print(f"figure: {draw(folders)}")


def draw(folders: Folders) -> Path:
    """Draw the share of the oracle's total over H; return the file."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (variation, words) in zip(panels, VARIATIONS.items(), strict=True):
        tasks = [each for each in TASKS if each.variation == variation]
        for algo in ALGOS:
            points = []
            for each in tasks:
                cell = read_cell(folders.pretrained, each, algo, folders.scale)
                if cell is not None:
                    oracle = cell.oracle[variation].mean()
                    points.append(
                        [each.horizon, cell.exported_run.mean(variation, "sampled") / oracle]
                    )
            row = ALGORITHMS[algo]
            missing = len(tasks) - len(points)
            label = (
                f"{row.title} ({missing} of {len(tasks)} {NOT_TRAINED})" if missing else row.title
            )
            line(axes, points, color=row.colour, label=label, marker="o")
        for title, style in CLASSICAL.items():
            points = []
            for each in tasks:
                returns = read_classical(folders.records, each)
                if title in returns:
                    share = returns[title].mean() / returns["oracle"].mean()
                    points.append([each.horizon, share])
            line(axes, points, color="#777777", linestyle=style, label=title)
        axes.set_xscale("log", base=2)
        axes.set_xticks(FIGURE_3A_HORIZONS, [str(h) for h in FIGURE_3A_HORIZONS])
        axes.minorticks_off()
        axes.set_title(f"Random MDPs, {words}")
        axes.set_xlabel("H, steps in one task")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    panels[0].set_ylabel("total reward, share of the oracle's")
    if panels[0].lines:
        # Between the classical agents above and RL2 below.
        panels[0].legend(frameon=False, loc="center right", bbox_to_anchor=(1.0, 0.38))
    file = folders.figure_file("figure_3a.png")
    figure.savefig(file, dpi=120)
    return file


def line(axes, points, **look):
    """Draw a line through points, shape (n, 2), if there are any."""
    if points:
        axes.plot(*np.array(points).T, **look)


ITEM = Item(
    title="Figure 3a: random MDPs over H, in and out of distribution",
    sweeps=("random_mdps",),
    tasks=TASKS,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_script(ITEM, Path(__file__)))
