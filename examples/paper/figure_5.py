"""Figure 5 of the paper: learning curves on bandits and random MDPs, the seeds as bands.

    python examples/paper/figure_5.py

`--help` says what training the cells costs.
"""

import sys
from pathlib import Path

from rl3_sb3.experiments.paper.comparison import Tasks
from rl3_sb3.experiments.paper.learning_figure import show_learning
from rl3_sb3.experiments.paper.script import Folders, Item, run_script

ALGOS = ("rl2", "rl3", "rl3-prior")
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
    show_learning(folders, "figure_5.png", TASKS, ALGOS, CLASSICAL)


ITEM = Item(
    title="Figure 5: learning curves on bandits and random MDPs",
    sweeps=("bandits", "random_mdps"),
    tasks=TASKS,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_script(ITEM, Path(__file__)))
