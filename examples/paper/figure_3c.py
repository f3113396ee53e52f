"""Figure 3c of the paper: gridworlds 11x11 and 13x13, and the variations that nobody trained on.

    python examples/paper/figure_3c.py

`--help` says what training the cells costs.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rl3_sb3.experiments.algorithms import ALGORITHMS
from rl3_sb3.experiments.drawing import Axes, Figure
from rl3_sb3.experiments.evaluation.scores import mean_and_error
from rl3_sb3.experiments.paper.comparison import (
    NOT_TRAINED,
    Tasks,
    read_cell,
    read_classical,
)
from rl3_sb3.experiments.paper.published import FIGURE_3C
from rl3_sb3.experiments.paper.script import Folders, Item, run_script
from rl3_sb3.experiments.paper.tables import show_tables
from vamdp.domains.gridworlds import VARIATIONS

ALGOS = ("rl2", "rl3", "rl3-prior", "rl3-coarse")
PANELS = tuple(
    tuple(
        Tasks(domain="gridworld", size=size, horizon=horizon, variation=each)
        for each in ("canonical", *VARIATIONS)
    )
    for size, horizon in ((11, 250), (13, 350))
)
TASKS = (*PANELS[0], *PANELS[1])
#: The classical agents in the figure, and the colours of their lines.
LINES = {"informed": "black", "R-MAX": "darkgrey"}


def show(folders: Folders) -> None:
    """Print a table for each kind of tasks, and draw the figure."""
    print(f"{FIGURE_3C}\n")
    show_tables(folders, TASKS, lambda tasks: ALGOS, reference="informed")
    print(f"figure: {draw(folders)}")


def draw(folders: Folders) -> Path:
    """Draw a panel for each size; return the file."""
    figure = Figure(figsize=(8, 7), layout="constrained")
    panels = figure.subplots(len(PANELS))
    for axes, tasks in zip(panels, PANELS, strict=True):
        draw_panel(axes, tasks, folders)
    figure.suptitle("Gridworlds: trained on the canonical ones of a size, tested on all")
    shown = {label: handle for axes in panels for handle, label in labelled(axes)}
    figure.legend(shown.values(), shown.keys(), loc="outside right upper", frameon=False)
    file = folders.figure_file("figure_3c.png")
    figure.savefig(file, dpi=120)
    return file


def draw_panel(axes: Axes, panel: Sequence[Tasks], folders: Folders) -> None:
    """Draw the total rewards of trained agents as bars, those of classical ones as lines."""
    width, missing = 0.8 / len(ALGOS), []
    for i, algo in enumerate(ALGOS):
        row, offset = ALGORITHMS[algo], (i - (len(ALGOS) - 1) / 2) * width
        cells = [read_cell(folders.pretrained, each, algo, folders.scale) for each in panel]
        scores = [
            (place + offset, *mean_and_error(cell.exported_run.returns[tasks.variation]["sampled"]))
            for place, (cell, tasks) in enumerate(zip(cells, panel, strict=True))
            if cell is not None
        ]
        if not scores:
            missing.append(row.title)
            continue
        places, means, errors = zip(*scores, strict=True)
        axes.bar(places, means, width, yerr=errors, color=row.colour, label=row.title)
    for title, colour in LINES.items():
        for place, tasks in enumerate(panel):
            played = read_classical(folders.records, tasks)
            if title in played:
                line = (played[title].mean(), place - 0.45, place + 0.45)
                axes.hlines(*line, colour, label=title if place == 0 else "")
    if missing:
        axes.set_title(f"{NOT_TRAINED}: {', '.join(missing)}", loc="left", fontsize="small")
    axes.set_xticks(range(len(panel)), [tasks.variation for tasks in panel])
    axes.axhline(0, color="k", linewidth=0.5)
    axes.set_ylabel(f"{panel[0].size}x{panel[0].size}: total reward")
    axes.spines[["top", "right"]].set_visible(False)


def labelled(axes: Axes) -> Iterable[tuple[Any, str]]:
    """Return what the legend shows of a panel, with its label."""
    return zip(*axes.get_legend_handles_labels(), strict=True)


ITEM = Item(
    title="Figure 3c: gridworlds and their variations",
    sweeps=("gridworlds",),
    tasks=TASKS,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run_script(ITEM, Path(__file__)))
