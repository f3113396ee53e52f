"""How Sphinx builds this site; `docs/README.md` has the command."""

import sys
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import vamdp

ROOT = Path(__file__).parents[1]

project = "vamdp"
author = "the vamdp developers"
release = vamdp.__version__
# The address of the repository. While there is none, links to its files are downloads.
repository = (
    tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    .get("urls", {})
    .get("Repository", "")
)

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "site_extension",
]
exclude_patterns = ["_build", "README.md"]
nitpicky = False  # annotations name classes of other libraries, which are not looked up offline

html_theme = "furo"
html_title = f"vamdp {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

# Notebooks are Markdown without outputs. Building runs them, and fails where one of them fails.
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_default_options = {"members": True}
autosummary_generate = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # the fields of a NamedTuple are documented once, not twice
highlight_language = "none"  # of formulas in docstrings; the pages name the language of their code
default_role = "py:obj"  # `name` in a docstring is a link where there is such a name, else code
