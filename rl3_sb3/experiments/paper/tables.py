"""Print the tables of a script: a legend, then a table for each kind of tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rl3_sb3.experiments.paper.comparison import LEGEND, Tasks, comparison_table
from rl3_sb3.experiments.paper.script import Folders


def show_tables(
    folders: Folders,
    tasks: Sequence[Tasks],
    algos: Callable[[Tasks], Sequence[str]],
    *,
    reference: str,
    published: Mapping[tuple[str, int, str], tuple[float, float]] | None = None,
) -> None:
    """Print a table of trained and classical agents for each kind of tasks.

    Args:
        folders: The folders to read.
        tasks: The kinds of tasks.
        algos: Returns the trained agents that are compared in a kind of tasks.
        reference: See `comparison_table`.
        published: See `comparison_table`; None if the paper has only a figure.
    """
    print(f"{LEGEND}\n")
    for each in tasks:
        table = comparison_table(
            each,
            algos(each),
            scale=folders.scale,
            pretrained=folders.pretrained,
            records=folders.records,
            published=published or {},
            reference=reference,
        )
        print(f"{each.title}\n\n{table}\n")
