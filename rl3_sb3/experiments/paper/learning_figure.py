"""Draw learning curves from stored records: Figures 5 and 6 of the paper."""

from __future__ import annotations

from collections.abc import Sequence

from rl3_sb3.experiments.algorithms import ALGORITHMS
from rl3_sb3.experiments.drawing import Figure
from rl3_sb3.experiments.paper.comparison import NOT_TRAINED, Tasks, read_cell, read_classical
from rl3_sb3.experiments.paper.curves import draw_curves
from rl3_sb3.experiments.paper.script import Folders

_PANEL = (4.0, 4.0)  # inches


def show_learning(
    folders: Folders,
    name: str,
    tasks: Sequence[Tasks],
    algos: Sequence[str],
    classical: Sequence[str],
) -> None:
    """Draw a panel for each kind of tasks, and print what is missing.

    Args:
        folders: The folders to read and write.
        name: Name of the picture's file.
        tasks: One kind of tasks for each panel.
        algos: The trained agents.
        classical: Titles of the classical agents whose means are drawn as lines, if known.
    """
    width, height = _PANEL
    figure = Figure(figsize=(width * len(tasks), height), layout="constrained")
    (panels,) = figure.subplots(1, len(tasks), squeeze=False)
    for axes, each in zip(panels, tasks, strict=True):
        trained, missing = {}, []
        for algo in algos:
            cell = read_cell(folders.pretrained, each, algo, folders.scale)
            if cell is None:
                print(f"{NOT_TRAINED}: {each.cell(algo, folders.scale)}")
                missing.append(ALGORITHMS[algo].title)
            else:
                trained[algo] = cell
        returns = read_classical(folders.records, each)
        draw_curves(axes, trained, {t: returns[t].mean() for t in classical if t in returns})
        axes.set_title(each.title)
        if missing:
            note = f"{NOT_TRAINED}: {', '.join(missing)}"
            axes.text(0.5, 0.02, note, transform=axes.transAxes, ha="center", fontsize=8)
        if axes.lines:  # each panel has its own classical agents
            axes.legend(frameon=False)
    panels[0].set_ylabel("total reward of the training meta-episodes")
    file = folders.figure_file(name)
    figure.savefig(file, dpi=120)
    print(f"figure: {file}")
