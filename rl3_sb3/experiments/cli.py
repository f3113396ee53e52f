"""The command line `rl3`.

What needs torch is imported inside the commands, so that `rl3 --help` is quick and works without
it. Errors in what the user gave are one line and exit status 2; without the extra packages every
command ends with status 1 and says how to install them. A training that a signal stopped ends with
128 + the signal's number.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from rl3_sb3.experiments.commands import (
    baselines,
    evaluate,
    play,
    pretrained,
    publish,
    quickstart,
    sweep,
    table,
    train,
)
from rl3_sb3.experiments.errors import InputError, RunWarning

# In the order of the help.
_COMMANDS = (
    quickstart,
    train,
    evaluate,
    baselines,
    table,
    play,
    sweep,
    publish,
    pretrained,
)

_SIGPIPE = 13  # not every platform's `signal` has it
_EXTRA_PACKAGES = (
    "torch",
    "stable_baselines3",
    "safetensors",
    "tensorboard",
    "matplotlib",
    "rich",
    "scipy",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        arguments: Without the program's name; None takes the process's.
    """
    try:
        return _run(_parser().parse_args(arguments))
    except BrokenPipeError:  # as of `| head`: who reads has seen enough
        return end_without_reader()


def end_without_reader() -> int:
    """Return the exit status of a program whose output nobody reads any more."""
    # Python would complain once more when it flushes at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + _SIGPIPE


def _run(options: argparse.Namespace) -> int:
    missing = [name for name in _EXTRA_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"rl3 needs {', '.join(missing)}: install the extra with pip install 'vamdp[sb3]'",
            file=sys.stderr,
        )
        return 1
    try:
        with _warnings_as_lines():
            # A status of its own, or None for success.
            return options.command(options) or 0
    except BrokenPipeError:
        raise
    except (InputError, OSError) as error:  # OSError: no such folder, no room, no right
        print("rl3: error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("rl3: interrupted", file=sys.stderr)
        return 130


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Print warnings about runs as one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", RunWarning)
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
            if issubclass(category, RunWarning):
                print("rl3: warning:", message, file=sys.stderr)
            else:
                others(message, category, *where)

        warnings.showwarning = show  # type: ignore[assignment] # `where` is passed on as it is
        yield


class _Parser(argparse.ArgumentParser):
    """Reports errors as one line; `--help` shows the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="rl3", description="Experiments with RL2 and RL3.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    return parser
