"""The list of all settings at the end of `rl3 train --help`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from rl3_sb3.experiments.settings.parts import (
    estimator_defaults,
    estimator_names,
    policy_defaults,
    policy_names,
)
from rl3_sb3.experiments.settings.recipes import DEFAULT_RECIPE, RECIPES
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.experiments.settings.setting import Setting, declared

_INTRODUCTION = """\
settings (--set NAME=VALUE, or NAME = VALUE in a sweep's [settings], with texts such as schedules in
quotes; horizons and seeds are lists of the sweep):
  Defaults are in parentheses. A domain may have other ones; a run's config.json holds all settings.
  Where tasks are environments without tables, these are reward (signal), 1.0 (signal_scale),
  0.95 (gae_lambda) and true (normalize_returns).
  A schedule 0.3:1@0.5 moves linearly from 0.3 to 1 over the first half of the run and then stays;
  0.1:0 moves over the whole run.
"""


def settings_help() -> str:
    """Return one line per setting, in groups, with the defaults of the usual recipe."""
    return _INTRODUCTION + "\n".join(_lines())


def _lines() -> Iterator[str]:
    group = ""
    for each in fields(RunConfig):
        setting = declared(each)
        if setting is None:
            continue
        if setting.group != group:
            group = setting.group
            yield f"\n{group}:"
        yield _line(each.name, setting)
    for policy in policy_names():
        yield from _table(f"arguments of {policy}", "policy", policy_defaults(policy))
    for name in estimator_names():
        options = estimator_defaults(name, task_horizon=0)
        yield from _table(f"options of the {name} estimator", "estimator", options)


def _line(name: str, setting: Setting) -> str:
    usual = {"recipe": DEFAULT_RECIPE, **RECIPES[DEFAULT_RECIPE]}
    default = f" ({_text(usual[name])})" if name in usual else ""
    return f"  {name:<21}{setting.help}; {setting.wanted}{default}"


def _table(title: str, prefix: str, defaults: Mapping[str, Any]) -> Iterator[str]:
    yield f"\n{title}:"
    usual = RECIPES[DEFAULT_RECIPE]
    for name, default in defaults.items():
        full = f"{prefix}.{name}"
        shown = "the domain's" if name == "task_horizon" else _text(usual.get(full, default))
        yield f"  {full:<33}({shown})"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool | None) else str(value)
