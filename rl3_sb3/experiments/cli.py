"""The command line `rl3`.

Modules that need torch are imported inside the commands, so that `rl3 --help` is fast and works
without it. An error in the user's input is printed as one line, with exit status 2. If a required
package is missing, every command exits with status 1 and prints how to install it. An error in the
user's own code, such as an environment, keeps its traceback, with status 1. If a signal
stops a training run, the status is 128 + the signal's number.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import traceback
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
from rl3_sb3.experiments.errors import InputError, RunWarning, is_of_others
from rl3_sb3.experiments.output import end_without_reader, has_reader, printable
from vamdp._version import __version__
from vamdp.shell import install_command

# In the order of `rl3 --help`.
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
        arguments: The arguments without the program's name; None reads them from `sys.argv`.
    """
    try:
        with printable():
            try:
                return _run(_parsed(arguments))
            finally:
                # A short output may still be in the buffer.
                if sys.stdout is not None:
                    sys.stdout.flush()
    except BrokenPipeError:  # the reader has closed the pipe, like `| head`
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
            # A command returns its exit status, or None for success.
            return options.command(options) or 0
    except (InputError, OSError) as error:  # OSError: no such folder, disk full, no permission
        is_theirs = isinstance(error, OSError) and is_of_others(error)
        if isinstance(error, BrokenPipeError) and not (is_theirs and has_reader(sys.stdout)):
            raise
        if is_theirs:
            traceback.print_exception(error)
            return 1
        lines = [str(error), *getattr(error, "__notes__", ())]
        print("rl3: error:", " ".join(" ".join(lines).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("rl3: interrupted", file=sys.stderr)
        return 130


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Print warnings for the user as one line, without the place in the code."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", RunWarning)
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
            if category in (RunWarning, UserWarning):
                print("rl3: warning:", message, file=sys.stderr)
            else:
                others(message, category, *where)

        warnings.showwarning = show  # type: ignore[assignment] # `where` is passed on unchanged
        yield


class _Parser(argparse.ArgumentParser):
    """Reports errors as one line; the usage is shown by `--help`."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    options, unknown = _parser().parse_known_args(arguments)
    if unknown:
        # The command's own parser, whose --help lists its options.
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
