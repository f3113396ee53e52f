"""The object-level learners of a run: built-in ones, and custom ones by MODULE:NAME."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.named import attribute_of
from vamdp.estimators import BUILT_INS, Learner
from vamdp.vector import ValueAugment

# Arguments of `ValueAugment`, which takes options by name beside them.
_TAKEN = inspect.signature(ValueAugment).parameters.keys() - {"task_horizon"}


@dataclass(frozen=True)
class NoOptions:
    """The options of a learner that has none."""


def learner_of(name: str) -> Learner:
    """Return the learner of this name, or the one that `module:attribute` names.

    An attribute is a `vamdp.estimators.Learner`, or a class or function (n_tasks, n_actions) ->
    learner, as for `vamdp.ValueAugment`, which then has no options.

    Raises:
        InputError: There is no such learner.
    """
    if name in BUILT_INS:
        return BUILT_INS[name]
    if ":" not in name:
        near = difflib.get_close_matches(name, BUILT_INS, n=1)
        raise InputError(
            f"`estimator` must be one of {', '.join(BUILT_INS)}, or MODULE:NAME of your own, got "
            f"{name!r}." + (f" Did you mean {near[0]}?" if near else "")
        )
    found = attribute_of("estimator", name)
    if isinstance(found, Learner):
        taken = sorted(_TAKEN & {each.name for each in fields(found.options)})
        if taken:
            raise InputError(
                "`estimator` must have options with other names than the arguments of "
                f"vamdp.ValueAugment, got {name!r} with {', '.join(taken)}. Rename them."
            )
        return found
    if not callable(found):
        raise InputError(
            "`estimator` must name a vamdp.estimators.Learner, or a function (n_tasks, n_actions) "
            f"-> learner, got {name!r}, which is {found!r}."
        )
    return Learner(name, name.rpartition(":")[2], NoOptions, found)


def takes_reals(name: str) -> bool:
    """Return whether a learner takes real-valued states without bins, see `Estimator`."""
    return hasattr(learner_of(name).factory, "takes_reals")


def has_axes(name: str) -> bool:
    """Return whether a learner treats the axes of states differently, see `Estimator`."""
    return getattr(learner_of(name).factory, "has_axes", False)


def estimator_arguments(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `ValueAugment` for a learner and its options."""
    return {"estimator": name if name in BUILT_INS else learner_of(name), **options}
