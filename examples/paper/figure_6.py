"""Figure 6 of the paper: learning curves on gridworlds, the seeds as bands.

    python examples/paper/figure_6.py

`--help` says what training the cells costs.
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure

from rl3_sb3.experiments.paper.comparison import Tasks, read_cell, read_classical
from rl3_sb3.experiments.paper.curves import draw_curves
from rl3_sb3.experiments.paper.script import Folders, Item, run_script

ALGOS = ("rl2", "rl3", "rl3-coarse")
CLASSICAL = ("informed",)
TASKS = (
    Tasks(domain="gridworld", size=11, horizon=250),
    Tasks(domain="gridworld", size=13, horizon=350),
)


def show(folders: Folders) -> None:
    """Draw a panel for each kind of tasks, and print what is missing."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = figure.subplots(1, len(TASKS))
    for axes, tasks in zip(panels, TASKS, strict=True):
        cells = {a: read_cell(folders.pretrained, tasks, a, folders.scale) for a in ALGOS}
        trained = {algo: cell for algo, cell in cells.items() if cell is not None}
        classical = read_classical(folders.records, tasks)
        levels = {title: classical[title].mean() for title in CLASSICAL if title in classical}
        draw_curves(axes, trained, levels)
        axes.set_title(tasks.title)
        for algo in cells.keys() - trained.keys():
            print(f"not trained yet: {tasks.cell(algo, folders.scale)}")
    panels[0].set_ylabel("total reward of the training meta-episodes")
    if panels[0].lines:
        panels[0].legend(frameon=False)
    file = folders.figure_file("figure_6.png")
    figure.savefig(file, dpi=120)
    print(f"figure: {file}")


ITEM = Item(
    title="Figure 6: learning curves on gridworlds",
    sweep="gridworlds",
    tasks=TASKS,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_script(ITEM, Path(__file__)))
