"""A trained policy is never replaced by one that begins anew."""

import shutil

import pytest

from rl3_sb3 import load_policy
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.training import train


@pytest.fixture
def copied(trained, tmp_path):
    path = tmp_path / "copy"
    shutil.copytree(trained.path, path)
    return RunDirectory(path)


def contents(path):
    names = ("lock", ".cache")
    files = (file for file in path.rglob("*") if file.is_file() and file.name not in names)
    return {file: file.read_bytes() for file in files}


def without_folder(run):
    shutil.rmtree(run.checkpoints.path)


def without_files_but_evaluated(run):
    for file in run.checkpoints.path.iterdir():
        file.unlink()
    run.evaluation_file("ood").write_text("{}")


@pytest.mark.parametrize("lose", [without_folder, without_files_but_evaluated])
@pytest.mark.parametrize("options", [[], ["--iterations", 9]])
def test_a_run_that_lost_its_checkpoints_is_not_trained_anew(rl3, copied, lose, options):
    lose(copied)
    before = contents(copied.path)
    status, _, error = rl3("train", "random-mdp", "--out", copied.path, *options)
    assert status == 2
    assert "a trained policy and no checkpoint: training would begin anew and r" in error
    assert f"--start-from {copied.path}" in error
    with pytest.raises(InputError, match="begin anew"):  # as in a sweep
        train(copied, copied.config_file.read(), device="cpu")
    assert contents(copied.path) == before


def test_a_published_agent_is_not_trained_over(rl3, copied):
    shutil.rmtree(copied.checkpoints.path)
    (copied.path / "record.json").write_text("{}")
    before = contents(copied.path)
    for command, words in (
        (["train", "random-mdp", "--out"], "a published agent: it has no checkpoint to go on from"),
        (["evaluate", "--trust-pickle"], "its policy alone: leave out --trust-pickle"),
        (["evaluate", "--best"], "one policy: leave out --best"),
    ):
        status, _, error = rl3(*command, copied.path)
        assert status == 2
        assert words in error
        assert contents(copied.path) == before


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(rl3, copied):
    for file in copied.checkpoints.path.iterdir():
        file.unlink()
    status, text, _ = rl3("train", "random-mdp", "--out", copied.path)
    assert status == 0
    assert "144 of 144 steps done" in text
    assert load_policy(copied.policy_folder, "cpu").training_record.n_steps == 144


def test_a_lost_best_policy_can_be_read_from_its_checkpoint(rl3, tmp_path, small_options):
    out = tmp_path / "run"
    assert rl3("train", "bandit", *small_options, "--validate-every", 2, "--out", out)[0] == 0
    shutil.rmtree(out / "policy-best")
    status, _, error = rl3("evaluate", out, "--best", "--tasks", 3)
    assert status == 2
    assert "without policy-best/. If the run is your own, pass --trust-pickle" in error
    assert rl3("evaluate", out, "--best", "--tasks", 3, "--trust-pickle")[0] == 0
