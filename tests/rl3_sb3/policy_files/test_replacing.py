import os
import threading

import numpy as np
import pytest

from rl3_sb3 import (
    PolicyFileError,
    export_policy,
    load_policy,
)
from rl3_sb3.policy_files import folder

from .policies import FILES, actions, contents, make

# -------------------------------------------------------------------- folders


def test_an_earlier_export_is_replaced_and_nothing_lies_beside_it(tmp_path):
    for seed in range(3):
        export_policy(make(seed=seed), tmp_path / "deep" / "out")
        loaded = load_policy(tmp_path / "deep" / "out", "cpu")
        np.testing.assert_array_equal(actions(loaded), actions(make(seed=seed)))
        assert [entry.name for entry in (tmp_path / "deep").iterdir()] == ["out"]


def test_what_somebody_put_into_an_export_stays_when_it_is_replaced(tmp_path):
    export_policy(make(seed=0), tmp_path / "out")
    (tmp_path / "out" / ".DS_Store").write_text("icons")
    (tmp_path / "out" / "notes").mkdir()
    (tmp_path / "out" / "notes" / "dear.txt").write_text("diary")
    (tmp_path / "out" / "nowhere").symlink_to("gone")
    (tmp_path / "out" / "up").symlink_to("..")
    export_policy(make(seed=1), tmp_path / "out")
    assert os.readlink(tmp_path / "out" / "nowhere") == "gone"
    assert os.readlink(tmp_path / "out" / "up") == ".."
    loaded = load_policy(tmp_path / "out", "cpu")
    np.testing.assert_array_equal(actions(loaded), actions(make(seed=1)))
    assert (tmp_path / "out" / ".DS_Store").read_text() == "icons"
    assert (tmp_path / "out" / "notes" / "dear.txt").read_text() == "diary"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_what_an_export_that_was_killed_had_not_moved_yet_comes_back(tmp_path, monkeypatch):
    export_policy(make(seed=0), tmp_path / "out")
    (tmp_path / "out" / "notes").write_text("diary")

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(folder, "_keep_others", killed)
        patched.setattr(folder.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            export_policy(make(seed=1), tmp_path / "out")
    for seed in (2, 3):
        export_policy(make(seed=seed), tmp_path / "out")
        assert (tmp_path / "out" / "notes").read_text() == "diary"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_folder_with_the_name_of_a_file_is_left_alone(tmp_path):
    export_policy(make(seed=0), tmp_path / "out")
    (tmp_path / "out" / "README.md").unlink()
    (tmp_path / "out" / "README.md").mkdir()
    with pytest.raises(ValueError, match=r"earlier export.*other contents"):
        export_policy(make(seed=1), tmp_path / "out")
    assert (tmp_path / "out" / "README.md").is_dir()


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir()
    export_policy(make(), tmp_path / "out")
    assert contents(tmp_path / "out").keys() == FILES


def test_the_working_folder_is_not_pulled_away(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="the working folder"):
        export_policy(make(), ".")
    export_policy(make(), "out")
    assert contents(tmp_path / "out").keys() == FILES


@pytest.mark.parametrize("other", ["folder", "file", "link"])
def test_other_things_are_left_alone(tmp_path, other):
    path = tmp_path / "out"
    if other == "folder":
        path.mkdir()
        (path / "thesis.tex").write_text("dear")
    elif other == "file":
        path.write_text("dear")
    else:
        (tmp_path / "real").mkdir()
        path.symlink_to(tmp_path / "real")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(
        ValueError, match="`path` must be a new folder, or that of an earlier export"
    ):
        export_policy(make(), path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "call"), [("fsync", 0), ("fsync", 1), ("fsync", 2), ("replace", 0), ("replace", 1)]
)
def test_a_failing_export_leaves_the_old_one(tmp_path, monkeypatch, name, call):
    export_policy(make(seed=0), tmp_path / "out")
    before = contents(tmp_path / "out")
    real, n_calls = getattr(os, name), 0

    def failing(*args):
        nonlocal n_calls
        n_calls += 1
        if n_calls == call + 1:
            raise OSError("no room")
        return real(*args)

    monkeypatch.setattr(folder.os, name, failing)
    with pytest.raises(OSError, match="no room"):
        export_policy(make(seed=1), tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("n_renames", [0, 1, 2])
def test_a_killed_export_leaves_the_old_or_the_new_one(tmp_path, monkeypatch, n_renames):
    """Nothing is tidied up after a kill: neither deleted nor renamed."""
    old, new = make(seed=0), make(seed=1)
    export_policy(old, tmp_path / "out")
    with monkeypatch.context() as patch:
        real, done = os.replace, 0

        def replace(*args):
            nonlocal done
            if done == n_renames:
                raise Killed
            done += 1
            real(*args)
            if done == n_renames:
                patch.setattr(folder.shutil, "rmtree", lambda *_, **__: None)

        patch.setattr(folder.os, "replace", replace)
        if n_renames == 2:
            export_policy(new, tmp_path / "out")
        else:
            with pytest.raises(Killed):
                export_policy(new, tmp_path / "out")
    if n_renames > 0:
        assert len(list(tmp_path.iterdir())) == 2
    expected = new if n_renames == 2 else old
    np.testing.assert_array_equal(actions(load_policy(tmp_path / "out", "cpu")), actions(expected))
    export_policy(new, tmp_path / "out")
    np.testing.assert_array_equal(actions(load_policy(tmp_path / "out", "cpu")), actions(new))
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_reader_gets_one_export_whole_while_another_process_writes(tmp_path):
    policies = [make(seed=seed) for seed in range(2)]
    known = {policy.parameters_to_vector().tobytes() for policy in policies}
    export_policy(policies[0], tmp_path / "out")
    done = threading.Event()

    def read():
        while not done.is_set():
            try:
                got.add(load_policy(tmp_path / "out", "cpu").parameters_to_vector().tobytes())
            except PolicyFileError as error:
                errors.append(error)

    got: set[bytes] = set()
    errors: list[PolicyFileError] = []
    reader = threading.Thread(target=read)
    reader.start()
    try:
        for i in range(30):
            export_policy(policies[i % 2], tmp_path / "out")
    finally:
        done.set()
        reader.join()
    assert got
    assert got <= known
    assert not errors
