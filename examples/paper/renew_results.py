"""Write the tables of the pages below again from the stored records, and draw.

Before, the records get the commands that train their agents with the recipes of today.

    python examples/paper/renew_results.py
    python examples/paper/renew_results.py --check    only say what is not up to date

What stands between `<!-- NAME -->` and `<!-- end -->` is what NAME.py prints, in examples/paper/ or
examples/studies/.
"""

import argparse
import contextlib
import io
import re
import runpy
import sys
import tempfile
from pathlib import Path

from rl3_sb3.experiments.pretrained.record import read_record
from rl3_sb3.experiments.studies.runs import read_runs, with_commands, write_runs

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent.parent / "docs"
# Where the scripts lie that a page shows.
PAGES = {
    DOCS / "results.md": HERE,
    DOCS / "studies.md": HERE.parent / "studies",
    DOCS / "training.md": HERE.parent / "studies",
}
BLOCK = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def renewed(text: str, figures: Path, scripts: Path = HERE) -> str:
    """Return the page with the blocks of all scripts as they are now.

    Args:
        text: Of the page.
        figures: Where figures go.
        scripts: Where the scripts are.
    """
    return BLOCK.sub(
        lambda block: f"{block[1]}\n{printed(scripts / f'{block[2]}.py', figures)}\n\n{block[3]}",
        text,
    )


def printed(file: Path, figures: Path) -> str:
    """Return what a script prints, without the places of its files."""
    script = runpy.run_path(str(file))
    out, arguments = io.StringIO(), ["--figures", str(figures)]
    with contextlib.redirect_stdout(out):
        if "ITEM" in script:
            status = script["run_script"](script["ITEM"], file, arguments)
        elif "STUDY" in script:
            status = script["run_study"](script["STUDY"], file, arguments)
        else:
            status = script["main"](script["Arguments"]())
    if status:
        raise SystemExit(f"{file.name} ended with {status}: {out.getvalue()}")
    lines = [line for line in out.getvalue().splitlines() if not line.startswith("figure: ")]
    # Titles of tables as headings of the lowest rank.
    titled = [f"**{line}**" if is_title(line) else as_code(line) for line in lines]
    return "\n".join(titled).strip()


def is_title(line: str) -> bool:
    """Return whether a line names the table below it."""
    return bool(re.match(r"[A-Z][\w -]+, H = \d+", line))


def as_code(line: str) -> str:
    """Return a line whose command, if it begins with one, is set as code.

    Example:
        >>> as_code("python examples/studies/shifts.py --measure: 4.9 core-minutes")
        '`python examples/studies/shifts.py --measure`: 4.9 core-minutes'
    """
    return re.sub(r"^python examples/[^\s:,]+(?: --[^\s:,]+)*", r"`\g<0>`", line)


def renew_commands(pretrained: Path, studies: Path, *, check: bool) -> list[str]:
    """Write today's commands into the records; return the names of those that had others.

    Args:
        pretrained: The folder of published agents.
        studies: The folder of the studies, with records/ and sweeps/.
        check: Write nothing.
    """
    stale = []
    for file in sorted(pretrained.glob("*/record.json")):
        record = read_record(file.parent)
        renewed = record.with_commands()
        if [run.command for run in renewed.runs] != [run.command for run in record.runs]:
            stale.append(record.name)
            if not check:
                renewed.write(file.parent)
    for sweep in sorted((studies / "sweeps").glob("*.toml")):
        file = studies / "records" / f"{sweep.stem}_runs.json"
        runs = read_runs(file)
        if (now := with_commands(runs, sweep)) != runs:
            stale.append(file.name)
            if not check:
                write_runs(file, now)
    return stale


def main() -> int:
    """Renew the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    root = HERE.parent.parent
    stale = renew_commands(root / "pretrained", HERE.parent / "studies", check=options.check)
    status = 1 if stale and options.check else 0
    for name in stale:
        print(f"commands of {name}: {'of another recipe' if options.check else 'renewed'}")
    for page, scripts in PAGES.items():
        text = page.read_text(encoding="utf-8")
        if not options.check:
            page.write_text(renewed(text, DOCS / "figures", scripts), encoding="utf-8")
            continue
        with tempfile.TemporaryDirectory() as figures:
            if renewed(text, Path(figures), scripts) != text:
                print(f"{page.name} is not up to date: python examples/paper/renew_results.py")
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
