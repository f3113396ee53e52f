"""Record where a result comes from: the commit of the code, and the hardware."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

from rl3_sb3.experiments.machine import n_cores

_CPU_INFO = Path("/proc/cpuinfo")


def code_commit() -> str:
    """Return the commit of the checkout that contains this code; "" if there is none.

    If the code differs from its commit, "+" is appended.
    """
    here = Path(__file__).resolve().parent
    # An installed copy may lie inside another repository, which does not track it.
    if _git(here, "ls-files", "--error-unmatch", Path(__file__).name) is None:
        return ""
    return commit_of(here, "vamdp", "rl3_sb3")


def commit_of(folder: Path, *parts: str) -> str:
    """Return the commit of the repository that contains a folder; "" if there is none.

    Args:
        folder: Any folder in the repository.
        *parts: Folders of the repository, or other pathspecs of git. If tracked files in them have
            changed, "+" is appended. Without any, changes in the whole repository count.
    """
    top = top_of(folder)
    if top is None:
        return ""
    commit = _git(top, "rev-parse", "HEAD") or ""
    changed = _git(top, "status", "--porcelain", "--untracked-files=no", "--", *parts)
    return f"{commit}+" if commit and changed else commit


def top_of(folder: Path) -> Path | None:
    """Return the top folder of the repository that contains a folder; None if there is none."""
    top = _git(folder, "rev-parse", "--show-toplevel")
    return None if top is None else Path(top)


def hardware(device: str = "cpu") -> str:
    """Return the processor, the number of usable cores, and the GPU if one is used, as text.

    Args:
        device: Device of the computation, in torch's form.
    """
    name = platform.processor() or platform.machine()
    if _CPU_INFO.is_file():
        for line in _CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    cores = n_cores()
    cpu = f"{name}, {cores} core{'s' if cores > 1 else ''}"
    if not device.startswith("cuda"):
        return cpu
    import torch as th

    return f"{th.cuda.get_device_name(device)}; {cpu}"


def _git(folder: Path, *arguments: str) -> str | None:
    """Return the output of a git command; None if it fails, or git is not installed."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
