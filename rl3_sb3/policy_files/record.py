"""The record of a policy's training: steps, seed, hyper-parameters, versions, results.

An exported policy contains it as plain JSON, and as text in the model card. It does not affect how
the policy acts, and it is not verified.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import numpy as np

from rl3_sb3.policy_files.strict_json import Node

PACKAGES = ("vamdp", "torch", "stable-baselines3", "gymnasium", "numpy", "safetensors")
_MOST_STEPS = 2**63 - 1
_MOST_VALUES = 1024  # in the list of one hyper-parameter or result

Fact = bool | int | float | str | None
_FACT_TYPES = (bool, int, float, str, type(None))


def library_versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Return the versions of Python and of packages, by default those that a policy depends on."""
    versions = {"python": platform.python_version()}
    for name in packages:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """How a policy was trained.

    Attributes:
        algorithm: The algorithm's class; empty if unknown.
        environment: The training environment, an id or a sentence; empty if unknown.
        description: Any further text.
        n_steps: Number of environment steps of training.
        seed: The seed of the training; None if there was none.
        hyper_parameters: Values by name; a list of two is the first and last value of a schedule.
        results: Results by name.
        versions: Versions of the libraries by name.
    """

    algorithm: str = ""
    environment: str = ""
    description: str = ""
    n_steps: int = 0
    seed: int | None = None
    hyper_parameters: Mapping[str, Fact | list[Fact]] = field(default_factory=dict)
    results: Mapping[str, Fact | list[Fact]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=library_versions)

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON.

        Raises:
            ValueError: A hyper-parameter or result is not a number, a text, or a list of these.
        """
        return {
            "algorithm": self.algorithm,
            "environment": self.environment,
            "description": self.description,
            "n_steps": int(self.n_steps),
            "seed": None if self.seed is None else int(self.seed),
            "hyper_parameters": _plain_facts("hyper_parameters", self.hyper_parameters),
            "results": _plain_facts("results", self.results),
            "versions": dict(self.versions),
        }

    @classmethod
    def from_json(cls, node: Node) -> TrainingRecord:
        """Parse what `to_json` wrote.

        Raises:
            PolicyFileError: It is anything else.
        """
        fields = node.fields(tuple(cls.__dataclass_fields__))
        seed = fields["seed"]
        return cls(
            algorithm=fields["algorithm"].text(),
            environment=fields["environment"].text(),
            description=fields["description"].text(),
            n_steps=fields["n_steps"].integer(0, _MOST_STEPS),
            seed=None if seed.value is None else seed.integer(-_MOST_STEPS, _MOST_STEPS),
            hyper_parameters=_read_facts(fields["hyper_parameters"]),
            results=_read_facts(fields["results"]),
            versions={name: entry.text() for name, entry in fields["versions"].items().items()},
        )


def _plain_facts(name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        str(key): [_plain(name, v) for v in value]
        if isinstance(value, list | tuple)
        else _plain(name, value)
        for key, value in facts.items()
    }


def _plain(name: str, value: Any) -> Fact:
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, _FACT_TYPES):
        raise ValueError(
            f"`{name}` must hold numbers, texts and lists of these, got {value!r}. "
            "Convert it to a text."
        )
    # JSON has no infinity and no NaN; a text is enough, as these numbers are only displayed.
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _read_facts(node: Node) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, entry in node.items().items():
        is_list = isinstance(entry.value, list)
        for part in entry.elements(0, _MOST_VALUES) if is_list else [entry]:
            part.check(_FACT_TYPES, "a number, a text or a list of these")
        facts[name] = entry.value
    return facts
