"""The command line of the scripts in examples/paper/: show a result, or make it again.

    python examples/paper/table_2.py                     from stored records, within seconds
    python examples/paper/table_2.py --train             train what is missing, then show
    python examples/paper/table_2.py --classical         let the classical agents play again
    python examples/paper/table_2.py --scale paper       the paper's settings instead of ours

At the scale `cpu` agents learn by the recipe `ours` with as many steps as hours of one core allow;
at `paper` by the recipe `paper` with the paper's steps. The cells of both are sweeps in
examples/paper/sweeps/.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rl3_sb3.experiments.cli import main as rl3
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.output import end_without_reader, printable
from rl3_sb3.experiments.paper.comparison import SCALES, Tasks
from rl3_sb3.experiments.paper.costs import cost_text
from rl3_sb3.experiments.sweeps.specification import read_sweep


@dataclass(frozen=True, kw_only=True)
class Folders:
    """Where an item's script reads and writes.

    Attributes:
        scale: "cpu" or "paper": whose cells.
        pretrained: The cells' records.
        records: The classical agents' results.
        figures: Where figures go.
    """

    scale: str
    pretrained: Path
    records: Path
    figures: Path

    def figure_file(self, name: str) -> Path:
        """Return where a figure goes: those of the scale `paper` have names of their own."""
        self.figures.mkdir(parents=True, exist_ok=True)
        stem, _, ending = name.rpartition(".")
        return self.figures / (name if self.scale == SCALES[0] else f"{stem}_paper.{ending}")


@dataclass(frozen=True, kw_only=True)
class Item:
    """A table or figure of the paper.

    Attributes:
        title: Which one, and what it shows.
        sweeps: Names of its cells' sweeps, as in sweeps/NAME_cpu.toml.
        tasks: In which classical agents play for it.
        show: Prints it, and draws its figure if it has one.
    """

    title: str
    sweeps: Sequence[str]
    tasks: Sequence[Tasks]
    show: Callable[[Folders], None]


def run_script(item: Item, script: Path, arguments: Sequence[str] | None = None) -> int:
    """Do what the command line of an item's script says; return the exit status.

    Args:
        item: The table or figure.
        script: The script's file, beside which sweeps/ and records/ lie.
        arguments: Without the script's name; None: the process's.
    """
    here = script.resolve().parent
    options = _parser(item, here).parse_args(arguments)
    folders = Folders(
        scale=options.scale,
        pretrained=options.pretrained,
        records=options.records,
        figures=options.figures,
    )
    if options.train:
        for sweep in _sweep_files(here, item, options.scale):
            out = options.runs / sweep.stem
            only = [] if options.only is None else ["--only", options.only]
            # 1: some runs have failed, and the others are published; more: it did not run, or was
            # stopped.
            if (status := rl3(["sweep", str(sweep), "--out", str(out), *only])) > 1:
                return status
            if published := rl3(["publish", str(out), "--out", str(options.pretrained)]):
                return published
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
        print(f"{script.name}: error: {error}")
        return 2
    return 0


class _Parser(argparse.ArgumentParser):
    """Looks up what training costs, which takes seconds, only where the help is asked for."""

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
        help="first train the runs that are missing in --runs, those of published agents too, and "
        "publish them",
    )
    parser.add_argument(
        "--only",
        metavar="PATTERN",
        help="train only the runs of which the names match, as 'bandit-h500-*-s0' (all)",
    )
    parser.add_argument(
        "--classical", action="store_true", help="first let the classical agents play again"
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="where training goes on (%(default)s)"
    )
    top = here.parent.parent
    for name, default, what in (
        ("pretrained", top / "pretrained", "trained agents and their records"),
        ("records", here / "records", "results of the classical agents"),
        ("figures", top / "docs" / "figures", "where a figure goes"),
    ):
        shown = default.relative_to(top)
        parser.add_argument(
            f"--{name}", type=Path, default=default, help=f"{what} ({shown}/ of the repository)"
        )
    return parser


def _sweep_files(here: Path, item: Item, scale: str) -> list[Path]:
    return [here / "sweeps" / f"{name}_{scale}.toml" for name in item.sweeps]
