"""Draw the learning curves of trained runs: `rl3 curves`.

Runs in the same tasks share a panel. Runs in it that differ only in their seed share a line, the
mean over the seeds, with a band from the lowest to the highest. Other runs have their own lines.

A curve is the mean total reward of each iteration's meta-episodes. Actions are sampled, and tasks
are new in every iteration, so the agent cannot have memorised them; validations would show the same
with more noise. Each point is the mean over some iterations before and after it, see
`centred_mean`. For a single run, the iterations are also shown, as a thin line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rl3_sb3.experiments.drawing import Axes, Figure
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.scores import ORACLE, RANDOM, Evaluation
from rl3_sb3.experiments.results.curve_lines import MILLION, draw_levels, draw_seeds, finish
from rl3_sb3.experiments.results.curves import FloatArray, centred_mean, half_window
from rl3_sb3.experiments.results.labels import agent_labels, tasks_title
from rl3_sb3.experiments.results.yardsticks import TASKS, read_yardsticks
from rl3_sb3.experiments.runs.metrics import RETURN, STEPS, read_metrics
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.settings.run_config import RunConfig

_PANEL = (5.6, 4.4)  # inches
_STYLES = ("-", "--", "-.", ":")
_DASH, _DOT = (6.0, 2.0), (1.0, 2.0)  # and the gap after it, in widths of a line


@dataclass(frozen=True)
class Run:
    """A run with at least one iteration.

    Attributes:
        directory: The run's folder.
        config: The run's settings.
        curve: Steps and mean total reward of each iteration, shape (n, 2).
    """

    directory: RunDirectory
    config: RunConfig
    curve: FloatArray


@dataclass(frozen=True)
class Line:
    """Runs that differ only in their seed.

    Attributes:
        label: Label in the legend.
        runs: The runs in the order of their seeds.
    """

    label: str
    runs: Sequence[Run]

    @property
    def config(self) -> RunConfig:
        """The settings of the runs, with the first one's seed."""
        return self.runs[0].config

    @property
    def n_rows(self) -> int:
        """Number of iterations that all of the runs have done."""
        return min(len(run.curve) for run in self.runs)

    def x(self, over: str) -> FloatArray:
        """Return steps or iterations, shape (n_rows,)."""
        steps = self.runs[0].curve[: self.n_rows, 0]
        return steps if over == "steps" else steps / self.config.steps_per_iteration

    def returns(self, half: int) -> FloatArray:
        """Return each seed's mean total rewards, shape (n_seeds, n_rows); see `centred_mean`."""
        return np.array([centred_mean(run.curve[: self.n_rows, 1], half) for run in self.runs])


@dataclass(frozen=True)
class Panel:
    """Lines in the same tasks.

    Attributes:
        title: The tasks.
        lines: The lines in the order of their first run.
        levels: Title of an untrained agent -> its mean total reward.
    """

    title: str
    lines: Sequence[Line]
    levels: Mapping[str, float] = field(default_factory=dict)

    @property
    def half(self) -> int:
        """Number of iterations on each side in the mean of a point."""
        return half_window(max(line.n_rows for line in self.lines))


def find_runs(path: Path) -> list[Run]:
    """Return the folder itself if it is a run with at least one iteration, else the runs in it."""
    folders = [path] if RunDirectory(path).config_file.exists() else sorted(path.glob("*"))
    directories = [RunDirectory(folder) for folder in folders]
    found = []
    for directory in directories:
        if not directory.config_file.exists():  # something else, whose metrics are not ours
            continue
        rows = read_metrics(directory.metrics_file)
        if rows:
            curve = np.array([[row[STEPS], row[RETURN]] for row in rows])
            found.append(Run(directory, directory.config_file.read(), curve))
    return found


def panels_of(runs: Sequence[Run], yardsticks: Sequence[Path] = ()) -> list[Panel]:
    """Group runs by their tasks and agents.

    Args:
        runs: The runs, at least one.
        yardsticks: Files of `rl3 baselines --json`. Each panel shows their random agent, best other
            agent and oracle. Panels without a file show the levels of the runs' evaluations.

    Raises:
        InputError: A file belongs to tasks that no run has.
    """
    by_tasks: dict[tuple[object, ...], list[Run]] = {}
    for run in _without_doubles(runs):
        by_tasks.setdefault(_tasks(run.config), []).append(run)
    means: dict[tuple[object, ...], dict[str, float]] = {}
    for file in yardsticks:
        stored = read_yardsticks(file)
        key = tuple(stored[name] for name in TASKS)
        if key not in by_tasks:
            raise InputError(
                f"`--baselines` must be of the tasks of a run that is drawn, got {file}, which is "
                f"of {_words(key)}; the runs are of {'; '.join(map(_words, by_tasks))}."
            )
        # Files of the same tasks may hold an agent each.
        found = {name: each["mean"] for name, each in stored["agents"].items()}
        means.setdefault(key, {}).update(found)
    return [
        Panel(
            tasks_title(*_tasks(group[0].config)),
            _lines(group),
            _telling(means.get(key, {})) or _evaluated(group),
        )
        for key, group in by_tasks.items()
    ]


def draw_panels(file: Path, panels: Sequence[Panel], over: str) -> None:
    """Draw panels side by side.

    Args:
        file: The file to write; its suffix determines the format.
        panels: The panels, at least one.
        over: The x axis, "steps" or "iterations".
    """
    width, height = _PANEL
    figure = Figure(figsize=(width * len(panels), height), layout="constrained")
    (all_axes,) = figure.subplots(1, len(panels), squeeze=False)
    for axes, panel in zip(all_axes, panels, strict=True):
        draw_panel(axes, panel, over)
        axes.legend(frameon=False)
    figure.savefig(file, dpi=150)


