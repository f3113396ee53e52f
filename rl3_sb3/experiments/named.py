"""What users name as `module:attribute`: tasks and agents of their own."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

from rl3_sb3.experiments.errors import InputError


def attribute_of(argument: str, name: str) -> Any:
    """Return what `module:attribute` names; modules beside the user's are found too.

    Args:
        argument: What is called so, for the error.
        name: With a colon.

    Raises:
        InputError: There is no such module, or nothing of this name in it.
    """
    module_name, _, path = name.partition(":")
    here = os.getcwd()
    if here not in sys.path:  # the script `rl3` does not look there
        sys.path.insert(0, here)
    try:
        found: Any = import_module(module_name)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError, TypeError, SyntaxError) as error:
        raise InputError(
            f"`{argument}` must be MODULE:NAME of something that can be imported from {here}, got "
            f"{name!r}: {error}. Call the command where the module lies, or set PYTHONPATH."
        ) from error
    return found
