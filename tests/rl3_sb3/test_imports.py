import ast
import pathlib
import subprocess
import sys
from graphlib import TopologicalSorter

import rl3_sb3

PACKAGE = pathlib.Path(rl3_sb3.__file__).parent


def general_modules():
    """Files of the general extension of SB3, by the names of their modules."""
    files = {}
    for file in PACKAGE.glob("**/*.py"):
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        if parts[1] not in ("experiments", "__main__"):
            files[".".join(parts).removesuffix(".__init__")] = file
    return files


# numba is loaded by the first use of `cpu_kernels`.
def test_the_general_modules_load_neither_vamdp_nor_numba_nor_sb3_contrib():
    modules = [name for name in general_modules() if "cpu_kernels." not in name]
    assert len(modules) > 20
    code = (
        f"import sys, {', '.join(modules)};"
        "found = [m for m in sys.modules if m.split('.')[0] in ('vamdp', 'numba', 'sb3_contrib')];"
        "sys.exit(str(found) if found else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def imported(file, names):
    """The modules among `names` that a file imports as it is loaded, but for annotations."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & names.keys()
        if isinstance(node, ast.ImportFrom):
            wanted = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            found |= wanted & names.keys()
    return found


def test_no_circle_joins_the_general_modules():
    files = general_modules()
    graph = {name: imported(file, files) - {"rl3_sb3"} for name, file in files.items()}
    assert graph["rl3_sb3.policy"] >= {"rl3_sb3.networks.lstm", "rl3_sb3.sequence_policy"}
    list(TopologicalSorter(graph).static_order())


def test_networks_know_nothing_of_who_uses_them():
    files = general_modules()
    allowed = ("rl3_sb3.networks", "rl3_sb3.cpu_kernels", "rl3_sb3.to_device")
    for name, file in files.items():
        if name.startswith("rl3_sb3.networks."):
            others = imported(file, files) - {"rl3_sb3"}
            assert all(other.startswith(allowed) for other in others), name


def test_folders_of_experiments_import_only_those_before_them():
    folders = [
        "files", "settings", "evaluation", "runs", "results", "films", "sweeps", "pretrained",
        "paper", "studies", "commands",
    ]  # fmt: skip
    for place, folder in enumerate(folders):
        files = list((PACKAGE / "experiments" / folder).glob("*.py"))
        assert len(files) > 2
        for file in files:
            text = file.read_text(encoding="utf-8")
            for later in folders[place + 1 :]:
                assert f"rl3_sb3.experiments.{later}" not in text, (file, later)
