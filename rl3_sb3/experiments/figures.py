"""Figures, drawn into files without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rl3_sb3.experiments.config import RunConfig
from rl3_sb3.experiments.evaluation import Evaluation
from rl3_sb3.experiments.metrics import RETURN, STEPS, read_metrics
from rl3_sb3.experiments.run_directory import RunDirectory

# Okabe and Ito's colours, told apart by every kind of colour vision.
_COLOURS = {
    "RL²": "#d55e00",
    "RL³": "#0072b2",
    "RL³-coarse": "#56b4e9",
    "RL³ (Markov)": "#009e73",
    "random": "#777777",
}


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
    random = float(np.mean(evaluation.rewards["random"].returns))
    axes.axhline(random, color=_COLOURS["random"], linestyle=":", label="random")
    for title, directory in runs.items():
        rows = read_metrics(directory.metrics_file)
        steps = np.array([row[STEPS] for row in rows]) / 1000
        axes.plot(steps, [row[RETURN] for row in rows], color=_COLOURS[title], label=title)
    axes.set_title(f"Meta-training on {config.facts.title}")
    axes.set_xlabel("training steps (thousands)")
    axes.set_ylabel(f"total reward in {config.horizon} steps")


def _draw_within(axes: Axes, config: RunConfig, evaluations: Sequence[Evaluation]) -> None:
    # An episode's steps differ by their clock, so that only whole episodes compare.
    length = min(config.task_horizon, config.horizon)
    n_episodes = config.horizon // length
    episodes = np.arange(1, n_episodes + 1)
    drawn = set()
    for evaluation in evaluations:
        for title, got in evaluation.rewards.items():
            if title in drawn:
                continue
            drawn.add(title)
            by_episode = got.by_step[: n_episodes * length].reshape(n_episodes, length).mean(axis=1)
            style = ":" if title == "random" else "-"
            axes.plot(episodes, by_episode, color=_COLOURS[title], linestyle=style, label=title)
    oracle = float(np.mean(evaluations[0].oracle)) / config.horizon
    axes.axhline(oracle, color="black", linestyle="--", linewidth=1, label="oracle")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(f"Within a meta-episode ({len(evaluations[0].oracle)} held-out tasks)")
    axes.set_xlabel(f"episode ({length} step{'s' if length > 1 else ''} each)")
    axes.set_ylabel("reward per step")
