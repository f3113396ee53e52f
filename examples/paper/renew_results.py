"""Write the tables of docs/results.md again from the stored records, and draw its figures.

    python examples/paper/renew_results.py
    python examples/paper/renew_results.py --check    only say what is not up to date

What stands between `<!-- NAME -->` and `<!-- end -->` is what examples/paper/NAME.py prints.
"""

import argparse
import contextlib
import io
import re
import runpy
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent.parent / "docs" / "results.md"
BLOCK = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def renewed(text: str, figures: Path) -> str:
    """Return the page with the blocks of all scripts as they are now.

    Args:
        text: Of the page.
        figures: Where figures go.
    """
    return BLOCK.sub(lambda block: f"{block[1]}\n{printed(block[2], figures)}\n\n{block[3]}", text)


def printed(name: str, figures: Path) -> str:
    """Return what a script prints, without the places of its files."""
    script = runpy.run_path(str(HERE / f"{name}.py"))
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        if "ITEM" in script:
            arguments = ["--figures", str(figures)]
            status = script["run_script"](script["ITEM"], HERE / f"{name}.py", arguments)
        else:
            status = script["main"](script["Arguments"]())
    if status:
        raise SystemExit(f"{name}.py ended with {status}: {out.getvalue()}")
    lines = [line for line in out.getvalue().splitlines() if not line.startswith("figure: ")]
    # Titles of tables as headings of the lowest rank.
    titled = [f"**{line}**" if is_title(line) else line for line in lines]
    return "\n".join(titled).strip()


def is_title(line: str) -> bool:
    """Return whether a line names the table below it."""
    return bool(re.match(r"[A-Z][\w ]+, H = \d+", line))


def main() -> int:
    """Renew the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    text = PAGE.read_text(encoding="utf-8")
    if not options.check:
        PAGE.write_text(renewed(text, PAGE.parent / "figures"), encoding="utf-8")
        return 0
    with tempfile.TemporaryDirectory() as figures:
        if renewed(text, Path(figures)) != text:
            print(f"{PAGE.name} is not up to date: python examples/paper/renew_results.py")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
