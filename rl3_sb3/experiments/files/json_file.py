"""The JSON files of a run: objects that are replaced atomically, and read with clear errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.files.atomic_file import replace_content


def write_object(file: Path, values: Mapping[str, Any]) -> None:
    """Replace the file's contents."""
    replace_content(file, (json.dumps(values, indent=2) + "\n").encode())


def read_object(file: Path) -> dict[str, Any]:
    """Return the file's contents.

    Raises:
        InputError: The file is damaged, or contains something else.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise InputError(
            f"`{file}` must be complete JSON, got a damaged file ({error}). "
            "Restore it from a copy, or choose another folder."
        ) from error
    if not isinstance(values, dict):
        raise InputError(f"`{file}` must hold a JSON object, got {type(values).__name__}.")
    return values
