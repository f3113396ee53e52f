"""Figure 3c of the paper: gridworlds 11x11 and 13x13, and the variations that nobody trained on.

    python examples/paper/figure_3c.py

`--help` says what training the cells costs.
"""

import sys
from pathlib import Path

import numpy as np

from rl3_sb3.experiments.algorithms import ALGORITHMS
from rl3_sb3.experiments.drawing import Figure
from rl3_sb3.experiments.paper.comparison import (
    Tasks,
    read_cell,
    read_classical,
)
from rl3_sb3.experiments.paper.published import FIGURE_3C
from rl3_sb3.experiments.paper.script import Folders, Item, run_script
from rl3_sb3.experiments.paper.tables import show_tables
from rl3_sb3.experiments.results.evaluation import mean_and_error
from vamdp.domains.gridworlds import VARIATIONS

ALGOS = ("rl2", "rl3", "rl3-coarse")
TASKS = (
    Tasks(domain="gridworld", size=11, horizon=250),
    Tasks(domain="gridworld", size=13, horizon=350),
    *(Tasks(domain="gridworld", size=13, horizon=350, variation=each) for each in VARIATIONS),
)


def show(folders: Folders) -> None:
    """Print a table for each kind of tasks, and draw the figure."""
    print(f"{FIGURE_3C}\n")
    show_tables(folders, TASKS, lambda tasks: ALGOS, reference="informed")
    print(f"figure: {draw(folders)}")


def draw(folders: Folders) -> Path:
    """Draw the total rewards as bars, the informed agent's as a line; return the file."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(ALGOS)
    for i, algo in enumerate(ALGOS):
        row, places, heights, errors = ALGORITHMS[algo], [], [], []
        for place, tasks in enumerate(TASKS):
            cell = read_cell(folders.pretrained, tasks, algo, folders.scale)
            if cell is not None:
                mean, error = mean_and_error(cell.median.returns[tasks.variation]["sampled"])
                places.append(place + (i - (len(ALGOS) - 1) / 2) * width)
                heights.append(mean)
                errors.append(error)
        axes.bar(places, heights, width, yerr=errors, color=row.colour, label=row.title)
    played = [read_classical(folders.records, tasks) for tasks in TASKS]
    places = np.array([i for i, returns in enumerate(played) if "informed" in returns])
    means = [returns["informed"].mean() for returns in played if "informed" in returns]
    if means:
        axes.hlines(means, places - 0.45, places + 0.45, "k", label="informed")
    axes.set_xticks(range(len(TASKS)), [name(tasks) for tasks in TASKS])
    axes.axhline(0, color="k", linewidth=0.5)
    axes.set_ylabel("total reward")
    axes.set_title("Gridworlds: trained on the canonical ones of a size, tested on the variations")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False)
    file = folders.figure_file("figure_3c.png")
    figure.savefig(file, dpi=120)
    return file


def name(tasks: Tasks) -> str:
    """Return what is written below the bars."""
    return f"{tasks.size}x{tasks.size}\n{tasks.variation}"


ITEM = Item(
    title="Figure 3c: gridworlds and their variations",
    sweeps=("gridworlds",),
    tasks=TASKS,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_script(ITEM, Path(__file__)))
