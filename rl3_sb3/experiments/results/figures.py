"""Draw the figure of a comparison: learning curves, and rewards within the meta-episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rl3_sb3.experiments.algorithms import colour_of
from rl3_sb3.experiments.drawing import Axes, Figure, MaxNLocator
from rl3_sb3.experiments.evaluation.scores import Evaluation, Score
from rl3_sb3.experiments.results.curve_lines import finish, untrained_looks
from rl3_sb3.experiments.results.run_curves import (
    Run,
    draw_panel,
    panels_of,
    untrained_levels,
)
from rl3_sb3.experiments.settings.run_config import RunConfig

_GREY = "#777777"  # for trained agents without a colour in `ALGORITHMS`
_STYLES = {"sampled": "-", "greedy": "--"}


def draw_comparison(file: Path, runs: Sequence[Run], evaluations: Sequence[Evaluation]) -> None:
    """Draw learning curves, and rewards within the meta-episode, side by side.

    Args:
        file: The file to write; its suffix determines the format.
        runs: Runs in the same tasks.
        evaluations: Evaluations of these runs, and perhaps of classical agents, in the same
            held-out tasks.
    """
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    learning, within = figure.subplots(1, 2)
    (panel,) = panels_of(runs)
    draw_panel(learning, replace(panel, levels=untrained_levels(evaluations)), "steps")
    learning.set_title(f"Meta-training on {panel.title}")
    _draw_within(within, runs[0].config, evaluations)
    finish(within)
    # One legend for both, outside of them, where it covers nothing.
    entries = dict[str, Any]()
    for axes in (learning, within):
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    figure.legend(
        entries.values(), entries, loc="outside lower center", ncols=len(entries), frameon=False
    )
    figure.savefig(file, dpi=150)


def _draw_within(axes: Axes, config: RunConfig, evaluations: Sequence[Evaluation]) -> None:
    # Steps within an episode are not comparable with each other, so average over whole episodes.
    length = min(config.task_horizon, config.horizon)
    n_episodes = config.horizon // length
    episodes = np.arange(1, n_episodes + 1)
    scores = {score.label: score for each in evaluations for score in each.scores}
    levels = untrained_looks(list(untrained_levels(evaluations)))
    for label, score in scores.items():
        if not score.play and label not in levels:
            continue
        look = _trained_look(score) if score.play else levels[label]
        if score.by_step is None:
            level = float(np.mean(score.returns)) / config.horizon
            axes.axhline(level, linewidth=1, label=label, **look)
            continue
        shown = score.by_step[: n_episodes * length]
        axes.plot(episodes, shown.reshape(n_episodes, length).mean(axis=1), label=label, **look)
    if axes.get_ylim()[0] >= 0:
        axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(f"Within a meta-episode ({len(evaluations[0].oracle)} held-out tasks)")
    axes.set_xlabel(f"episode ({length} step{'s' if length > 1 else ''} each)")
    axes.set_ylabel("reward per step")


def _trained_look(score: Score) -> dict[str, Any]:
    return {"color": colour_of(score.title, _GREY), "linestyle": _STYLES[score.play]}
