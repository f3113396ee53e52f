import ast
import graphlib
import importlib.util
import pathlib
import subprocess
import sys

import pytest

FORBIDDEN = ["torch", "stable_baselines3", "sb3_contrib", "rl3_sb3"]


def modules_of(package):
    """Name -> file of all modules of a package; a package's own name stands for its __init__."""
    files = {}
    (folder,) = importlib.util.find_spec(package).submodule_search_locations
    for file in pathlib.Path(folder).rglob("*.py"):
        parts = file.relative_to(pathlib.Path(folder).parent).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return files


def imported_by(module, file, known):
    """The modules that must be there before this one, wherever in the file they are imported.

    An import runs the __init__ of the packages on its way, but for those that this module is in.
    """
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            parts = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else node.module for name in parts]
        for name in names:
            above = name
            while above:
                if above in known and (above == name or not f"{module}.".startswith(f"{above}.")):
                    found.add(above)
                above = above.rpartition(".")[0]
    return found - {module}


def test_the_reader_of_imports_sees_packages_on_the_way_and_imports_inside_functions(tmp_path):
    file = tmp_path / "f.py"
    file.write_text("import p.b.c, os\ndef f():\n    from p.d import e, g\n")
    known = {"p", "p.a", "p.a.f", "p.b", "p.b.c", "p.d", "p.d.e"}
    assert imported_by("p.a.f", file, known) == {"p.b", "p.b.c", "p.d", "p.d.e"}


@pytest.mark.parametrize("package", ["vamdp", "rl3_sb3"])
def test_no_module_imports_itself_through_others(package):
    known = modules_of(package)
    assert len(known) > 30
    graph = {name: imported_by(name, file, known) for name, file in known.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


@pytest.mark.parametrize("use", ["import vamdp", "import vamdp.vector, vamdp.domains"])
def test_vamdp_loads_neither_torch_nor_stable_baselines(use):
    code = f"import sys; {use}; print([m for m in {FORBIDDEN} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert loaded.stdout.strip() == "[]", loaded.stderr


def test_wrapping_and_stepping_loads_them_neither():
    """Recorders of SB3 are recognised without importing it."""
    code = f"""
import sys, gymnasium, vamdp
env = vamdp.MetaEpisode(vamdp.ValueAugment(gymnasium.make("vamdp/Bandit-v0"), task_horizon=1), 3)
env.reset(seed=0)
for _ in range(3):
    env.step(0)
print([m for m in {FORBIDDEN} if m in sys.modules])
"""
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert loaded.stdout.strip() == "[]", loaded.stderr
