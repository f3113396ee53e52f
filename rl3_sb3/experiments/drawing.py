"""What figures are drawn with: matplotlib, whatever MPLBACKEND says.

A notebook's kernel leaves MPLBACKEND to the processes that are started in it. If the backend is not
installed where they run, matplotlib cannot even be imported. Figures go into files, without any
backend; so it is left out where it cannot be had. Where it can, it stays what the user chose.
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
            matplotlib.rcParams["backend"] = backend  # as matplotlib itself does
        except ValueError:  # not installed here
            pass


_import_matplotlib()

from matplotlib.axes import Axes as Axes  # noqa: E402  after the import above
from matplotlib.figure import Figure as Figure  # noqa: E402
from matplotlib.ticker import MaxNLocator as MaxNLocator  # noqa: E402
