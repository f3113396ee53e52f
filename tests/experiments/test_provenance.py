import subprocess

import pytest

from rl3_sb3.experiments import provenance


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with our module and another file in one commit."""
    module = tmp_path / "rl3_sb3" / "experiments" / "provenance.py"
    module.parent.mkdir(parents=True)
    module.write_text("1\n")
    (tmp_path / "vamdp").mkdir()
    (tmp_path / "vamdp" / "a.py").write_text("1\n")
    (tmp_path / "notes").write_text("1\n")
    monkeypatch.setattr(provenance, "__file__", str(module))
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "one")
    return tmp_path


def git(folder, *arguments):
    done = subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True)
    return done.stdout.decode().strip()


def test_the_commit_is_the_checkouts(checkout):
    assert provenance.code_commit() == git(checkout, "rev-parse", "HEAD")


def test_changed_code_is_marked_and_other_changes_are_not(checkout):
    (checkout / "notes").write_text("2\n")
    assert not provenance.code_commit().endswith("+")
    (checkout / "vamdp" / "a.py").write_text("2\n")
    assert provenance.code_commit() == git(checkout, "rev-parse", "HEAD") + "+"


def test_code_that_the_repository_around_it_does_not_track_has_no_commit(checkout):
    git(checkout, "rm", "-q", "--cached", "rl3_sb3/experiments/provenance.py")
    assert provenance.code_commit() == ""


def test_without_git_there_is_no_commit(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance.code_commit() == ""


def test_the_processor_is_named_with_its_cores(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Fast One\nmodel name\t: B\n")
    monkeypatch.setattr(provenance, "_CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(provenance, "n_cores", lambda: 2)
    assert provenance.hardware() == "Fast One, 2 cores"
