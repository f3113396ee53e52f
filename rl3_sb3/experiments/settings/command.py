"""Reconstruct the command that trains a run from its settings."""

from __future__ import annotations

from typing import Any

from rl3_sb3.experiments.settings.run_config import RunConfig
from vamdp.shell import quoted

_PARTS = ("policy", "estimator")


def command_of(config: RunConfig) -> str:
    """Return the shortest `rl3 train` command for a run with these settings, without its folder.

    Example:
        >>> command_of(RunConfig.of("bandit", algo="rl2", recipe="ours", iterations=200))
        'rl3 train bandit --algo rl2 --horizon 100 --seed 0 --recipe ours --iterations 200'
    """
    usual = _usual(config)
    words = ["rl3 train", config.domain, f"--algo {config.algo}"]
    if config.size is not None:
        words.append(f"--size {config.size}")
    words += [f"--horizon {config.horizon}", f"--seed {config.seed}", f"--recipe {config.recipe}"]
    given = {name: value for name, value in config.flat().items() if value != usual[name]}
    if "iterations" in given:
        words.append(f"--iterations {given.pop('iterations')}")
    if "start_from" in given:
        words.append(f"--start-from {quoted(given.pop('start_from'))}")
    words += [f"--set {quoted(f'{name}={_text(value)}')}" for name, value in given.items()]
    return " ".join(words)


def _usual(config: RunConfig) -> dict[str, Any]:
    """Return the settings of a run for which only its identity and recipe were given.

    If its policy or estimator is not the usual one, their arguments have their own defaults.
    """
    usual = config.usual()
    others = [name for name in _PARTS if getattr(config, name) != usual[name]]
    if not others:
        return usual
    return config.usual(*others) | {name: usual[name] for name in _PARTS}


def _text(value: Any) -> str:
    """Return a value as text that `read_value` and `as_numbers` can read."""
    if isinstance(value, tuple):
        return ",".join(map(str, value)) + ("," if len(value) == 1 else "")
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
