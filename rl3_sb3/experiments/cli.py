"""The command line `rl3`: quickstart, train, evaluate, table, play.

What needs torch is imported inside the commands, so that `rl3 --help` is quick and works without
it. Errors in what the user gave are one line and exit status 2; without the extra packages every
command ends with status 1 and says how to install them. A training that a signal stopped ends with
128 + the signal's number.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from rl3_sb3.experiments.config import ALGORITHMS, RunConfig
from rl3_sb3.experiments.domains import CANONICAL, DOMAINS
from rl3_sb3.experiments.errors import InputError, RunWarning

_EXTRA_PACKAGES = (
    "torch",
    "stable_baselines3",
    "safetensors",
    "tensorboard",
    "matplotlib",
    "rich",
)

# Options of `rl3 train` that are settings of the run. None: not given.
_RUN_OPTIONS = (
    "algo",
    "size",
    "variation",
    "horizon",
    "seed",
    "n_envs",
    "batch_size",
    "iterations",
    "cluster_terminals",
    "warm_start",
    "validate_every",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        arguments: Without the program's name; None takes the process's.
    """
    options = _parser().parse_args(arguments)
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
    _add_quickstart(commands)
    _add_train(commands)
    _add_evaluate(commands)
    _add_table(commands)
    _add_play(commands)
    return parser


def _add_quickstart(commands: Any) -> None:
    parser = commands.add_parser(
        "quickstart", help="compare RL2 and RL3 on random MDPs in a few minutes on two cores"
    )
    parser.add_argument("--out", type=Path, help="a new folder (rl3-quickstart)")
    parser.add_argument("--seed", type=int, default=0, help="of both runs (%(default)s)")
    parser.add_argument("--smoke", action="store_true", help="tiny: only shows that all works")
    parser.set_defaults(command=_quickstart)


def _add_train(commands: Any) -> None:
    parser = commands.add_parser("train", help="train a run, or go on with it")
    parser.add_argument("domain", choices=DOMAINS)
    parser.add_argument("--algo", choices=ALGORITHMS, help="(rl3)")
    parser.add_argument("--size", type=int, help="of grids: 11 or 13, of lakes: 8 or 4 (the first)")
    parser.add_argument("--variation", help=f"which tasks ({CANONICAL}); {_variations()}")
    parser.add_argument(
        "--horizon", type=int, help="steps of a meta-episode (100; grids 250 or 350, lakes 200)"
    )
    parser.add_argument("--seed", type=int, help="of everything random (0)")
    parser.add_argument(
        "--out", type=Path, help="folder of the run (runs/DOMAIN[SIZE]-ALGO-HORIZON-SEED)"
    )
    parser.add_argument(
        "--iterations",
        type=int,
        help="PPO iterations in all (the paper's 5000, 10 000 or 20 000); a run that goes on is "
        "prolonged by more than it had",
    )
    parser.add_argument("--n-envs", type=int, help="environments (32768 / horizon)")
    parser.add_argument("--batch-size", type=int, help="steps per minibatch (4096)")
    parser.add_argument(
        "--cluster-terminals",
        action="store_true",
        default=None,
        help="rl3-coarse as the paper's authors released it: goals may join clusters",
    )
    parser.add_argument(
        "--warm-start",
        action="store_true",
        default=None,
        help="plan from the last values on: cheaper, depends on the order of the data",
    )
    parser.add_argument(
        "--validate-every",
        type=int,
        help="iterations between two measurements of the held-out return, by which the best "
        "checkpoint is chosen (50; 0: never)",
    )
    parser.add_argument(
        "--keep", type=int, default=2, help="how many of the last checkpoints to keep (%(default)s)"
    )
    parser.add_argument(
        "--save-every",
        type=float,
        default=60.0,
        help="seconds between two checkpoints (%(default)s; 0: one after every iteration)",
    )
    parser.add_argument(
        "--time-limit", type=float, default=math.inf, help="seconds after which to stop in time"
    )
    _add_machine(parser)
    parser.set_defaults(command=_train)


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser("evaluate", help="evaluate a run on held-out tasks")
    parser.add_argument("dir", type=Path, metavar="DIR", help="folder of the run")
    _add_variation(parser)
    parser.add_argument("--tasks", type=int, default=1000, help="how many (%(default)s)")
    parser.add_argument("--best", action="store_true", help="the best checkpoint, not the newest")
    _add_trust(parser)
    _add_machine(parser)
    parser.set_defaults(command=_evaluate)


def _add_table(commands: Any) -> None:
    parser = commands.add_parser("table", help="compare evaluated runs")
    parser.add_argument("dirs", type=Path, nargs="+", metavar="DIR", help="folders of runs")
    parser.set_defaults(command=_table)