def draw_panel(axes: Axes, panel: Panel, over: str) -> None:
    """Draw the lines and the levels of a panel.

    Args:
        axes: The axes to draw on.
        panel: The panel.
        over: The x axis, "steps" or "iterations".
    """
    half = panel.half
    algos: list[str] = []
    for line in panel.lines:
        algo, x = line.config.algorithm, line.x(over)
        # An algorithm keeps its colour; its second line here is dashed.
        style = _style(algos.count(line.config.algo))
        algos.append(line.config.algo)
        if len(line.runs) == 1 and half:
            axes.plot(x, line.runs[0].curve[:, 1], color=algo.colour, alpha=0.25, linewidth=1)
        draw_seeds(axes, x, line.returns(half), line.label, color=algo.colour, linestyle=style)
    draw_levels(axes, panel.levels)
    axes.set_title(panel.title)
    if over == "steps":
        longest = max(line.x(over)[-1] for line in panel.lines)
        word, unit = ("millions", MILLION) if longest >= MILLION else ("thousands", MILLION / 1000)
        axes.set_xlabel(f"training steps ({word})")
        axes.xaxis.set_major_formatter(lambda steps, _: f"{steps / unit:g}")
    else:
        axes.set_xlabel("training iterations")
    of_several = f"\n(means of {2 * half + 1} iterations)" if half else ""
    axes.set_ylabel(f"total reward of the training meta-episodes{of_several}")
    finish(axes)


def _style(nth: int) -> Any:
    """Return how an algorithm's nth line in a panel is drawn: no two of them alike."""
    return _STYLES[nth] if nth < len(_STYLES) else (0, _DASH + (nth - 2) * _DOT)


def _tasks(config: RunConfig) -> tuple[Any, ...]:
    return tuple(getattr(config, name) for name in TASKS)


def _words(key: tuple[object, ...]) -> str:
    return " ".join(f"{name} {value}" for name, value in zip(TASKS, key, strict=True) if value)


def _without_doubles(runs: Sequence[Run]) -> list[Run]:
    """Return the runs without duplicates, which overlapping patterns such as runs/* may cause."""
    return list({run.directory.path.resolve(): run for run in runs}.values())


def _lines(runs: Sequence[Run]) -> list[Line]:
    """Return the lines of runs in the same tasks."""
    groups: dict[tuple[str, int], list[Run]] = {}
    for i, run in enumerate(runs):
        # A second run with the same seed gets its own line.
        nth = sum(other.config == run.config for other in runs[:i])
        settings = repr({**run.config.flat(), "seed": None})
        groups.setdefault((settings, nth), []).append(run)
    labels = _labels([group[0] for group in groups.values()])
    return [
        Line(
            label if len(group) == 1 else f"{label}, {len(group)} seeds",
            sorted(group, key=lambda run: run.config.seed),
        )
        for label, group in zip(labels, groups.values(), strict=True)
    ]


def _labels(runs: Sequence[Run]) -> list[str]:
    """Return the algorithms' titles, with a run's differences if titles are equal.

    Where that is equal too (tables do not tell how long a run is), the folder's name follows, with
    as many of the folders above it as tell the runs apart.
    """
    by_algo: dict[str, list[Run]] = {}
    for run in runs:
        by_algo.setdefault(run.config.algo, []).append(run)
    labels = {}
    for title, alike in ((group[0].config.title, group) for group in by_algo.values()):
        told = [title] if len(alike) == 1 else agent_labels([run.config for run in alike])
        for run, label in zip(alike, told, strict=True):
            others = zip(alike, told, strict=True)
            same = [other.directory.path for other, its in others if its == label]
            name = "" if len(same) == 1 else f", {_name_among(run.directory.path, same)}"
            labels[run.directory.path] = label + name
    return [labels[run.directory.path] for run in runs]


def _name_among(folder: Path, folders: Sequence[Path]) -> Path:
    """Return the last parts of a folder's path, as few as no other folder's path ends with."""
    parts, others = folder.resolve().parts, [other.resolve().parts for other in folders]
    n = 1
    while sum(other[-n:] == parts[-n:] for other in others) > 1:
        n += 1
    return Path(*parts[-n:])


def _evaluated(runs: Sequence[Run]) -> dict[str, float]:
    """Return the untrained agents' mean total rewards in an evaluation of one of the runs."""
    for run in runs:
        evaluation = run.directory.read_evaluation(run.config.variation)
        if evaluation is not None:
            return untrained_levels([evaluation])
    return {}


def untrained_levels(evaluations: Sequence[Evaluation]) -> dict[str, float]:
    """Return the mean total rewards of the random agent, the best of the others, and the oracle."""
    scores = [score for each in evaluations for score in each.scores if not score.play]
    return _telling({score.title: float(np.mean(score.returns)) for score in scores})


def _telling(means: Mapping[str, float]) -> dict[str, float]:
    """Return the means of the random agent, the best of the others, and the oracle."""
    others = [title for title in means if title not in (RANDOM, ORACLE)]
    best = sorted(others, key=lambda title: means[title])[-1:]
    return {title: means[title] for title in (RANDOM, *best, ORACLE) if title in means}
