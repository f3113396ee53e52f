"""A setting of a run: a name, a type, a range, and a line of help.

`RunConfig` declares its fields with `setting`. The policy's arguments and the estimator's options,
declared by their own classes, are settings too. All of them are given in the same ways (`--set
NAME=VALUE`, a key in a sweep's TOML, a keyword of `RunConfig.of`), checked by the same code, and
cause the same error.

    learning_rate=1e-3        a field of `RunConfig`
    gae_lambda=0.3:1@0.5      a field that may change during the run, see `schedules`
    policy.d_model=32         an argument of the policy's class; short: d_model=32
    estimator.gamma=0.95      an option of the estimator; it has no short name, as gamma is PPO's
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field
from typing import Any

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.settings.schedules import Schedule

# How like a known name a misspelt one must be (difflib's ratio). At the usual 0.6, `d_model` would
# be taken for `reward_model`.
_NEAR = 0.75

#: More environments, iterations or sweeps than this must be a typing error.
LARGEST = 2**31 - 1

_CONSTANTS: Mapping[str, Any] = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class Setting:
    """The values that a setting may have.

    Attributes:
        help: One line that describes the setting.
        group: The group in which `rl3 train --help` lists it.
        kind: int, float, bool or str.
        least: Smallest number allowed.
        most: Largest number allowed.
        above: Numbers must be larger than this.
        optional: Whether None is allowed.
        scheduled: Whether a `Schedule` is allowed.
        choices: The texts allowed; empty: all.
        is_large: Whether integers beyond `LARGEST` are allowed.
    """

    help: str
    group: str
    kind: type
    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    optional: bool = False
    scheduled: bool = False
    choices: tuple[str, ...] = ()
    is_large: bool = False

    def checked(self, name: str, value: Any) -> Any:
        """Return the value with its type; the text of a schedule becomes a `Schedule`.

        Args:
            name: Name of the setting, for the error.
            value: The value as it was given.

        Raises:
            InputError: The value has another type, or is out of range.
        """
        if self.optional and value in (None, "none"):
            return None
        if self.scheduled and isinstance(value, str | Schedule):
            return self._checked_schedule(name, value)
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = as_float(value)
        if type(value) is not self.kind or (self.choices and value not in self.choices):
            raise self._error(name, value)
        if isinstance(value, int | float) and not self._contains(value):
            raise self._error(name, value)
        return value

    def _checked_schedule(self, name: str, value: str | Schedule) -> Schedule:
        try:
            schedule = Schedule.parse(value) if isinstance(value, str) else value
        except ValueError as error:
            raise self._error(name, value) from error
        if not (self._contains(schedule.start) and self._contains(schedule.end)):
            raise self._error(name, str(schedule))
        return schedule

    def _contains(self, value: float) -> bool:
        # Not `value < least`, which is False for NaN.
        inside = self.least <= value <= self.most and self.above < value
        return inside and value < math.inf and not self._is_too_large(value)

    def _is_too_large(self, value: Any) -> bool:
        return self.kind is int and type(value) is int and not self.is_large and value > LARGEST

    def _error(self, name: str, value: Any) -> InputError:
        wanted = f"an integer of at most {LARGEST}" if self._is_too_large(value) else self.wanted
        return InputError(f"`{name}` must be {wanted}, got {value!r}.")

    @property
    def wanted(self) -> str:
        """The allowed values in words."""
        if self.kind is bool:
            words = "true or false"
        elif self.choices:
            words = f"one of {', '.join(self.choices)}"
        elif self.kind is str:
            words = "a name"
        else:
            words = f"{'an integer' if self.kind is int else 'a number'}{self._range()}"
        words += " or a schedule such as 0.3:1@0.5" if self.scheduled else ""
        return words + (" or none" if self.optional else "")

    def _range(self) -> str:
        if self.above > -math.inf:
            return f" above {self.above:g}"
        if self.most < math.inf:
            return f" in [{self.least:g}, {self.most:g}]"
        return f" of at least {self.least:g}" if self.least > -math.inf else ""


def setting(help: str, *, group: str, default: Any = MISSING, **limits: Any) -> Any:
    """Return a dataclass field that is a setting. Its kind comes from the field's annotation.

    Args:
        help: See `Setting`.
        group: See `Setting`.
        default: Default of the field; without it, the field is required.
        **limits: The other attributes of `Setting`.
    """
    return field(default=default, metadata={"setting": {"help": help, "group": group, **limits}})


def declared(of: Field[Any]) -> Setting | None:
    """Return the setting that a dataclass field declares; None if the field is not a setting.

    The annotation is text such as "int", "float | None" or "float | Schedule".
    """
    if "setting" not in of.metadata:
        return None
    first, *others = str(of.type).split(" | ")
    kind = {"int": int, "float": float, "bool": bool, "str": str}[first]
    return Setting(
        kind=kind,
        optional="None" in others,
        scheduled="Schedule" in others,
        **of.metadata["setting"],
    )


def as_float(value: int) -> float:
    """Return an integer as a float; infinity if it is too large."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def read_value(text: str) -> Any:
    """Return the value of a text on the command line: a number, true, false, none, or the text.

    Example:
        >>> [read_value(text) for text in ("32", "1e-3", "true", "none", "0.1:0")]
        [32, 0.001, True, None, '0.1:0']
    """
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def as_numbers(value: Any) -> Any:
    """Return numbers in a text or a list as a tuple; any other value unchanged.

    Example:
        >>> [as_numbers(value) for value in ("0.5,2", "[3, 4]", "3,", [1, 2.5], 7, "many", None)]
        [(0.5, 2.0), (3.0, 4.0), (3.0,), (1, 2.5), 7, 'many', None]
    """
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, str) and "," in value:
        plain = value.strip("[]() ").removesuffix(",")
        try:
            return tuple(float(number) for number in plain.split(","))
        except ValueError:
            return value
    return value


