"""Commands as a user can paste them into a shell."""

import os
import shlex
import subprocess
from pathlib import Path


def quoted(word: object) -> str:
    """Return a path or another word so that this system's shell takes it for one."""
    text = str(word)
    return subprocess.list2cmdline([text]) if os.name == "nt" else shlex.quote(text)


def install_command(extra: str) -> str:
    """Return what installs an extra of this package; it is on no registry.

    Args:
        extra: Its name in pyproject.toml, or several with commas in between.
    """
    top = Path(__file__).resolve().parents[1]
    if not (top / "pyproject.toml").is_file():  # an installed copy
        return f"pip install -c constraints.txt {quoted(f'.[{extra}]')} in a checkout of the code"
    constraints, package = top / "constraints.txt", f"{top}[{extra}]"
    if Path.cwd() == top:
        constraints, package = Path("constraints.txt"), f".[{extra}]"
    return f"pip install -c {quoted(constraints)} -e {quoted(package)}"
