"""Options that several commands share."""

from __future__ import annotations

import argparse

from rl3_sb3.experiments.domains import DOMAINS
from rl3_sb3.experiments.errors import InputError


def add_variation(parser: argparse.ArgumentParser) -> None:
    """Let the user choose the tasks."""
    parser.add_argument("--variation", help=f"which tasks (the run's); {variations()}")
    parser.add_argument(
        "--ood", action="store_const", const="ood", dest="variation", help="--variation ood"
    )


def domain_help() -> str:
    """Return what a domain can be, for a help text."""
    return f"{', '.join(DOMAINS)}, or MODULE:NAME of your own tasks (see docs/own_tasks.md)"


def variations() -> str:
    """Return all domains' variations for a help text."""
    return "; ".join(f"{name}: {', '.join(facts.variations)}" for name, facts in DOMAINS.items())


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Let the user trust pickles."""
    parser.add_argument(
        "--trust-pickle",
        action="store_true",
        help="read the newest checkpoint instead of policy/: it can run any code that its author "
        "wrote",
    )


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Let the user choose device and threads; see `use_machine`."""
    parser.add_argument("--device", default="auto", help="as torch names it (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of torch on a CPU (%(default)s)")


def use_machine(options: argparse.Namespace) -> str:
    """Set torch up for the machine options and return the device."""
    import torch as th

    if options.threads < 1:
        raise InputError(f"`--threads` must be at least 1, got {options.threads}.")
    th.set_num_threads(options.threads)
    device: str = options.device
    if device == "auto":
        return device
    try:
        th.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"`--device` must be one that torch can use here, got {device!r} ({reason}). "
            "Leave it out, or pass cpu."
        ) from error
    return device
