"""Figure 5 of the paper: learning curves on bandits and random MDPs, the seeds as bands.

    python examples/paper/figure_5.py

`--help` says what training the cells costs.
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure

from rl3_sb3.experiments.paper.comparison import Tasks, read_cell, read_classical
from rl3_sb3.experiments.paper.curves import draw_curves
from rl3_sb3.experiments.paper.script import Folders, Item, run_script

ALGOS = ("rl2", "rl3")
CLASSICAL = ("Gittins", "BEB")
TASKS = (
    Tasks(domain="bandit", horizon=100),
    Tasks(domain="bandit", horizon=500),
    Tasks(domain="random-mdp", horizon=128),
    Tasks(domain="random-mdp", horizon=256),
    Tasks(domain="random-mdp", horizon=512),
)


def show(folders: Folders) -> None:
    """Draw a panel for each kind of tasks, and print what is missing."""
    figure = Figure(figsize=(15, 4), layout="constrained")
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
    file = folders.figure_file("figure_5.png")
    figure.savefig(file, dpi=120)
    print(f"figure: {file}")


ITEM = Item(
    title="Figure 5: learning curves on bandits and random MDPs",
    sweep="random_mdps",
    tasks=TASKS,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_script(ITEM, Path(__file__)))
