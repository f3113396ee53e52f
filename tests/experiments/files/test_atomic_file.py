import os
import threading

import pytest

from rl3_sb3.experiments.files.atomic_file import remove_leftovers, replace_content


def test_a_file_is_made_and_replaced(tmp_path):
    file = tmp_path / "a.json"
    for content in (b"long content", b"short"):
        replace_content(file, content)
        assert file.read_bytes() == content
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_at_any_step_leaves_the_old_content_alone(tmp_path, monkeypatch, step):
    file = tmp_path / "a.json"
    replace_content(file, b"old")

    def fail(*_):
        raise OSError("no room")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="no room"):
        replace_content(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_content_reaches_the_disk_before_the_name_does(tmp_path, monkeypatch):
    calls = []

    def noting(name, do):
        return lambda *arguments: (calls.append(name), do(*arguments))

    monkeypatch.setattr(os, "fsync", noting("fsync", os.fsync))
    monkeypatch.setattr(os, "replace", noting("replace", os.replace))
    replace_content(tmp_path / "a", b"content")
    assert calls[:2] == ["fsync", "replace"]


def test_leftovers_go_and_nothing_else(tmp_path):
    kept = [".a.zip.old.tmp", ".hidden", "a.zip", "a.zip.123.tmp"]
    for name in (".a.zip.123.tmp", ".b.zip.7.tmp", *kept):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path, "a.zip")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([".b.zip.7.tmp", *kept])
    remove_leftovers(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(kept)
    remove_leftovers(tmp_path / "nowhere")


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path):
    target, link = tmp_path / "elsewhere" / "a.json", tmp_path / "link.json"
    target.parent.mkdir()
    target.write_bytes(b"old")
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("this system gives no links to this user")
    replace_content(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names here")
def test_a_pipe_is_written_to_and_stays(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    replace_content(pipe, b"content")
    reader.join(timeout=20)
    assert got == [b"content"]
    assert pipe.is_fifo()
