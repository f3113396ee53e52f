"""Names in tables and figures.

Tasks have their domain's title, the size and H; a trained agent has its algorithm's title, and what
differs from the usual run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rl3_sb3.experiments.domains import CANONICAL, domain_of
from rl3_sb3.experiments.learners import learner_of
from rl3_sb3.experiments.settings.filling import usual_estimator
from rl3_sb3.experiments.settings.recipes import DEFAULT_RECIPE, settings_of
from rl3_sb3.experiments.settings.run_config import IDENTITY, RunConfig

# Never part of a name: the length of a run and its batches. Tables have columns for steps.
_UNTOLD = {*IDENTITY, "iterations", "n_envs", "batch_size", "validate_every", "critic_first"}
# Told of a run that started from another agent, and not of the others.
_START = "start_from"
# Part of the name if not the algorithm's usual value. Any other setting is part of the name if the
# runs of a table differ in it.
_TELLING = ("recipe", "variation", "signal", "critic_sees", "policy", "estimator")


def domain_title(domain: str, size: int | None) -> str:
    """Return the name of a domain's tasks of one size.

    Example:
        >>> domain_title("frozen-lake", 4), domain_title("bandit", None)
        ('Frozen lakes 4x4', 'Bandits')
    """
    return domain_of(domain).title + (f" {size}x{size}" if size else "")


def tasks_title(domain: str, size: int | None, horizon: int, variation: str = CANONICAL) -> str:
    """Return the name of tasks in which agents are compared.

    Example:
        >>> tasks_title("gridworld", 13, 350), tasks_title("bandit", None, 100, "ood")
        ('Gridworlds 13x13, H = 350', 'Bandits, H = 100, ood')
    """
    shifted = "" if variation == CANONICAL else f", {variation}"
    return f"{domain_title(domain, size)}, H = {horizon}{shifted}"


def agent_labels(configs: Sequence[RunConfig]) -> list[str]:
    """Return a name for each of the runs compared in a table."""
    flats = [config.flat() for config in configs]
    labels = []
    for config, flat in zip(configs, flats, strict=True):
        compared = [
            other
            for other in flats
            if all(other[name] == flat[name] for name in ("domain", "size"))
        ]
        labels.append(config.title + _notes(config, flat, compared))
    return labels


def _notes(
    config: RunConfig, flat: Mapping[str, Any], compared: Sequence[Mapping[str, Any]]
) -> str:
    # The options of an unusual policy or estimator are not special; that it is unusual is.
    usual = config.usual("policy", "estimator")
    usual["policy"] = config.algorithm.policy
    usual["estimator"] = usual_estimator(config.facts, config.algorithm)
    # Named in tables even if a domain uses them in all its runs.
    told = settings_of(config.recipe, lambda: config.facts.has_tables)
    usual |= {name: told[name] for name in ("signal", "critic_sees")}
    usual["recipe"] = config.facts.settings.get("recipe", DEFAULT_RECIPE)
    usual["variation"] = CANONICAL
    notes = []
    for name, value in flat.items():
        if name in _UNTOLD or (name == _START and value == usual[name]):
            continue
        if name.startswith(_TELLING):
            is_told = value != usual[name]
        else:
            differ = [other for other in compared if other[name] != value]
            is_told = any(other["recipe"] == config.recipe for other in differ)
            is_told |= bool(differ) and value != usual[name]
        if is_told:
            notes.append(f"{name} {_shown(name, value)}")
    return f" ({', '.join(notes)})" if notes else ""


def _shown(name: str, value: Any) -> str:
    """Return a setting's value in a name; learners and policies of one's own have short ones."""
    if isinstance(value, bool):
        return str(value).lower()
    if name == "estimator" and value is not None:
        return learner_of(value).title if ":" in value else value
    return value.rpartition(":")[2] if name == "policy" else str(value)
