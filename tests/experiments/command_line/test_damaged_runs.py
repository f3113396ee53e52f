import json

import pytest

from .folders import contents

SCORE = {"title": "RL3", "play": "sampled", "returns": [1.0, 2.0], "by_step": None}


def evaluation(**changes):
    """Return the text of an evaluation in two tasks, with changed entries."""
    values = {"domain": "random-mdp", "horizon": 12, "variation": "canonical"}
    values |= {"n_training_steps": 144, "oracle": [3.0, 4.0], "scores": [SCORE]}
    return json.dumps({**values, **changes})


def test_a_truncated_checkpoint_is_one_line_for_evaluate_where_it_is_read(rl3, copied):
    for file in (copied / "checkpoints").iterdir():
        file.write_bytes(file.read_bytes()[:1000])
    before = contents(copied)
    status, _, error = rl3("evaluate", copied, "--trust-pickle")
    assert status == 2
    assert "000144.zip` must be a complete checkpoint" in error
    assert len(error.splitlines()) == 1
    assert contents(copied) == before


def test_a_damaged_newest_checkpoint_is_one_line(rl3, tmp_path, small_options):
    out = tmp_path / "run"
    assert rl3("train", "bandit", *small_options, "--save-every", 0, "--out", out)[0] == 0
    newest = out / "checkpoints" / "step-000000000144.zip"
    newest.write_bytes(b"")
    status, _, error = rl3("evaluate", out, "--tasks", 3, "--trust-pickle")
    assert status == 0
    lines = [line for line in error.splitlines() if not line.startswith("compiling, once")]
    assert lines == [
        f"rl3: warning: {newest} is damaged: continuing from step-000000000096.zip, the one before."
    ]


def test_half_a_configuration_that_a_kill_left_is_no_obstacle(rl3, tmp_path, small_options):
    out = tmp_path / "run"
    out.mkdir()
    (out / ".config.json.123.tmp").write_text("{")
    status, _, error = rl3("train", "bandit", *small_options, "--out", out)
    assert status == 0, error
    assert not list(out.glob(".*"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.json", "{", "config.json` must be complete JSON"),
        ("config.json", "[]", "config.json` must hold a JSON object"),
        ("config.json", "{}", "config.json` must hold the settings of a run"),
        ("evaluation.json", '{"domain": "ban', "evaluation.json` must be complete JSON"),
        ("config.json", '{"run": 5}', "config.json` must have a run's settings under `run`, got 5"),
        ("evaluation.json", "{}", "evaluation.json` must be an evaluation"),
        *[
            (
                "evaluation.json",
                evaluation(**change),
                "evaluation.json` must be an evaluation, got a",
            )
            for change in (
                {"oracle": ["x"]},
                {"oracle": 3},
                {"oracle": []},
                {"scores": []},
                {"scores": 7},
                {"scores": [{**SCORE, "returns": ["x", 1]}]},
                {"scores": [{**SCORE, "returns": [1.0]}]},
            )
        ],
    ],
)
def test_a_damaged_file_is_named(rl3, copied, name, text, message):
    (copied / name).write_text(text)
    status, _, error = rl3("table", copied)
    assert status == 2
    assert message in error
    assert (copied / name).read_text() == text


@pytest.mark.parametrize("name", ["provenance", "prolonged"])
def test_a_damaged_list_of_the_configuration_is_named_before_a_run_is_prolonged(rl3, copied, name):
    file = copied / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), name: 5}))
    before = contents(copied)
    status, _, error = rl3("train", "random-mdp", "--iterations", 9, "--out", copied)
    assert status == 2
    assert f"config.json` must have a list under `{name}`, got 5" in error
    assert contents(copied) == before


def test_a_damaged_evaluation_is_made_again(rl3, copied):
    (copied / "evaluation.json").write_text(evaluation(oracle=["x"]))
    status, _, error = rl3("evaluate", copied, "--tasks", 2)
    assert status == 0, error
    assert len(json.loads((copied / "evaluation.json").read_text())["oracle"]) == 2


def test_files_that_somebody_put_into_a_run_stop_no_checkpoint(rl3, copied):
    (copied / "policy" / ".DS_Store").write_text("icons")
    status, _, error = rl3("train", "random-mdp", "--iterations", 4, "--out", copied)
    assert status == 0, error
    assert (copied / "policy" / ".DS_Store").read_text() == "icons"
