"""The command line `rl3`.

What needs torch is imported inside the commands, so that `rl3 --help` is quick and works without
it. Errors in what the user gave are one line and exit status 2; without the extra packages every
command ends with status 1 and says how to install them. A training that a signal stopped ends with
128 + the signal's number.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from rl3_sb3.experiments.commands import (
    baselines,
    curves,
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
from rl3_sb3.experiments.output import end_without_reader, printable
from vamdp._version import __version__
from vamdp.shell import install_command

# In the order of the help.
_COMMANDS = (
    quickstart,
    train,
    evaluate,
    baselines,
    table,
    curves,
    play,
    sweep,
    publish,
    pretrained,
)

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
        with printable():
            try:
                return _run(_parsed(arguments))
            finally:
                # What is little is written only now.
                if sys.stdout is not None:
                    sys.stdout.flush()
    except BrokenPipeError:  # as of `| head`: who reads has seen enough
        return end_without_reader()
    except OSError as error:  # a full disk
        end_without_reader()
        print(f"rl3: error: the output cannot be written: {error.strerror}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    missing = [name for name in _EXTRA_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"rl3 needs {', '.join(missing)}: run {install_command('sb3')}",
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


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    options, unknown = _parser().parse_known_args(arguments)
    if unknown:
        # The command's own parser, whose help lists what there is.
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="rl3", description="Experiments with RL2 and RL3.")
    parser.add_argument("--version", action="version", version=f"rl3 of vamdp {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    for parser_of_command in commands.choices.values():
        parser_of_command.set_defaults(parser=parser_of_command)
    return parser
