"""What this site needs beyond Sphinx, in links, tables and docstrings.

Pages are read on a code host, too, so they name files by relative paths. Here a path that leaves
docs/ becomes

    the page that shows the file, if there is one;
    the file at the repository's address, once pyproject.toml names one;
    until then a download of the file, and plain text for a folder.
"""

import re
from os.path import normpath, relpath
from pathlib import Path, PurePosixPath
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent

#: Files of the repository that are pages of the site.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s:#]+)(#[^()\s]*)?\)")

#: "77.8 ± 0.5" stays on one line, where a table is narrow.
_PLUS_MINUS = re.compile(r" ± (?=\d)")


def rewrite_links(text: str, folder: str, repository: str) -> str:
    """Return a page's text with links that work on the site.

    Args:
        text: Of the page, in Markdown.
        folder: Where its relative links start, relative to the repository: "docs", say.
        repository: The address of the repository's front page; "" if it has none.
    """

    def link(match: re.Match[str]) -> str:
        is_picture, label, target, anchor = match[1], match[2], match[3], match[4] or ""
        path = PurePosixPath(normpath(f"{folder}/{target}")).as_posix()
        if not (ROOT / path).exists():
            return match[0]  # Sphinx says what is wrong with it
        page = PAGES.get(path)
        if page is not None and (DOCS / page).exists():
            path, anchor = f"docs/{page}", anchor if page != "index.md" else ""
        if path.startswith("docs/") or is_picture:
            return f"{is_picture}[{label}]({relpath(path, _page_folder(folder))}{anchor})"
        if repository:
            kind = "tree" if (ROOT / path).is_dir() else "blob"
            return f"[{label}]({repository}/{kind}/main/{path}{anchor})"
        if (ROOT / path).is_dir():
            return label
        return f"[{label}]({relpath(path, _page_folder(folder))})"

    return _LINK.sub(link, text)


def _page_folder(folder: str) -> str:
    """Return the folder of the page that shows a text whose links start at `folder`."""
    return folder if folder.startswith("docs") else "docs"


def _read_source(app: Any, docname: str, source: list[str]) -> None:
    shown = {page.removesuffix(".md"): file for file, page in PAGES.items()}.get(docname)
    folder = (PurePosixPath("docs") / docname).parent.as_posix()
    if shown is not None and docname != "index":
        app.env.note_dependency(str(ROOT / shown))
        source[0] = (ROOT / shown).read_text("utf-8")
        folder = "."
    text = rewrite_links(source[0], folder, app.config.repository)
    source[0] = _PLUS_MINUS.sub("\u00a0±\u00a0", text)


def keep_layout(lines: list[str]) -> list[str]:
    """Return a docstring in which formulas and small tables keep their lines.

    They are indented, below a paragraph that is not. Sphinx would run their lines together.

    Example:
        >>> keep_layout(["The sum is", "", "    a", "    + b"])
        ['The sum is', '', '::', '', '    a', '    + b']
    """
    kept: list[str] = []
    text = ""  # the last line that is not empty
    for line in lines:
        is_indented = line.startswith("    ")
        if is_indented and kept and not kept[-1] and text and not text.startswith(" "):
            kept += ["::", ""]
        kept.append(line)
        text = line or text
    return kept


def _read_docstring(app: Any, what: str, name: str, thing: Any, options: Any, lines: Any) -> None:
    lines[:] = keep_layout(lines)


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    from sphinx.domains.python import PyObject

    app.add_config_value("repository", "", "env")
    app.connect("source-read", _read_source)
    app.connect("autodoc-process-docstring", _read_docstring, priority=400)  # before napoleon
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    return {"parallel_read_safe": True}
