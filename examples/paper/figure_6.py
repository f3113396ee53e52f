"""Figure 6 of the paper: learning curves on gridworlds, the seeds as bands.

    python examples/paper/figure_6.py

`--help` says what training the cells costs.
"""

import sys
from pathlib import Path

from rl3_sb3.experiments.paper.comparison import Tasks
from rl3_sb3.experiments.paper.learning_figure import show_learning
from rl3_sb3.experiments.paper.script import Folders, Item, run_script

ALGOS = ("rl2", "rl3", "rl3-prior", "rl3-coarse")
CLASSICAL = ("informed",)
TASKS = (
    Tasks(domain="gridworld", size=11, horizon=250),
    Tasks(domain="gridworld", size=13, horizon=350),
)


def show(folders: Folders) -> None:
    """Draw a panel for each kind of tasks, and print what is missing."""
    show_learning(folders, "figure_6.png", TASKS, ALGOS, CLASSICAL)


ITEM = Item(
    title="Figure 6: learning curves on gridworlds",
    sweeps=("gridworlds",),
    tasks=TASKS,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_script(ITEM, Path(__file__)))
