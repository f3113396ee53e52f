"""Format commands so that a user can paste them into a shell."""

import os
import shlex
import subprocess
from pathlib import Path


def quoted(word: object) -> str:
    """Return a path or other word, quoted so that this system's shell reads it as one word."""
    text = str(word)
    return subprocess.list2cmdline([text]) if os.name == "nt" else shlex.quote(text)


def install_command(extra: str) -> str:
    """Return the command that installs an extra from a checkout; the package is on no registry.

    Args:
        extra: The extra's name in pyproject.toml, or several names separated by commas.
    """
    top = Path(__file__).resolve().parents[1]
    if not (top / "pyproject.toml").is_file():  # an installed copy
        return f"pip install -c constraints.txt {quoted(f'.[{extra}]')} in a checkout of the code"
    constraints, package = top / "constraints.txt", f"{top}[{extra}]"
    if Path.cwd() == top:
        constraints, package = Path("constraints.txt"), f".[{extra}]"
    return f"pip install -c {quoted(constraints)} -e {quoted(package)}"
