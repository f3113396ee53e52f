"""Make tables and learning curves of a study's runs over several seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rl3_sb3.experiments.domains import CANONICAL
from rl3_sb3.experiments.drawing import Axes
from rl3_sb3.experiments.evaluation.scores import ORACLE, PLAYS, RANDOM, FloatArray, mean_and_error
from rl3_sb3.experiments.results.curve_lines import MILLION, draw_seeds, finish
from rl3_sb3.experiments.results.curves import centred_mean
from rl3_sb3.experiments.results.labels import tasks_title
from rl3_sb3.experiments.results.table import aligned, fraction_label, mean_label
from rl3_sb3.experiments.studies.runs import StudyRun

_SHARE = 0.9  # of the best agent's gain
_HALF = 2  # neighbouring blocks on each side in the mean of a curve's point


def by_tasks(runs: Sequence[StudyRun]) -> dict[str, list[StudyRun]]:
    """Return the runs by the title of their tasks, in order."""
    groups: dict[str, list[StudyRun]] = {}
    for run in runs:
        groups.setdefault(tasks_title(*run.tasks), []).append(run)
    return groups


def by_agent(runs: Sequence[StudyRun]) -> dict[str, list[StudyRun]]:
    """Return the runs by their agent's title, in order, and each agent's in the order of seeds."""
    groups: dict[str, list[StudyRun]] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        groups.setdefault(run.title, []).append(run)
    order = list(dict.fromkeys(run.title for run in runs))
    return {title: groups[title] for title in order}


def seeds_means(runs: Sequence[StudyRun], play: str, variation: str = CANONICAL) -> FloatArray:
    """Return each seed's mean total reward in the held-out tasks."""
    return np.array([run.scores[variation][play].mean for run in runs])


def runs_table(
    runs: Sequence[StudyRun],
    columns: Mapping[str, Callable[[Sequence[StudyRun]], str]] | None = None,
    variation: str = CANONICAL,
) -> str:
    """Return a table with a row per agent: mean over the seeds ± standard error, and all seeds.

    A sentence below it names the learning signal.

    The column `to 90 %` has the steps, in millions, at which the mean training curve first reaches
    nine tenths of the best agent's final gain over the random policy. It shows the speed of agents
    that end equally good. It is empty for agents that never reach this level.

    Args:
        runs: Runs in the same tasks.
        columns: Further columns: header -> function from an agent's runs to its entry.
        variation: Distribution of the held-out tasks.
    """
    more = columns or {}
    scores = runs[0].scores[variation]
    oracle = scores[ORACLE].mean if ORACLE in scores else np.nan
    header = [
        "agent", "steps", "to 90 %", "sampled", "greedy", "sampled, seeds", "of the oracle", *more,
    ]  # fmt: skip
    level = _level(runs, scores[RANDOM].mean) if RANDOM in scores else np.inf
    rows = [_yardstick(RANDOM, scores[RANDOM].mean, oracle, len(more))] if RANDOM in scores else []
    for title, seeds in by_agent(runs).items():
        sampled, greedy = (seeds_means(seeds, play, variation) for play in PLAYS)
        rows.append(
            [
                title,
                f"{seeds[0].n_steps / MILLION:.2f} M",
                _steps_to(seeds, level),
                mean_label(*mean_and_error(sampled)),
                mean_label(*mean_and_error(greedy)),
                ", ".join(f"{score:z.1f}" for score in sampled),
                fraction_label(float(sampled.mean()), oracle),
                *(entry(seeds) for entry in more.values()),
            ]
        )
    if ORACLE in scores:
        rows.append(_yardstick(ORACLE, oracle, oracle, len(more)))
    return f"{aligned(header, rows)}\n\n{signal_note(runs)}"


def signal_note(runs: Sequence[StudyRun]) -> str:
    """Return a sentence that says what the agents of a table learned from.

    Raises:
        ValueError: They did not all learn from the same signal, so they cannot be compared.
    """
    signals = {run.signal for run in runs}
    if len(signals) != 1:
        raise ValueError(
            f"`runs` must all have learned from the same signal, got {sorted(signals)}. Show them "
            "in separate tables."
        )
    return f"All trained agents learned from the {signals.pop()}."


def _yardstick(title: str, mean: float, oracle: float, n_more: int) -> list[str]:
    return [title, "", "", f"{mean:z.1f}", "", "", fraction_label(mean, oracle), *[""] * n_more]


def _level(runs: Sequence[StudyRun], random: float) -> float:
    """Return nine tenths of the way from the random policy to the best agent's last return."""
    last = max(_curves(seeds)[1][:, -1].mean() for seeds in by_agent(runs).values())
    return float(random + _SHARE * (last - random))


def _steps_to(seeds: Sequence[StudyRun], level: float) -> str:
    steps, returns = _curves(seeds)
    there = np.flatnonzero(returns.mean(axis=0) >= level)
    return f"{steps[there[0]]:.2f} M" if len(there) else ""


def _curves(seeds: Sequence[StudyRun]) -> tuple[FloatArray, FloatArray]:
    """Return steps in millions, (n,), and each seed's smoothed returns, up to the shortest run."""
    curves = [np.array(run.curve) for run in seeds]
    n = min(map(len, curves))
    return curves[0][:n, 0] / MILLION, np.array(
        [centred_mean(curve[:n, 1], _HALF) for curve in curves]
    )


def draw_runs(axes: Axes, runs: Sequence[StudyRun], colours: Mapping[str, str]) -> None:
    """Draw each agent's curve, the mean over its seeds, and a band from lowest to highest.

    Args:
        axes: The axes to draw on.
        runs: Runs in the same tasks.
        colours: Colours by the agents' titles; matplotlib chooses those of others.
    """
    for title, seeds in by_agent(runs).items():
        draw_seeds(axes, *_curves(seeds), title, color=colours.get(title))
    axes.set_xlabel("training steps (millions)")
    finish(axes)
