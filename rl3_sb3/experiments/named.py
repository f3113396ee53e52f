"""Import custom tasks and agents that users name as `module:attribute`."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from typing import Any

from rl3_sb3.experiments.errors import InputError

# Packages whose modules are never those of the working folder.
_OURS = ("vamdp", "rl3_sb3")


def attribute_of(argument: str, name: str) -> Any:
    """Return the object that `module:attribute` names; modules in the working folder are found.

    Args:
        argument: Name of the argument, for the error.
        name: The text with a colon.

    Raises:
        InputError: The module does not exist, fails, or has no such attribute.
    """
    module_name, _, path = name.partition(":")
    here = os.getcwd()
    # The script `rl3` has no working folder in its path. Our own modules need none.
    if here not in sys.path and module_name.partition(".")[0] not in _OURS:
        sys.path.insert(0, here)
    try:
        found: Any = import_module(module_name)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError, TypeError, SyntaxError) as error:
        place = _place_in(module_name, error)
        if place:
            raise InputError(
                f"`{argument}` must be MODULE:NAME of something that can be imported, got "
                f"{name!r}, whose code fails at {place}: {type(error).__name__}: {error}"
            ) from error
        raise InputError(
            f"`{argument}` must be MODULE:NAME of something that can be imported from {here}, got "
            f"{name!r}: {error}. Run the command in the module's folder, or set PYTHONPATH."
        ) from error
    return found


def _place_in(module_name: str, error: BaseException) -> str:
    """Return file and line of a module where an error arose; "" if its code did not run."""
    file = module_name.replace(".", os.sep)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.endswith((f"{file}.py", os.path.join(file, "__init__.py"))):
            return f"{frame.filename}:{frame.lineno}"
    return ""
