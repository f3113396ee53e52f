"""Check a built site without a network: links and pictures within it, and the public names.

    python docs/check_site.py docs/_build/html

Links to other sites are not followed.
"""

import importlib
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from operator import attrgetter
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

PACKAGES = (
    "vamdp",
    "vamdp.vector",
    "vamdp.estimators",
    "vamdp.domains",
    "vamdp.baselines",
    "vamdp.baselines.bandits",
    "vamdp.baselines.tabular",
    "vamdp.baselines.grids",
    "rl3_sb3",
)
#: Public, but no object to describe: modules that have pages of their own, and the version.
NOT_DESCRIBED = {"estimators", "vector", "__version__"}


class _Page(HTMLParser):
    """Collects what a page points to, and what can be pointed to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif value and (name == "src" or (name == "href" and tag in ("a", "link"))):
                self.targets.append(value)


def broken_links(site: Path) -> Iterator[str]:
    """Yield "page: target" for each link or picture that leads nowhere within the site."""
    pages = {file.resolve(): _Page(file.read_text("utf-8")) for file in site.rglob("*.html")}
    for file, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            place = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            place = place / "index.html" if place.is_dir() else place
            anchor = unquote(parts.fragment)
            if not place.is_file() or (
                anchor and place in pages and anchor not in pages[place].anchors
            ):
                yield f"{file.relative_to(site.resolve())}: {target}"


def undescribed_names(site: Path) -> Iterator[str]:
    """Yield each public name that no page of the reference describes."""
    from sphinx.util.inventory import InventoryFile

    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="").data
    described = {id(thing) for name in _python_names(inventory) for thing in _found(name)}
    for package in PACKAGES:
        module = importlib.import_module(package)
        names = module.__all__
        for name in sorted(set(names) - NOT_DESCRIBED):
            if id(getattr(module, name)) not in described:
                yield f"{package}.{name}"


def _python_names(inventory: Any) -> Iterator[str]:
    for role in ("class", "function", "data", "exception", "protocol", "attribute"):
        yield from inventory.get(f"py:{role}", ())


def _found(name: str) -> Iterator[Any]:
    """Yield the object of a dotted name, if its module can be told from the rest."""
    module, _, attribute = name.rpartition(".")
    try:
        yield attrgetter(attribute)(importlib.import_module(module))
    except (ImportError, AttributeError):
        return  # a member of a class


def main() -> int:
    """Print what is wrong; return the exit status."""
    site = Path(sys.argv[1])
    faults = [f"broken link: {link}" for link in broken_links(site)]
    faults += [f"no page describes {name}" for name in undescribed_names(site)]
    fine = "all links within the site lead somewhere; all public names are described"
    print("\n".join(faults) or fine)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
