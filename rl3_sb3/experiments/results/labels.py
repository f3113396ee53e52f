"""Names of trained agents in tables: the algorithm's title, and what is special about the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rl3_sb3.experiments.settings.run_config import IDENTITY, RunConfig

# How long a run is and how it is cut changes no agent's name: tables have columns for steps.
_UNTOLD = {*IDENTITY, "iterations", "n_envs", "batch_size", "validate_every"}
# Told wherever they differ from the algorithm's; other settings only where runs differ by them.
_TELLING = ("variation", "signal", "policy", "estimator")


def agent_labels(configs: Sequence[RunConfig]) -> list[str]:
    """Return a name for each of the runs that a table compares.

    Runs of one algorithm on one kind of task that differ by a setting are told apart by it. What
    the agent was trained on or learned from is told always.
    """
    flats = [config.flat() for config in configs]
    labels = []
    for config, flat in zip(configs, flats, strict=True):
        relatives = [
            other
            for other in flats
            if all(other[name] == flat[name] for name in ("algo", "domain", "size"))
        ]
        labels.append(config.title + _notes(config, flat, relatives))
    return labels


def _notes(
    config: RunConfig, flat: Mapping[str, Any], relatives: Sequence[Mapping[str, Any]]
) -> str:
    kind: dict[str, Any] = {"algo": config.algo, "horizon": config.horizon, "size": config.size}
    # The options of another policy or estimator are no peculiarities; that it is another one is.
    parts: dict[str, Any] = {"policy": config.policy, "estimator": config.estimator}
    row = {"policy": config.algorithm.policy, "estimator": config.algorithm.estimator}
    usual = {**RunConfig.of(config.domain, **kind, **parts).flat(), **row}
    notes = []
    for name, value in flat.items():
        if name in _UNTOLD:
            continue
        is_special = name.startswith(_TELLING) and value != usual.get(name)
        differs = any(other.get(name) != value for other in relatives)
        if is_special or differs:
            notes.append(f"{name} {value}" if not isinstance(value, bool) else _flag(name, value))
    return f" ({', '.join(notes)})" if notes else ""


def _flag(name: str, value: bool) -> str:
    return name if value else f"no {name}"
