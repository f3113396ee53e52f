"""The command line of the scripts in examples/studies/: show stored results, or make them again.

    python examples/studies/q_errors.py              tables and figure from the stored records
    python examples/studies/q_errors.py --measure    measure again, and replace the record
    python examples/studies/q_errors.py --smoke      tiny sizes, nothing is stored
    python examples/studies/learners.py --train      train the runs that are missing, and store them

Measurements of agents go to records/NAME.json; the runs of a study that trains agents go to
records/NAME_runs.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch as th

from rl3_sb3.experiments.cli import main as rl3
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.output import end_without_reader, printable
from rl3_sb3.experiments.paper.costs import cost_text
from rl3_sb3.experiments.pretrained.agents import weights_digest
from rl3_sb3.experiments.results.records import start_record, write_record
from rl3_sb3.experiments.studies.runs import (
    StudyRun,
    joined,
    read_runs,
    runs_of_sweep,
    write_runs,
)
from rl3_sb3.experiments.sweeps.specification import read_sweep

Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A question, its measurement, and how the answer is shown.

    Attributes:
        title: One line.
        sizes: A dataclass object with the numbers that the command line can change; stored in the
            record.
        smoke: Values of some of them for a measurement of seconds.
        measure: Function (sizes, folder of the published agents) -> content of the record, of types
            that JSON supports. "agents" lists the published agents that were measured, each as
            `PublishedAgent.to_dict`.
        show: Prints a record. If the study trains agents, its `runs` is a list of `StudyRun`.
        draw: Draws a record into a file.
        trains: Whether sweeps/NAME.toml has runs for this study.
        train: Trains what is in no sweep, in addition; called with the folder for runs.
    """

    title: str
    sizes: Any
    smoke: Mapping[str, Any]
    measure: Callable[[Any, Path], dict[str, Any]]
    show: Callable[[Record], None]
    draw: Callable[[Record, Path], None]
    trains: bool = False
    train: Callable[[Path], list[StudyRun]] | None = None


def run_study(study: Study, script: Path, arguments: Sequence[str] | None = None) -> int:
    """Run the command line of a study's script; return the exit status.

    Args:
        study: The study.
        script: The script's file. records/ is in its folder; record and figure have its name.
        arguments: Arguments without the script's name; None: those of the process.
    """
    with printable():
        return _run_study(study, script, arguments)


def _run_study(study: Study, script: Path, arguments: Sequence[str] | None) -> int:
    here, name = script.resolve().parent, script.stem
    options = _parser(study, here, name).parse_args(arguments)
    given = {each.name: getattr(options, each.name) for each in fields(study.sizes)}
    given = {key: size for key, size in given.items() if size is not None}
    smoke = study.smoke if options.smoke else {}
    sizes = replace(study.sizes, **{**smoke, **given})
    runs_file = options.records / f"{name}_runs.json"
    try:
        if options.smoke:
            th.set_num_threads(1)
            measured = asdict(sizes) | study.measure(sizes, options.pretrained)
            record: Record = json.loads(json.dumps(measured)) | _runs(study, runs_file)
            study.show(record)
            with tempfile.TemporaryDirectory() as folder:
                study.draw(record, Path(folder) / f"{name}.png")
            return 0
        if study.trains and options.train:
            status = _train(study, here / "sweeps" / f"{name}.toml", runs_file, options)
            if status > 1:
                return status
        record_file = options.records / f"{name}.json"
        if options.measure:
            th.set_num_threads(1)
            start = start_record()
            measured = study.measure(sizes, options.pretrained)
            write_record(record_file, start, **asdict(sizes), **measured)
        if not record_file.is_file():
            print(f"not measured yet: python {os.path.relpath(script)} --measure")
            return 0
        record = json.loads(record_file.read_text(encoding="utf-8-sig")) | _runs(study, runs_file)
        study.show(record)
        options.figures.mkdir(parents=True, exist_ok=True)
        file = options.figures / f"{name}.png"
        study.draw(record, file)
        if others := replaced_agents(record, options.pretrained):
            print(f"\nreplaced since this was measured: {', '.join(others)}")
        print(f"\n{provenance(record)}")
        print(f"figure: {file}")
    except BrokenPipeError:
        return end_without_reader()
    except InputError as error:
        print(f"{script.name}: error: {error}", file=sys.stderr)
        return 2
    return 0


def _runs(study: Study, file: Path) -> dict[str, list[StudyRun]]:
    return {"runs": read_runs(file)} if study.trains else {}


def _train(study: Study, sweep: Path, file: Path, options: argparse.Namespace) -> int:
    """Train what is missing, and store all complete runs; return the sweep's exit status."""
    out = options.runs / sweep.stem
    only = [word for each in options.only for word in ("--only", each)]
    # 1: some runs have failed, but the others can be stored.
    status = rl3(["sweep", str(sweep), "--out", str(out), *only])
    if status <= 1:
        runs = runs_of_sweep(out)
        if study.train is not None:
            runs += study.train(options.runs)
        write_runs(file, joined(runs, read_runs(file)))
    return status


def provenance(record: Record) -> str:
    """Return one line about how a record was measured, and the time it took."""
    minutes = f"{record['cpu_seconds'] / 60:.1f} core-minutes"
    return f"{record['command']}: {minutes}, commit {record['commit'][:12]}, {record['hardware']}"


def replaced_agents(record: Record, pretrained: Path) -> list[str]:
    """Return the names of measured agents whose published weights are others now."""
    return [
        agent["name"]
        for agent in record.get("agents", [])
        if agent["digest"] != weights_digest(pretrained / agent["name"])
    ]


class _Parser(argparse.ArgumentParser):
    """Computes the cost of training, which takes seconds, only for --help."""

    def __init__(self, study: Study, sweep: Path) -> None:
        super().__init__(
            description=study.title, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        self._sweep = sweep if study.trains else None

    def format_help(self) -> str:
        if self._sweep is not None:
            text = cost_text([cell.config for cell in read_sweep(self._sweep)])
            self.epilog = f"what --train costs: {text} ({self._sweep.name})"
        return super().format_help()


def _parser(study: Study, here: Path, name: str) -> argparse.ArgumentParser:
    parser = _Parser(study, here / "sweeps" / f"{name}.toml")
    parser.add_argument("--measure", action="store_true", help="measure again, and store it")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, nothing is stored")
    if study.trains:
        parser.add_argument("--train", action="store_true", help="first train the missing runs")
        parser.add_argument(
            "--only",
            action="append",
            default=[],
            metavar="PATTERN",
            help="train only the runs whose names match; may be repeated (all)",
        )
        parser.add_argument(
            "--runs", type=Path, default=Path("runs"), help="folder of training runs (%(default)s)"
        )
    for each in fields(study.sizes):
        default = getattr(study.sizes, each.name)
        word = f"--{each.name.replace('_', '-')}"
        if isinstance(default, tuple):
            kind = type(default[0])
            parser.add_argument(word, type=kind, nargs="+", help=f"default {default}")
        else:
            parser.add_argument(word, type=type(default), help=f"default {default}")
    top = here.parent.parent
    for word, place, what in (
        ("pretrained", top / "pretrained", "published agents"),
        ("records", here / "records", "stored results"),
        ("figures", top / "docs" / "figures", "folder of figures"),
    ):
        shown = place.relative_to(top)
        parser.add_argument(f"--{word}", type=Path, default=place, help=f"{what} ({shown})")
    return parser
