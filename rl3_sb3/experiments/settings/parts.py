"""Turn the arguments of a run's policy and estimator into settings.

Names and defaults come from their own classes; nothing here repeats them.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from dataclasses import MISSING, asdict, fields
from functools import cache
from types import NoneType
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.learners import learner_of
from rl3_sb3.experiments.policies import policy_of
from rl3_sb3.experiments.settings.setting import (
    LARGEST,
    as_float,
    as_numbers,
    full_name,
)
from rl3_sb3.policy import POLICIES
from vamdp.estimators.table import BUILT_INS

# Arguments that are no settings: for real-valued actions, where ours are discrete; replaced by the
# setting `critic_sees`; and for policies that are not trained.
_NOT_FOR_US = ("log_std_init", "critic_only", "actor_only")
# Types of settings, which JSON can hold.
_STORABLE = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a name",
    tuple: "numbers such as 0.5,2",
    NoneType: "nothing",
}


def policy_names() -> list[str]:
    """Return the names of all policies."""
    return [*POLICIES]


def estimator_names() -> list[str]:
    """Return the names of all estimators."""
    return [*BUILT_INS]


@cache
def policy_defaults(policy: str) -> Mapping[str, Any]:
    """Return the arguments of a policy's class with their defaults.

    Raises:
        InputError: There is no such policy.
    """
    kind = policy_of(policy)
    of_network = kind.network_defaults()
    # Only the context's length has no default; `TransformerPPO` sets it.
    arguments = {name: value for name, value in of_network.items() if value is not ...}
    for each in inspect.signature(kind).parameters.values():
        if each.kind is each.KEYWORD_ONLY and each.name not in _NOT_FOR_US:
            arguments[each.name] = each.default
    return arguments


def checked_policy_arguments(policy: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return all arguments of a policy with their types, after trying them on a small one.

    Raises:
        InputError: One is unknown, of another type, or out of range.
    """
    defaults = policy_defaults(policy)
    checked = _in_types("policy", defaults, arguments)
    _try_policy(policy, tuple(checked.items()))
    return checked


def with_oldest_choices(policy: Any, arguments: Any) -> Any:
    """Return a policy's arguments as stored by a version that did not have a choice yet.

    Anything that is not a policy and a table is returned unchanged, to be checked later.
    """
    if not (isinstance(policy, str) and policy in POLICIES and isinstance(arguments, Mapping)):
        return arguments
    return {**policy_of(policy).oldest_choices(), **arguments}


@cache
def _try_policy(policy: str, arguments: tuple[tuple[str, Any], ...]) -> None:
    """Raise InputError unless a policy with these arguments can be created, on a small space."""
    given = dict(arguments)
    kind = policy_of(policy)
    filled_in = kind.network_defaults().keys() - given.keys()
    needed: dict[str, Any] = dict.fromkeys(filled_in, 1)
    space = spaces.Box(-1, 1, (1,), np.float32)
    try:
        with th.random.fork_rng(devices=[]):
            kind(space, spaces.Discrete(2), lambda _: 0.0, **needed, **given)
    except (ValueError, TypeError, RuntimeError, MemoryError) as error:
        message = _with_prefix(str(error), "policy", given)
        if "`" not in message:
            message = f"`policy` {policy} cannot be made with these arguments: {message}"
        raise InputError(message) from error


def is_of_another_part(name: str, known: Collection[str]) -> bool:
    """Return whether a policy or estimator has this setting, but none of those in `known`."""
    others = {f"policy.{each}" for policy in POLICIES for each in policy_defaults(policy)}
    others |= {
        f"estimator.{each}"
        for estimator in BUILT_INS
        for each in estimator_defaults(estimator, task_horizon=1)
    }
    return any(name in (each, each.rpartition(".")[2]) for each in others - set(known))


def estimator_defaults(estimator: str | None, *, task_horizon: int) -> dict[str, Any]:
    """Return the options of an estimator with their defaults; {} for None.

    Args:
        estimator: Its name.
        task_horizon: Default of an option of this name that has none of its own.

    Raises:
        InputError: There is no such estimator, or an option cannot be a setting.
    """
    if estimator is None:
        return {}
    defaults: dict[str, Any] = {}
    for each in fields(_options_class(estimator)):
        default = each.default
        if default is MISSING and each.default_factory is not MISSING:
            default = each.default_factory()
        if default is MISSING and each.name == "task_horizon":
            default = task_horizon
        if type(default) not in _STORABLE:
            got = "no default" if default is MISSING else f"the default {default!r}"
            raise InputError(
                "`estimator` must be a learner whose options have defaults that are numbers, "
                f"booleans, names, tuples or None, got {estimator!r}, whose option {each.name} has "
                f"{got}. Give it one."
            )
        defaults[each.name] = default
    return defaults


def checked_estimator_options(estimator: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options of an estimator with their types.

    Raises:
        InputError: One is unknown, of another type, or out of range.
    """
    if estimator is None:
        if options:
            raise InputError(f"`estimator_options` must be empty without one, got {options}.")
        return {}
    defaults = estimator_defaults(estimator, task_horizon=1)
    checked = _in_types("estimator", defaults, options)
    try:
        return asdict(_options_class(estimator)(**checked))
    except (ValueError, TypeError) as error:
        raise InputError(_with_prefix(str(error), "estimator", checked)) from error


def _options_class(estimator: str) -> type[Any]:
    return learner_of(estimator).options


def _in_types(prefix: str, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults, replaced by the given values, which must have the same types."""
    checked = dict(defaults)
    for name, value in given.items():
        full_name(f"{prefix}.{name}", [f"{prefix}.{known}" for known in defaults])
        wanted = type(defaults[name])
        if wanted in (NoneType, tuple):
            value = as_numbers(value)
        if wanted is NoneType:  # the type is unknown; the class of the options checks the value
            checked[name] = value
            continue
        if wanted is float and type(value) is int:
            value = as_float(value)
        is_too_large = wanted is int and type(value) is int and abs(value) > LARGEST
        if type(value) is not wanted or is_too_large:
            raise InputError(f"`{prefix}.{name}` must be {_STORABLE[wanted]}, got {value!r}.")
        checked[name] = value
    return checked


def _with_prefix(message: str, prefix: str, names: Mapping[str, Any]) -> str:
    """Return an error message with the full names of the settings."""
    for name in names:
        for end in "`[":  # the whole value, or one entry
            message = message.replace(f"`{name}{end}", f"`{prefix}.{name}{end}")
    return message
