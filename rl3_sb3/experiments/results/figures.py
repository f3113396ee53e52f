"""Figures, drawn into files without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rl3_sb3.experiments.algorithms import colour_of
from rl3_sb3.experiments.drawing import Axes, Figure, MaxNLocator
from rl3_sb3.experiments.results.evaluation import Evaluation, Score
from rl3_sb3.experiments.runs.metrics import RETURN, STEPS, read_metrics
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.settings.run_config import RunConfig

# Yardsticks that no algorithm's row colours.
_GREY, _BLACK = "#777777", "#000000"
_STYLES = {"sampled": "-", "greedy": "--", "": ":"}


def draw_comparison(
    file: Path,
    config: RunConfig,
    runs: Mapping[str, RunDirectory],
    evaluations: Sequence[Evaluation],
) -> None:
    """Draw learning curves, and rewards within the meta-episode, side by side.

    Args:
        file: Where to; its ending gives the format.
        config: Of one of the runs; they share domain and horizon.
        runs: Their folders by title.
        evaluations: Of the same held-out tasks.
    """
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    learning, within = figure.subplots(1, 2)
    _draw_learning(learning, config, runs, evaluations[0])
    _draw_within(within, config, evaluations)
    for axes in (learning, within):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    figure.savefig(file, dpi=150)


def _draw_learning(
    axes: Axes, config: RunConfig, runs: Mapping[str, RunDirectory], evaluation: Evaluation
) -> None:
    for score in evaluation.scores:
        if not score.play:
            mean = float(np.mean(score.returns))
            axes.axhline(mean, color=_colour(score), linestyle=":", label=score.label)
    for title, directory in runs.items():
        rows = read_metrics(directory.metrics_file)
        steps = np.array([row[STEPS] for row in rows]) / 1000
        axes.plot(steps, [row[RETURN] for row in rows], color=colour_of(title, _GREY), label=title)
    axes.set_title(f"Meta-training on {config.facts.title}")
    axes.set_xlabel("training steps (thousands)")
    axes.set_ylabel(f"total reward in {config.horizon} steps")


def _draw_within(axes: Axes, config: RunConfig, evaluations: Sequence[Evaluation]) -> None:
    # An episode's steps differ by their clock, so that only whole episodes compare.
    length = min(config.task_horizon, config.horizon)
    n_episodes = config.horizon // length
    episodes = np.arange(1, n_episodes + 1)
    drawn = set()
    for score in (score for evaluation in evaluations for score in evaluation.scores):
        if score.label in drawn:
            continue
        drawn.add(score.label)
        look: dict[str, Any] = {
            "color": _colour(score),
            "linestyle": _STYLES[score.play],
            "label": score.label,
        }
        if score.by_step is None:
            axes.axhline(float(np.mean(score.returns)) / config.horizon, **look)
            continue
        shown = score.by_step[: n_episodes * length]
        axes.plot(episodes, shown.reshape(n_episodes, length).mean(axis=1), **look)
    if axes.get_ylim()[0] >= 0:
        axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(f"Within a meta-episode ({len(evaluations[0].oracle)} held-out tasks)")
    axes.set_xlabel(f"episode ({length} step{'s' if length > 1 else ''} each)")
    axes.set_ylabel("reward per step")


def _colour(score: Score) -> str:
    return colour_of(score.title, _BLACK if score.by_step is None else _GREY)
