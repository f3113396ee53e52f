"""The README of an exported policy: what it is, how to load it, and what trained it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gymnasium import spaces

from rl3_sb3.policy_files.description import PolicyDescription

_LOADING = """\
```python
import rl3_sb3

policy = rl3_sb3.load_policy("path/to/this/folder")
state = None  # what the policy remembers of an episode; None at its start
action, state = policy.predict(observation, state)  # once per step
```

Loading executes nothing: `policy.safetensors` holds numbers and `policy.json` plain values, and
both are checked. The folder has no pickle.
"""


def model_card(description: PolicyDescription) -> str:
    """Return the card, in Markdown; the same for the same description."""
    record = description.record
    shapes = description.weight_shapes
    sections = [
        f"# {description.policy}",
        _sentences(record.description),
        _table(
            {
                "observations": _space_text(description.observation_space),
                "actions": _space_text(description.action_space),
                "weights": f"{sum(map(math.prod, shapes.values())):,}",
                **description.arguments,
            },
            "policy",
        ),
        "## How to load it",
        _LOADING.rstrip(),
        "## What trained it",
        _table(
            {
                "environment": record.environment or "not recorded",
                "algorithm": record.algorithm or "not recorded",
                "steps": f"{record.n_steps:,}",
                "seed": "none" if record.seed is None else record.seed,
                **record.hyper_parameters,
            },
            "training",
        ),
    ]
    if record.results:
        sections += ["## Results", _table(record.results, "result")]
    sections += ["## Versions", _table(record.versions, "library")]
    return "\n\n".join(section for section in sections if section) + "\n"


def _table(facts: Mapping[str, Any], title: str) -> str:
    rows = [f"| {_cell(name)} | {_cell(value)} |" for name, value in facts.items()]
    return "\n".join([f"| {title} | |", "|---|---|", *rows])


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " to ".join(map(_cell, value))
    return _sentences(str(value)).replace("|", "\\|")


def _sentences(text: str) -> str:
    # One line, and no HTML: the text may come from anyone. Surrogates alone are no UTF-8.
    one_line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return one_line.encode("utf-8", "replace").decode("utf-8")


def _space_text(space: spaces.Space[Any]) -> str:
    if isinstance(space, spaces.Dict):
        parts = (f"{name}: {_space_text(part)}" for name, part in space.spaces.items())
        return f"Dict({', '.join(parts)})"
    if isinstance(space, spaces.Box):
        return f"Box{space.shape} of {space.dtype}"
    return str(space) if len(str(space)) < 100 else type(space).__name__
