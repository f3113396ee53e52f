"""The command line of the scripts in examples/paper/: show a result, or produce it again.

    python examples/paper/table_2.py                     from stored records, within seconds
    python examples/paper/table_2.py --train             train what is missing, then show
    python examples/paper/table_2.py --classical         run the classical agents again
    python examples/paper/table_2.py --scale paper       the paper's settings instead of ours

At the scale `cpu`, agents use the recipe `ours` and as many steps as one core does in hours. At the
scale `paper`, they use the recipe `paper` and the paper's steps. The cells of both are sweeps in
examples/paper/sweeps/.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from rl3_sb3.experiments.cli import main as rl3
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.output import end_without_reader, printable
from rl3_sb3.experiments.paper.comparison import SCALES, Tasks
from rl3_sb3.experiments.paper.costs import cost_text
from rl3_sb3.experiments.pretrained.cells import unpublished
from rl3_sb3.experiments.sweeps.specification import read_sweep


@dataclass(frozen=True, kw_only=True)
class Folders:
    """The folders that a script reads and writes.

    Attributes:
        scale: The scale of the cells, "cpu" or "paper".
        pretrained: Folder of the cells' records.
        records: Folder of the classical agents' results.
        figures: Folder of the figures.
    """

    scale: str
    pretrained: Path
    records: Path
    figures: Path

    def figure_file(self, name: str) -> Path:
        """Return the file of a figure; at the scale `paper` it has another name."""
        self.figures.mkdir(parents=True, exist_ok=True)
        stem, _, ending = name.rpartition(".")
        return self.figures / (name if self.scale == SCALES[0] else f"{stem}_paper.{ending}")


@dataclass(frozen=True, kw_only=True)
class Item:
    """A table or figure of the paper.

    Attributes:
        title: Its number, and what it shows.
        sweeps: Names of its cells' sweeps, as in sweeps/NAME_cpu.toml.
        tasks: The tasks in which classical agents play for it.
        show: Prints it, and draws its figure if it has one.
    """

    title: str
    sweeps: Sequence[str]
    tasks: Sequence[Tasks]
    show: Callable[[Folders], None]


def run_script(item: Item, script: Path, arguments: Sequence[str] | None = None) -> int:
    """Run the command line of an item's script; return the exit status.

    Args:
        item: The table or figure.
        script: The script's file; sweeps/ and records/ are in its folder.
        arguments: Arguments without the script's name; None: those of the process.
    """
    here = script.resolve().parent
    options = _parser(item, here).parse_args(arguments)
    folders = Folders(
        scale=options.scale,
        pretrained=options.pretrained,
        records=options.records,
        figures=options.figures,
    )
    for name, folder in (("pretrained", options.pretrained), ("records", options.records)):
        if not folder.is_dir():
            print(f"{script.name}: warning: --{name} {folder} is no folder", file=sys.stderr)
    try:
        if options.train and (status := _train(item, here, options)):
            return status
    except InputError as error:
        return _failed(script, error)
    if options.classical:
        for tasks in item.tasks:
            file = options.records / tasks.yardstick_file
            status = rl3([*tasks.yardstick_command.split(), "--json", str(file)])
            if status:
                return status
    try:
        with printable():
            item.show(folders)
            sys.stdout.flush()
    except BrokenPipeError:
        return end_without_reader()
    except InputError as error:
        return _failed(script, error)
    return 0


def _failed(script: Path, error: InputError) -> int:
    print(f"{script.name}: error: {error}", file=sys.stderr)
    return 2


def _train(item: Item, here: Path, options: argparse.Namespace) -> int:
    """Train the runs that are asked for and not published, and publish them; return the status.

    Raises:
        InputError: No run has a name that is asked for.
    """
    patterns = options.only or ["*"]
    n_matching = 0
    for sweep in _sweep_files(here, item, options.scale):
        cells = [
            cell
            for cell in read_sweep(sweep)
            if any(fnmatchcase(cell.name, pattern) for pattern in patterns)
        ]
        n_matching += len(cells)
        missing = unpublished(cells, options.pretrained)
        if not missing:
            continue
        out = options.runs / sweep.stem
        only = [word for cell in missing for word in ("--only", cell.name)]
        # 1: some runs have failed, and the others are published. Larger: it did not run, or was
        # stopped.
        if (status := rl3(["sweep", str(sweep), "--out", str(out), *only])) > 1:
            return status
        if published := rl3(["publish", str(out), "--out", str(options.pretrained)]):
            return published
    if n_matching == 0:
        raise InputError(
            f"`--only` must match the name of a run, got {', '.join(patterns)}. `--help` names the "
            "files that list them."
        )
    return 0


class _Parser(argparse.ArgumentParser):
    """Computes the cost of training, which takes seconds, only for --help."""

    def __init__(self, item: Item, here: Path) -> None:
        super().__init__(
            description=item.title, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        self._item, self._here = item, here

    def format_help(self) -> str:
        costs = []
        for scale in SCALES:
            for file in _sweep_files(self._here, self._item, scale):
                text = cost_text([cell.config for cell in read_sweep(file)])
                costs.append(f"  --scale {scale:5}  {text} ({file.name})")
        self.epilog = "what --train costs:\n" + "\n".join(costs)
        return super().format_help()


def _parser(item: Item, here: Path) -> argparse.ArgumentParser:
    parser = _Parser(item, here)
    parser.add_argument(
        "--scale",
        choices=SCALES,
        default=SCALES[0],
        help="cpu: the recipe `ours`, hours of a core; paper: its settings and steps (%(default)s)",
    )
    parser.add_argument(
        "--train",
        action="store_true",
        help="first train the runs that --pretrained does not have, and publish them",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="PATTERN",
        help="train only the runs whose names match, such as '*-s0'; may be repeated (all)",
    )
    parser.add_argument(
        "--classical", action="store_true", help="first run the classical agents again"
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="folder of training runs (%(default)s)"
    )
    top = here.parent.parent
    for name, default, what in (
        ("pretrained", top / "pretrained", "trained agents and their records"),
        ("records", here / "records", "results of the classical agents"),
        ("figures", top / "docs" / "figures", "folder of figures"),
    ):
        shown = default.relative_to(top)
        parser.add_argument(
            f"--{name}", type=Path, default=default, help=f"{what} ({shown}/ of the repository)"
        )
    return parser


def _sweep_files(here: Path, item: Item, scale: str) -> list[Path]:
    return [here / "sweeps" / f"{name}_{scale}.toml" for name in item.sweeps]
