"""The cache of compiled code, where its folder is read-only, full or damaged."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

MODULE = Path(find_spec("vamdp").origin).parent / "compiled.py"

# The module is loaded without its package: nothing else is compiled.
SCRIPT = """
import importlib.util, json, sys, warnings
sys.path.insert(0, {folder!r})
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import kernels
    results = [kernels.double(3), kernels.double(0.5), kernels.add_one(3)]
hits = sum(sum(f.stats.cache_hits.values()) for f in (kernels.double, kernels.add_one))
print(json.dumps([results, hits, [str(w.message) for w in caught]]))
"""

KERNELS = """
import importlib.util
spec = importlib.util.spec_from_file_location("compiled", {module!r})
compiled = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compiled)
njit = compiled.njit

@njit(cache=True, inline="always")
def inner(x):
    return x + x

@njit(cache=True)
def double(x):
    return inner(x)

@njit(cache=True)
def add_one(x):
    return x + 1
"""

VALUES = [6, 1.0, 4]


@pytest.fixture
def run(tmp_path):
    """Runs the kernels in a new process; returns values, cache hits and warnings."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "kernels.py").write_text(KERNELS.format(module=str(MODULE)))

    def run(before=None, **environment):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT.format(folder=str(folder))],
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"} | environment,
            capture_output=True,
            text=True,
            preexec_fn=before,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    run.folder = folder
    return run


def test_kept_code_is_found_again(run, tmp_path):
    assert run(NUMBA_CACHE_DIR=str(tmp_path / "cache")) == [VALUES, 0, []]
    assert run(NUMBA_CACHE_DIR=str(tmp_path / "cache")) == [VALUES, 3, []]


def test_code_that_holds_what_another_file_says_is_compiled_anew_when_that_changes(run, tmp_path):
    module, helper = run.folder / "compiled.py", run.folder / "helper.py"
    shutil.copy(MODULE, module)
    kernels = KERNELS.format(module=str(module)).replace("x + x", "helper.FACTOR * x")
    (run.folder / "kernels.py").write_text(f"import helper\n{kernels}")
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    helper.write_text("FACTOR = 2")
    assert run(**cache) == [VALUES, 0, []]
    assert run(**cache) == [VALUES, 3, []]
    helper.write_text("FACTOR = 3")
    assert run(**cache) == [[9, 1.5, 4], 0, []]


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("kept", [0, 0.5])
def test_a_file_that_was_cut_short_is_written_anew(run, tmp_path, kind, kept):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    run(**cache)
    files = list(tmp_path.glob(f"cache/**/*.{kind}"))
    assert files
    for file in files:
        content = file.read_bytes()
        file.write_bytes(content[: int(kept * len(content))])
    assert run(**cache)[::2] == [VALUES, []]
    assert run(**cache) == [VALUES, 3, []]


@pytest.mark.skipif(os.name != "posix", reason="needs limits as POSIX has them")
def test_where_there_is_no_room_code_is_compiled_in_memory_with_one_warning(run, tmp_path):
    def no_large_files():
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    values, hits, (warning,) = run(no_large_files, **cache)
    assert (values, hits) == (VALUES, 0)
    assert "NUMBA_CACHE_DIR" in warning and "File too large" in warning
    assert run(**cache)[::2] == [VALUES, []], "what was left behind is no obstacle"
    assert run(**cache) == [VALUES, 3, []]


@pytest.mark.skipif(os.name != "posix", reason="needs permissions as POSIX has them")
def test_where_nothing_can_be_written_code_is_compiled_in_memory_with_one_warning(
    run, tmp_path, obey_permissions
):
    home = tmp_path / "home"
    home.mkdir()
    for folder in (home, run.folder):
        folder.chmod(0o555)
    environment = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "NUMBA_CACHE_DIR": ""}
    try:
        values, hits, found = run(obey_permissions, **environment)
    finally:
        for folder in (home, run.folder):
            folder.chmod(0o755)
    if list(home.iterdir()) or list(run.folder.glob("__pycache__")):
        pytest.skip("this user writes whatever the permissions say")
    assert (values, hits) == (VALUES, 0)
    assert len(found) == 1 and "NUMBA_CACHE_DIR" in found[0]


@pytest.mark.skipif(os.name != "posix", reason="needs permissions as POSIX has them")
def test_a_damaged_file_that_cannot_be_replaced_is_no_obstacle(run, tmp_path, obey_permissions):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    run(**cache)
    (folder,) = {file.parent for file in tmp_path.glob("cache/**/*.nbi")}
    for file in folder.glob("*.nbi"):
        file.write_bytes(b"")
    folder.chmod(0o555)
    try:
        values, hits, found = run(obey_permissions, **cache)
    finally:
        folder.chmod(0o755)
    assert (values, hits) == (VALUES, 0)
    assert len(found) <= 1
