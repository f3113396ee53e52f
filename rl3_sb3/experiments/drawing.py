"""Import matplotlib for figures, even if the backend in MPLBACKEND is not installed.

A notebook's kernel passes MPLBACKEND on to the processes that it starts. If the backend is not
installed there, even importing matplotlib fails. Figures are written into files and need no
backend, so a missing one is ignored. An installed one stays the user's choice.
"""

import os
import sys


def _import_matplotlib() -> None:
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        try:
            matplotlib.rcParams["backend"] = backend  # as matplotlib itself does on import
        except ValueError:  # not installed here
            pass


_import_matplotlib()

from matplotlib.axes import Axes as Axes  # noqa: E402  after the import above
from matplotlib.figure import Figure as Figure  # noqa: E402
from matplotlib.ticker import MaxNLocator as MaxNLocator  # noqa: E402
