"""The command line of the scripts in examples/studies/: show a measurement, or make it again.

python examples/studies/q_errors.py              table and figure from the stored record
python examples/studies/q_errors.py --measure    measure again, and replace the record
python examples/studies/q_errors.py --smoke      tiny sizes, nothing is stored
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch as th

from rl3_sb3.experiments.cli import end_without_reader
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.results.records import start_record, write_record

Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A question, what is measured for it, and how that is shown.

    Attributes:
        title: In one line.
        sizes: A dataclass object with the numbers that the command line can change; stored in the
            record.
        smoke: Those of them that make a measurement of seconds.
        measure: Called with the sizes and the folder of the published agents; returns what the
            record holds, as JSON takes it.
        show: Prints a record.
        draw: Draws a record into a file.
    """

    title: str
    sizes: Any
    smoke: Mapping[str, Any]
    measure: Callable[[Any, Path], dict[str, Any]]
    show: Callable[[Record], None]
    draw: Callable[[Record, Path], None]


def run_study(study: Study, script: Path, arguments: Sequence[str] | None = None) -> int:
    """Do what the command line of a study's script says; return the exit status.

    Args:
        study: The study.
        script: The script's file, beside which records/ lies; record and figure have its name.
        arguments: Without the script's name; None: the process's.
    """
    here, name = script.resolve().parent, script.stem
    options = _parser(study, here, name).parse_args(arguments)
    given = {each.name: getattr(options, each.name) for each in fields(study.sizes)}
    sizes = replace(study.sizes, **{key: size for key, size in given.items() if size is not None})
    try:
        if options.smoke:
            th.set_num_threads(1)
            sizes = replace(sizes, **study.smoke)
            record: Record = asdict(sizes) | study.measure(sizes, options.pretrained)
            study.show(json.loads(json.dumps(record)))
            with tempfile.TemporaryDirectory() as folder:
                study.draw(record, Path(folder) / f"{name}.png")
            return 0
        if options.measure:
            th.set_num_threads(1)
            start = start_record()
            measured = study.measure(sizes, options.pretrained)
            write_record(options.record, start, **asdict(sizes), **measured)
        if not options.record.is_file():
            print(f"not measured yet: python {script.name} --measure")
            return 0
        record = json.loads(options.record.read_text(encoding="utf-8"))
        study.show(record)
        options.figures.mkdir(parents=True, exist_ok=True)
        file = options.figures / f"{name}.png"
        study.draw(record, file)
        print(f"\n{provenance(record)}")
        print(f"figure: {file}")
    except BrokenPipeError:
        return end_without_reader()
    except InputError as error:
        print(f"{script.name}: error: {error}")
        return 2
    return 0


def provenance(record: Record) -> str:
    """Return in a line how a record was measured, and what that took."""
    minutes = f"{record['cpu_seconds'] / 60:.1f} core-minutes"
    return f"{record['command']}: {minutes}, commit {record['commit'][:12]}, {record['hardware']}"


def _parser(study: Study, here: Path, name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=study.title)
    parser.add_argument("--measure", action="store_true", help="measure again, and store it")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, nothing is stored")
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
        ("record", here / "records" / f"{name}.json", "the record's file"),
        ("figures", top / "docs" / "figures", "where the figure goes"),
    ):
        shown = place.relative_to(top)
        parser.add_argument(f"--{word}", type=Path, default=place, help=f"{what} ({shown})")
    return parser