def _add_variation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variation", help=f"which tasks (the run's); {_variations()}")
    parser.add_argument(
        "--ood", action="store_const", const="ood", dest="variation", help="--variation ood"
    )


def _variations() -> str:
    return "; ".join(f"{name}: {', '.join(facts.variations)}" for name, facts in DOMAINS.items())


def _add_play(commands: Any) -> None:
    parser = commands.add_parser(
        "play", help="film a run in a held-out task, or several side by side"
    )
    parser.add_argument("dirs", type=Path, nargs="+", metavar="DIR", help="folders of runs")
    parser.add_argument(
        "--out", type=Path, default=Path("meta_episode.gif"), help="the GIF (%(default)s)"
    )
    parser.add_argument("--task", type=int, default=0, help="the held-out task (%(default)s)")
    _add_variation(parser)
    parser.add_argument("--fps", type=float, default=10.0, help="frames a second (%(default)s)")
    parser.add_argument(
        "--snapshots", type=int, default=0, help="also a PNG of so many moments, beside the GIF"
    )
    parser.add_argument("--counts", action="store_true", help="show visit counts")
    _add_trust(parser)
    _add_machine(parser)
    parser.set_defaults(command=_play)


def _add_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust-pickle",
        action="store_true",
        help="read checkpoint.zip instead of policy/: it can run any code that its author wrote",
    )


def _add_machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="as torch names it (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of torch on a CPU (%(default)s)")


# -------------------------------------------------------------------- commands


def _quickstart(options: argparse.Namespace) -> None:
    from rl3_sb3.experiments.quickstart import FULL, SMOKE, default_folder, quickstart

    out = options.out or default_folder()
    print(quickstart(out, SMOKE if options.smoke else FULL, options.seed))
    print(f"\npicture: {out / 'quickstart.png'}\nruns:    {out / 'rl2'}, {out / 'rl3'}")


def _train(options: argparse.Namespace) -> int:
    given = {
        name: value
        for name in ("domain", *_RUN_OPTIONS)
        if (value := getattr(options, name)) is not None
    }
    _check_train_options(options)
    fresh = RunConfig.of(**given)
    kind = f"{fresh.domain}{fresh.size or ''}"
    if fresh.variation != CANONICAL:
        kind += f"-{fresh.variation}"
    out = options.out or Path("runs", f"{kind}-{fresh.algo}-{fresh.horizon}-{fresh.seed}")
    from rl3_sb3.experiments.train_command import train_command

    return train_command(fresh, given, out, _use(options), options)


def _evaluate(options: argparse.Namespace) -> None:
    from rl3_sb3.experiments.evaluation import evaluate
    from rl3_sb3.experiments.run_directory import RunDirectory
    from rl3_sb3.experiments.run_policy import load_run_policy
    from rl3_sb3.experiments.table import evaluation_table

    device = _use(options)
    directory = RunDirectory(options.dir)
    config = directory.read_config()
    policy, n_training_steps = load_run_policy(
        directory, config, device, trust_pickle=options.trust_pickle, best=options.best
    )
    evaluation = evaluate(
        config,
        policy,
        n_training_steps=n_training_steps,
        n_tasks=options.tasks,
        variation=options.variation,
    )
    file = directory.write_evaluation(evaluation)
    print(evaluation_table([evaluation]))
    print(f"\nstored: {file}")


def _table(options: argparse.Namespace) -> None:
    from rl3_sb3.experiments.table import runs_table

    # A pattern such as runs/* matches other things too; they are errors only where nothing is left.
    evaluated = [path for path in options.dirs if any(path.glob("evaluation*.json"))]
    left_out = [str(path) for path in options.dirs if path not in evaluated]
    print(runs_table(evaluated or options.dirs))
    if evaluated and left_out:
        print(f"left out, never evaluated: {', '.join(left_out)}", file=sys.stderr)


def _play(options: argparse.Namespace) -> None:
    from rl3_sb3.experiments.play import PlayOptions, play_runs

    chosen = PlayOptions(
        out=options.out,
        task=options.task,
        variation=options.variation,
        fps=options.fps,
        snapshots=options.snapshots,
        show_counts=options.counts,
    )
    device = _use(options)
    for film in play_runs(options.dirs, chosen, device, trust_pickle=options.trust_pickle):
        print(f"{film.title}: total reward {film.total:g} in {film.horizon} steps")
    print(f"film: {chosen.out}")
    if chosen.snapshots:
        print(f"snapshots: {chosen.snapshots_file}")


# -------------------------------------------------------------------- checks


def _check_train_options(options: argparse.Namespace) -> None:
    if not options.time_limit > 0:
        raise InputError(f"`--time-limit` must be above 0, got {options.time_limit}. Pass seconds.")
    if not options.save_every >= 0:
        raise InputError(
            f"`--save-every` must be at least 0, got {options.save_every}. Pass seconds."
        )
    if options.keep < 1:
        raise InputError(
            f"`--keep` must be at least 1, got {options.keep}: without a checkpoint a run could "
            "not go on."
        )


def _use(options: argparse.Namespace) -> str:
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
