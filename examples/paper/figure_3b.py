"""Figure 3b of the paper: which share of RL2's iterations RL3 needs to get as far as RL2.

    python examples/paper/figure_3b.py

Both take equally many steps in an iteration, so that the share of steps is that of iterations.
`--help` says what training the cells costs.
"""

import sys
from pathlib import Path

import numpy as np

from rl3_sb3.experiments.paper.comparison import NOT_TRAINED, Tasks, read_cell
from rl3_sb3.experiments.paper.curves import shares_by_seed
from rl3_sb3.experiments.paper.published import FIGURE_3A_HORIZONS, FIGURE_3B
from rl3_sb3.experiments.paper.script import Folders, Item, run_script
from rl3_sb3.experiments.results.table import aligned

TASKS = (
    *(Tasks(domain="bandit", horizon=horizon) for horizon in (100, 500)),
    *(Tasks(domain="random-mdp", horizon=horizon) for horizon in FIGURE_3A_HORIZONS),
    *(Tasks(domain="gridworld", size=s, horizon=h) for s, h in ((11, 250), (13, 350))),
)


def show(folders: Folders) -> None:
    """Print the share for each domain and H."""
    rows = []
    for tasks in TASKS:
        cells = [read_cell(folders.pretrained, tasks, a, folders.scale) for a in ("rl3", "rl2")]
        if None in cells:
            rows.append([tasks.title, NOT_TRAINED, ""])
            continue
        shares = shares_by_seed(*cells)
        middle = share_label(np.median(shares)) if shares else ""
        rows.append([tasks.title, middle, ", ".join(map(share_label, shares))])
    print(f"{FIGURE_3B}\n")
    print(aligned(["tasks", "share of RL²'s iterations (median)", "seeds"], rows))
    print("\nnever: RL³'s curve stays below the highest level of RL²'s")


def share_label(share: float) -> str:
    """Return a share in words; inf means that RL3 never got as far."""
    return "never" if np.isinf(share) else f"{share:.0%}"


ITEM = Item(
    title="Figure 3b: the share of RL2's iterations that RL3 needs",
    sweeps=("bandits", "random_mdps", "gridworlds"),
    tasks=TASKS,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_script(ITEM, Path(__file__)))
