import json
import subprocess
import time

import pytest

from rl3_sb3.experiments.results.records import start_record, write_record


def git(folder, *arguments):
    name = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(folder), *name, *arguments], check=True, capture_output=True)


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A script in a folder of a repository that does not exist yet, called with arguments."""
    file = tmp_path / "examples" / "measure.py"
    file.parent.mkdir()
    file.write_text("1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr("sys.argv", [str(file), "--seeds", "3"])
    return file


def commit_all(folder):
    git(folder, "init")
    git(folder, "add", "-A")
    git(folder, "commit", "-m", "all")


def test_a_record_says_what_was_found_and_how_to_find_it_again(script, tmp_path):
    commit_all(tmp_path)
    start = start_record()
    time.sleep(0.2)
    record = write_record(tmp_path / "records" / "found.json", start, pairs=[1, 2])
    assert record == json.loads((tmp_path / "records" / "found.json").read_text())
    assert record["pairs"] == [1, 2]
    assert record["command"] == "python examples/measure.py --seeds 3"
    assert 0.2 <= record["seconds"] < 5
    assert record["cpu_seconds"] < 0.2
    assert len(record["commit"]) >= 7 and "+" not in record["commit"]


def test_the_commit_is_that_of_the_start(script, tmp_path):
    commit_all(tmp_path)
    start = start_record()
    script.write_text("2")
    git(tmp_path, "commit", "-am", "another")
    assert write_record(tmp_path / "a.json", start)["commit"] != start_record().commit


def test_changed_files_are_told(script, tmp_path):
    commit_all(tmp_path)
    script.write_text("2")
    assert start_record().commit.endswith("+")


def test_what_an_earlier_measurement_wrote_is_no_change_of_code(script, tmp_path):
    written = [
        tmp_path / "examples" / "records" / "a.json",
        tmp_path / "docs" / "figures" / "a.png",
    ]
    for file in written:
        file.parent.mkdir(parents=True)
        file.write_text("1")
    commit_all(tmp_path)
    for file in written:
        file.write_text("2")
    assert len(start_record().commit) == 40
    (tmp_path / "examples" / "measure.py").write_text("2")
    assert start_record().commit.endswith("+")


def test_outside_of_a_repository_there_is_no_commit(script, tmp_path):
    record = write_record(tmp_path / "a.json", start_record())
    assert record["commit"] == ""
    assert record["command"] == "python measure.py --seeds 3"