def read_assignments(texts: Iterable[str]) -> dict[str, Any]:
    """Return the settings in texts such as `learning_rate=1e-3`.

    Raises:
        InputError: A text has no name, or a name occurs twice.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name and sign):
            raise InputError(f"`--set` must be NAME=VALUE, got {text!r}.")
        if name in values:
            raise InputError(f"`--set` must give each name once, got {name} twice.")
        values[name] = read_value(value)
    return values


def full_name(name: str, known: Iterable[str], beside: Iterable[str] = ()) -> str:
    """Return the full name of a setting, which may be given by its short name.

    Args:
        name: The name as it was given.
        known: All full names.
        beside: Names that are no settings, but may be meant.

    Raises:
        InputError: There is no setting of this name; the error suggests the nearest one.
    """
    names = list(known)
    if name in names:
        return name
    short = [each for each in names if each.rpartition(".")[2] == name]
    if len(short) == 1:
        return short[0]
    if short:
        raise InputError(f"`{name}` must be one of {', '.join(short)}: it stands for all of them.")
    prefix, dot, _ = name.partition(".")
    own = name.rpartition(".")[2]
    same = [each for each in names if dot and each.startswith(prefix + dot)]
    if same and not _near(own, [each.rpartition(".")[2] for each in same]):
        raise InputError(
            f"`{name}` is not a setting of this run: the options of its {prefix} are "
            f"{', '.join(each.rpartition('.')[2] for each in same)}."
        )
    if dot and not same and prefix in names:  # all policies have arguments
        raise InputError(
            f"`{name}` is not a setting of this run: its {prefix} has no options. Leave it out; a "
            "learner of your own has options if you name a vamdp.estimators.Learner."
        )
    near = _near(name, [*names, *({*beside} - {name})]) or _near(
        name, [each.rpartition(".")[2] for each in names]
    )
    hint = f"did you mean {near}?" if near else f"known are {', '.join(names)}."
    raise InputError(f"`{name}` is not a setting of this run: {hint}")


def _near(name: str, known: Sequence[str]) -> str:
    """Return the known name that a misspelt one must have meant; "" if there is none so near."""
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=_NEAR)), "")
