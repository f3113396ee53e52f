"""Write the README of an exported policy: what it is, how to load it, and how it was trained."""

from __future__ import annotations

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
_ACTOR_ONLY = """\
This export contains only the actor. The policy acts as before, but cannot compute values. To
continue training, create a `TransformerPPO` of the same sizes and call its
`start_from("path/to/this/folder")`; the critic is trained from scratch.
"""
_FLOAT16 = """\
The weights were rounded to float16 to make the file small. The policy computes in float32.
"""


def model_card(description: PolicyDescription) -> str:
    """Return the card, in Markdown, which depends only on the description."""
    record = description.record
    sections = [
        f"# {description.policy}",
        _sentences(record.description),
        _table(
            {
                "observations": _space_text(description.observation_space),
                "actions": _space_text(description.action_space),
                "weights": f"{description.n_weights:,}",
                **_storage(description),
                **description.arguments,
            },
            "policy",
        ),
        "## How to load it",
        _LOADING.rstrip(),
        _ACTOR_ONLY.rstrip() if description.actor_only else "",
        _FLOAT16.rstrip() if description.dtype == "float16" else "",
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


def _storage(description: PolicyDescription) -> dict[str, str]:
    """Return how the weights are stored; {} for the default, both networks in float32."""
    if not description.actor_only and description.dtype == "float32":
        return {}
    return {
        "networks": "actor only" if description.actor_only else "actor and critic",
        "stored as": f"{description.dtype}, {description.n_bytes:,} bytes",
    }


def _table(facts: Mapping[str, Any], title: str) -> str:
    rows = [f"| {_cell(name)} | {_cell(value)} |" for name, value in facts.items()]
    return "\n".join([f"| {title} | |", "|---|---|", *rows])


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " to ".join(map(_cell, value))
    return _sentences(str(value)).replace("|", "\\|")


def _sentences(text: str) -> str:
    # One line without HTML, because the text is untrusted. Lone surrogates are not valid UTF-8.
    one_line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return one_line.encode("utf-8", "replace").decode("utf-8")


def _space_text(space: spaces.Space[Any]) -> str:
    if isinstance(space, spaces.Dict):
        parts = (f"{name}: {_space_text(part)}" for name, part in space.spaces.items())
        return f"Dict({', '.join(parts)})"
    if isinstance(space, spaces.Box):
        return f"Box{space.shape} of {space.dtype}"
    return str(space) if len(str(space)) < 100 else type(space).__name__
