"""Table 2 of the paper: bandits with five arms, H = 100 and 500, and H = 500 out of distribution.

    python examples/paper/table_2.py

`--help` says what training the cells costs.
"""

import sys
from pathlib import Path

from rl3_sb3.experiments.paper.comparison import Tasks
from rl3_sb3.experiments.paper.published import TABLE_2
from rl3_sb3.experiments.paper.script import Folders, Item, run_script
from rl3_sb3.experiments.paper.tables import show_tables

ALGORITHMS = ("rl2", "rl3", "rl3-prior", "rl3-markov")
TASKS = (
    Tasks(domain="bandit", horizon=100),
    Tasks(domain="bandit", horizon=500),
    Tasks(domain="bandit", horizon=500, variation="ood"),
)


def show(folders: Folders) -> None:
    """Print a table for each kind of tasks."""
    show_tables(folders, TASKS, lambda tasks: ALGORITHMS, reference="Gittins", published=TABLE_2)


ITEM = Item(
    title="Table 2: bandits, RL2 and RL3 beside the best classical agents",
    sweeps=("bandits",),
    tasks=TASKS,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_script(ITEM, Path(__file__)))
