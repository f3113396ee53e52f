"""Options that several commands share."""

from __future__ import annotations

import argparse

from rl3_sb3.experiments.domains import DOMAINS
from rl3_sb3.experiments.errors import InputError

# Beyond this, starting the threads can crash the process.
_MOST_THREADS = 1024


def add_variation(parser: argparse.ArgumentParser, default: str = "the run's") -> None:
    """Add the options that choose the tasks; `default` says which they are without."""
    parser.add_argument(
        "--variation", help=f"task distribution (default: {default}); {variations()}"
    )
    parser.add_argument(
        "--ood", action="store_const", const="ood", dest="variation", help="--variation ood"
    )


def domain_help() -> str:
    """Return the possible domains, for a help text."""
    return f"{', '.join(DOMAINS)}, or MODULE:NAME of custom tasks (see docs/own_tasks.md)"


def variations() -> str:
    """Return the variations of all domains, for a help text."""
    return "; ".join(
        f"{name}: {', '.join(facts.variations)}"
        for name, facts in DOMAINS.items()
        if facts.variations
    )


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add the option that allows loading pickles."""
    parser.add_argument(
        "--trust-pickle",
        action="store_true",
        help="load the last checkpoint instead of policy/; this can run any code that its author "
        "put into it",
    )


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Add the options for device and threads; see `use_machine`."""
    parser.add_argument("--device", default="auto", help="torch's device, or auto (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="torch's CPU threads (%(default)s)")


def use_machine(options: argparse.Namespace) -> str:
    """Apply the machine options to torch, and return the device."""
    import torch as th

    if options.threads < 1:
        raise InputError(f"`--threads` must be at least 1, got {options.threads}.")
    if options.threads > _MOST_THREADS:
        raise InputError(
            f"`--threads` must be at most {_MOST_THREADS}, got {options.threads}. Pass the number "
            "of free cores, or leave it out."
        )
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
