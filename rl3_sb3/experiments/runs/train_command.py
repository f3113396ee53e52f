"""`rl3 train`: start a run, continue it, or prolong it.

The same command does all three: given again, it continues the run. Options that contradict the
stored run are errors, so that a run is never continued with other settings. Only `--iterations` may
grow.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch as th

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.runs.compiling import says_compiling
from rl3_sb3.experiments.runs.learning_env import check_environments
from rl3_sb3.experiments.runs.progress import run_bar
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.start import check_start
from rl3_sb3.experiments.runs.stop_signals import StopSignals
from rl3_sb3.experiments.runs.training import check_ranks, train
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.ranks import from_first_rank, joined_ranks, n_ranks, this_rank
from vamdp.shell import quoted


def train_command(
    config: RunConfig,
    given: Mapping[str, Any],
    out: Path,
    device: str,
    options: argparse.Namespace,
) -> int:
    """Train a run until it ends or stops, and print the next command.

    Args:
        config: The configuration of a new run.
        given: The settings that were given, by full names, with values as in `RunConfig.flat`. A
            run that continues must agree with them.
        out: The run's folder.
        device: Device in torch's form, or "auto".
        options: `time_limit`, `save_every` and `keep`, see `train`.

    Returns:
        0, or 128 + the number of the signal that stopped it.

    Raises:
        InputError: The settings do not fit the folder's run, it cannot continue, or another process
            trains it.
    """
    directory = RunDirectory(out)
    with _named_lack_of_memory(), joined_ranks(device) as own_device:
        if this_rank() > 0:
            return _follow(directory, config, own_device, options)
        with says_compiling():
            return _lead(directory, config, given, own_device, options)


@contextmanager
def _named_lack_of_memory() -> Iterator[None]:
    """Raise InputError if NumPy or torch cannot allocate memory, on any device."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        is_it = isinstance(error, (MemoryError, th.OutOfMemoryError))
        if not is_it and "can't allocate memory" not in str(error):
            raise
        raise InputError(
            f"The run needs more memory than there is: {error or 'some allocation failed'}. Pass "
            "fewer --n-envs, or a smaller --batch-size or network."
        ) from error


def _follow(
    directory: RunDirectory, config: RunConfig, device: str, options: argparse.Namespace
) -> int:
    """Train along with rank 0; only that one writes files and prints."""
    config = from_first_rank(config)
    with StopSignals(silent=True) as signals:
        train(directory, config, device=device, time_limit=options.time_limit, stop=signals.asked)
    return 0


def _lead(
    directory: RunDirectory,
    config: RunConfig,
    given: Mapping[str, Any],
    device: str,
    options: argparse.Namespace,
) -> int:
    begins = not directory.config_file.exists()
    if begins:
        check_ranks(config)
        check_environments(config)
        if (found := check_start(config)) is not None:
            networks = "actor and critic" if found["with_critic"] else "actor, with a new critic"
            print(f"starts from {config.start_from}, {found['n_steps']:,} steps: {networks}")
        directory.begin(config)
    with directory.locked(), directory.discarded_on_error() if begins else nullcontext():
        if not begins:
            config = _continued(directory, given)
        learns = f"recipe {config.recipe}, learns from the {config.signal}"
        if config.signal_scale != 1.0:
            learns += f" times {config.signal_scale:g}"
        print(f"{learns}: {directory.config_file.path}")
        config = from_first_rank(config)
        n_before, n_all = directory.checkpoints.n_steps(), config.total_steps
        with StopSignals() as signals, run_bar(config, n_before) as bar:
            model = train(
                directory,
                config,
                device=device,
                time_limit=options.time_limit,
                stop=signals.asked,
                save_every=options.save_every,
                keep=options.keep,
                report=bar.show,
            )
    n_done = model.num_timesteps
    print(f"{n_done:,} of {n_all:,} steps done: {directory.checkpoint_file}")
    go_on = f"rl3 train {config.domain} --out {quoted(directory.path)}"
    if n_done < n_all:
        print(f"continue: {go_on}" if n_ranks() == 1 else "continue: the same torchrun command")
        return 0 if signals.received is None else 128 + signals.received
    print(f"next: rl3 evaluate {quoted(directory.path)}")
    if n_before >= n_all:
        print(f"or prolong: {go_on} --iterations {2 * config.iterations}")
    return 0


def _continued(directory: RunDirectory, given: Mapping[str, Any]) -> RunConfig:
    """Return the settings of a run that continues, prolonged if requested."""
    config = directory.config_file.read()
    _check_agreement(given, config, directory.path)
    directory.config_file.require_same_tasks(config)
    iterations: int = given.get("iterations", config.iterations)
    directory.require_going_on()
    if iterations <= config.iterations:
        return config
    longer = directory.prolong(iterations)
    print(
        f"prolonged from {config.iterations:,} to {iterations:,} iterations; schedules "
        "follow the longer run's line from here on"
    )
    return longer


def _check_agreement(given: Mapping[str, Any], config: RunConfig, path: Path) -> None:
    flat = config.flat()
    for name, value in given.items():
        stored = flat.get(name, "left out")
        if name == "iterations" and value < stored:
            raise InputError(
                f"`iterations` must be at least {stored} as in {path / 'config.json'}, got "
                f"{value}. Leave it out to continue that run, pass more to prolong it, or choose "
                "another --out."
            )
        if name != "iterations" and value != stored:
            raise InputError(
                f"`{name}` must be {stored} as in {path / 'config.json'}, got {value}. Leave it "
                "out to continue that run, or choose another --out."
            )
