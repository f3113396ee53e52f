"""Which agents of the paper's tables and figures are trained, at which cost, and which are not.

    python examples/paper/cells.py            the lists
    python examples/paper/cells.py --train    train all that is missing, and publish it

An agent is trained if its seed and its settings are in a record of `pretrained/`.
"""

import sys
from pathlib import Path

from rl3_sb3.experiments.paper.costs import core_hours
from rl3_sb3.experiments.paper.script import Folders, Item, run_script
from rl3_sb3.experiments.pretrained.cells import name_of, unpublished
from rl3_sb3.experiments.pretrained.record import read_record
from rl3_sb3.experiments.results.table import aligned
from rl3_sb3.experiments.runs.run_directory import RECORD_FILE
from rl3_sb3.experiments.sweeps.specification import read_sweep

HERE = Path(__file__).resolve().parent
#: The sweeps, and what shows their agents first.
SWEEPS = {"bandits": "Table 2", "random_mdps": "Figure 3a", "gridworlds": "Figure 3c"}


def show(folders: Folders) -> None:
    """Print both lists."""
    trained, missing, hours = [], [], 0.0
    for sweep, shown in SWEEPS.items():
        file = HERE / "sweeps" / f"{sweep}_{folders.scale}.toml"
        cells = read_sweep(file)
        trained += [row(folders.pretrained / name) for name in names(cells, folders.pretrained)]
        by_agent = {}
        for cell in unpublished(cells, folders.pretrained):
            hours += core_hours(cell.config)
            by_agent.setdefault(name_of(cell), []).append(cell)
        missing += [missing_row(name, rest, file, shown) for name, rest in by_agent.items()]
    head = ["agent", "seeds", "million steps", "minutes of each seed", "hardware"]
    print("Trained. The minutes are by the clock, of machines that were busy with other work.\n")
    print(aligned(head, trained))
    print(f"\nNot trained yet, together about {hours:.0f} hours of one core:\n")
    print(aligned(["agent", "seeds", "core-hours each", "shown in", "command"], missing))
    print(
        "\n`rl3 publish runs/bandits_cpu --out pretrained` and its like publish what is complete."
    )


def names(cells, pretrained):
    """Return the names of a sweep's published agents, in its order."""
    found = dict.fromkeys(name_of(cell) for cell in cells)
    return [name for name in found if (pretrained / name / RECORD_FILE).is_file()]


def row(folder):
    """Return a published agent's steps, times and hardware."""
    runs = read_record(folder).runs
    seeds = ", ".join(str(run.seed) for run in runs)
    minutes = ", ".join(f"{run.seconds / 60:.0f}" for run in runs)
    hardware = dict.fromkeys(part["hardware"] for run in runs for part in run.provenance)
    return [folder.name, seeds, f"{runs[0].n_steps / 1e6:.1f}", minutes, "; ".join(hardware)]


def missing_row(name, cells, file, shown):
    """Return what is missing of an agent, and the command that trains it."""
    seeds = [str(cell.config.seed) for cell in cells]
    stem = cells[0].name.removesuffix(seeds[0])
    pattern = stem + (seeds[0] if len(seeds) == 1 else f"[{''.join(seeds)}]")
    command = f"`rl3 sweep examples/paper/sweeps/{file.name} --only '{pattern}'`"
    return [name, ", ".join(seeds), f"{core_hours(cells[0].config):.1f}", shown, command]


ITEM = Item(title="What is trained, and what is not", sweeps=(*SWEEPS,), tasks=(), show=show)

if __name__ == "__main__":
    sys.exit(run_script(ITEM, Path(__file__)))
