from dataclasses import replace

import pytest

from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.sweeps import cell as module
from rl3_sb3.experiments.sweeps.cell import Ending, Outcome, attempt_cell


@pytest.fixture
def untrainable(monkeypatch):
    """Let an attempt to train further fail."""

    def learn(*_, **__):
        raise AssertionError("it is trained")

    return lambda: monkeypatch.setattr("rl3_sb3.ppo.TransformerPPO.learn", learn)


def evaluation_bytes(directory):
    return {file.name: file.read_bytes() for file in directory.path.glob("evaluation*.json")}


def test_a_cell_is_what_train_and_evaluate_make_even_in_pieces(
    make_cell, order, tmp_path, assert_same_runs
):
    cell = make_cell(seed=3, variations=("canonical", "ood"))
    stops = iter([True])
    assert attempt_cell(cell, order, lambda: next(stops)) == Outcome(Ending.STOPPED)
    assert cell.progress(order.out) == (24, 0)
    assert attempt_cell(cell, order) == Outcome(Ending.COMPLETE)
    assert cell.progress(order.out) == (72, 2)
    assert not cell.missing_variations(order.out)

    by_hand = RunDirectory(tmp_path / "by-hand")
    options = ["--horizon", "6", "--seed", "3", "--n-envs", "4", "--batch-size", "12"]
    out = str(by_hand.path)
    assert main(["train", "bandit", *options, "--iterations", "3", "--out", out]) == 0
    for variation in ("canonical", "ood"):
        assert main(["evaluate", out, "--tasks", "4", "--variation", variation]) == 0
    swept = RunDirectory(order.out / cell.name)
    assert_same_runs(swept, by_hand)
    assert evaluation_bytes(swept) == evaluation_bytes(by_hand)


def test_a_complete_cell_is_not_trained_again_whatever_is_evaluated_anew(
    make_cell, order, untrainable
):
    cell = make_cell()
    assert attempt_cell(cell, order).ending is Ending.COMPLETE
    untrainable()
    assert attempt_cell(cell, order).ending is Ending.COMPLETE
    more = replace(cell, n_tasks=5, variations=("canonical", "ood"))
    assert more.missing_variations(order.out) == ["canonical", "ood"]
    assert attempt_cell(more, order) == Outcome(Ending.COMPLETE)
    assert len(more.evaluation(order.out, "ood").oracle) == 5
    another = attempt_cell(make_cell(seed=1), order)
    assert another.reason == "AssertionError: it is trained"
    assert "Traceback" in another.details


def test_the_end_of_the_token_stops_a_cell_with_a_checkpoint(make_cell, order):
    cell = make_cell()

    def at_the_first_question():
        order.token.unlink(missing_ok=True)
        return False

    # Asked first is the token, then this.
    assert attempt_cell(cell, order, at_the_first_question) == Outcome(Ending.STOPPED)
    assert cell.progress(order.out) == (48, 0)


def test_a_worker_that_does_not_see_the_folder_says_so_and_touches_nothing(make_cell, order):
    order.token.unlink()
    outcome = attempt_cell(make_cell(), order)
    assert outcome.ending is Ending.UNSEEN
    assert f"`--out` must be a folder that every node sees at the same path, got {order.out}" in (
        outcome.reason
    )
    assert not list(order.out.iterdir())


def test_a_cell_whose_run_was_changed_is_not_trained(make_cell, order):
    cell = make_cell()
    RunDirectory(order.out / cell.name).begin(replace(cell.config, iterations=9))
    outcome = attempt_cell(cell, order)
    assert outcome.ending is Ending.FAILED
    assert "config.json` must hold the settings that the sweep gives this cell" in outcome.reason


def test_a_cell_waits_for_who_trains_it_and_gives_up_in_the_end(make_cell, order, monkeypatch):
    monkeypatch.setattr(module, "LOCK_PATIENCE", 0.1)
    cell = make_cell()
    assert attempt_cell(cell, order).ending is Ending.COMPLETE
    more = replace(cell, n_tasks=5)
    with RunDirectory(order.out / cell.name).locked():
        outcome = attempt_cell(more, order)
        assert outcome.ending is Ending.FAILED
        assert "no other process uses" in outcome.reason
        assert attempt_cell(cell, order).ending is Ending.COMPLETE, "there is nothing to do"


def test_own_code_that_fails_is_named_by_its_setting(make_cell, order, monkeypatch, tmp_path):
    (tmp_path / "broken_learner.py").write_text("import nowhere_to_be_found")
    (tmp_path / "own_domain.py").write_text("mine = 3")
    monkeypatch.chdir(tmp_path)
    code = (("domain", "own_domain:mine"), ("estimator", "broken_learner:mine"))
    outcome = attempt_cell(make_cell(), replace(order, own_code=code))
    assert outcome.ending is Ending.FAILED
    assert "`estimator` must be MODULE:NAME" in outcome.reason
