import json
import shlex

import pytest


def test_train_continue_evaluate_table(rl3, tmp_path, small_options):
    out = tmp_path / "bandit"
    train = ["train", "bandit", "--algo", "rl2", *small_options, "--out", out]
    status, text, _ = rl3(*train, "--time-limit", "0.000001")
    assert status == 0
    assert "48 of 144 steps done" in text
    status, text, _ = rl3("train", "bandit", "--out", out)
    assert status == 0
    assert "144 of 144 steps done" in text
    for options, file in (([], "evaluation.json"), (["--ood"], "evaluation-ood.json")):
        status, text, _ = rl3("evaluate", out, "--tasks", 6, *options)
        assert status == 0
        assert [
            line.split("|")[1].strip() for line in text.splitlines()[:6] if "--" not in line
        ] == [
            "agent",
            "random",
            "RL², sampled",
            "RL², greedy",
            "oracle",
        ]
        assert len(json.loads((out / file).read_text())["oracle"]) == 6
    status, text, _ = rl3("table", out)
    assert status == 0
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert len(rows) == 2 + 2 * 4
    assert rows[3][:6] == ["Bandits", "12", "6", "RL², sampled", "0", "144"]
    assert rows[9][:4] == ["Bandits", "12", "6 ood", "oracle"]


def test_gridworlds_train_coarsely_and_are_evaluated_on_variations(rl3, tmp_path):
    out = tmp_path / "grid"
    tiny = ["--horizon", 30, "--n-envs", 3, "--batch-size", 90, "--iterations", 1]
    kind = ["--algo", "rl3-coarse", "--size", 13, "--cluster-terminals", "--warm-start"]
    status, text, _ = rl3("train", "gridworld", *kind, *tiny, "--out", out)
    assert status == 0
    assert f"recipe ours, learns from the regret times 0.02: {out / 'config.json'}" in text
    assert "90 of 90 steps done" in text
    stored = json.loads((out / "config.json").read_text())["run"]
    assert (stored["algo"], stored["size"]) == ("rl3-coarse", 13)
    options = stored["estimator_options"]
    assert options["cluster_terminals"] and options["warm_start"] and options["cluster_size"] == 2
    for options, file in (
        ([], "evaluation.json"),
        (["--variation", "watery"], "evaluation-watery.json"),
    ):
        status, text, _ = rl3("evaluate", out, "--tasks", 3, *options)
        assert status == 0
        assert "RL³-coarse" in text
        assert (out / file).is_file()
    watery, canonical = (
        json.loads((out / name).read_text())["oracle"]
        for name in ("evaluation-watery.json", "evaluation.json")
    )
    assert watery != canonical
    status, text, _ = rl3("table", out)
    assert status == 0
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    told = "critic_sees task, estimator.warm_start true, estimator.cluster_terminals true"
    agent = f"RL³-coarse ({told}), greedy"
    assert ["Gridworlds 13x13", "30", "3 watery", agent] in [row[:4] for row in rows]


def test_runs_of_other_kinds_get_other_folders(rl3, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny = ["--horizon", 5, "--n-envs", 2, "--batch-size", 10, "--iterations", 1]
    for options, folder in (
        (["--size", 11], "gridworld11-rl3-5-0"),
        (["--size", 13], "gridworld13-rl3-5-0"),
        (["--variation", "dense", "--algo", "rl2"], "gridworld11-dense-rl2-5-0"),
    ):
        assert rl3("train", "gridworld", *options, *tiny)[0] == 0
        assert (tmp_path / "runs" / folder / "config.json").is_file()


def test_evaluating_twice_gives_the_same_file(rl3, copied):
    files = []
    for _ in range(2):
        assert rl3("evaluate", copied, "--tasks", 3)[0] == 0
        files.append((copied / "evaluation.json").read_bytes())
    assert files[0] == files[1]


def test_a_look_at_few_tasks_does_not_replace_an_evaluation_of_many(rl3, copied):
    file = copied / "evaluation.json"
    assert "; stored: " in rl3("evaluate", copied, "--tasks", 5)[1]
    stored = file.read_bytes()
    status, text, _ = rl3("evaluate", copied, "--tasks", 3)
    assert status == 0
    told = f"not stored (3 canonical tasks, H = 12), because {file} has 5 tasks after 144 steps"
    assert f"{told}; move it away to store this one" in text
    assert file.read_bytes() == stored
    # An earlier policy's is replaced, and so is a damaged file.
    values = json.loads(stored)
    for content in (json.dumps({**values, "n_training_steps": 1}), "{"):
        file.write_text(content)
        assert "; stored: " in rl3("evaluate", copied, "--tasks", 3)[1]
        assert len(json.loads(file.read_text())["oracle"]) == 3


def test_more_iterations_prolong_a_complete_run(rl3, copied):
    train = ["train", "random-mdp", "--out", copied]
    status, text, _ = rl3(*train)
    assert status == 0
    assert f"or prolong: rl3 train random-mdp --out {copied} --iterations 6" in text
    status, text, _ = rl3(*train, "--iterations", 4)
    assert status == 0
    assert "prolonged from 3 to 4 iterations" in text
    assert "192 of 192 steps done" in text
    stored = json.loads((copied / "config.json").read_text())
    assert stored["run"]["iterations"] == 4
    assert stored["prolonged"] == [{"n_steps": 144, "iterations": 4}]
    status, text, _ = rl3(*train, "--iterations", 4)  # once more: nothing to do
    assert status == 0
    assert "prolonged" not in text
    assert json.loads((copied / "config.json").read_text()) == stored


@pytest.mark.parametrize("trust", [[], ["--trust-pickle"]])
def test_the_best_checkpoint_can_be_evaluated(rl3, tmp_path, small_options, trust):
    out = tmp_path / "run"
    train = ["train", "bandit", *small_options, "--validate-every", 2, "--out", out]
    assert rl3(*train)[0] == 0
    for options, n_steps in ((["--best"], 96), ([], 144)):
        status, text, _ = rl3("evaluate", out, "--tasks", 3, *options, *trust)
        assert status == 0
        assert f"after {n_steps} of 144 training steps" in text
        assert json.loads((out / "evaluation.json").read_text())["n_training_steps"] == n_steps


def test_a_look_at_the_best_policy_does_not_replace_the_last_ones_evaluation(
    rl3, tmp_path, small_options
):
    out = tmp_path / "run"
    train = ["train", "bandit", *small_options, "--validate-every", 2, "--out", out]
    assert rl3(*train)[0] == 0
    assert rl3("evaluate", out, "--tasks", 4)[0] == 0
    stored = (out / "evaluation.json").read_bytes()
    status, text, _ = rl3("evaluate", out, "--best", "--tasks", 5)
    assert status == 0
    assert "after 96 of 144 training steps; not stored" in text
    assert (out / "evaluation.json").read_bytes() == stored


def test_a_pattern_of_folders_may_match_other_things_than_evaluated_runs(rl3, tmp_path, copied):
    stray = tmp_path / "notes.txt"
    stray.write_text("not a run")
    assert rl3("evaluate", copied, "--tasks", 4)[0] == 0
    status, text, notes = rl3("table", copied, stray)
    assert status == 0
    assert "oracle" in text
    assert str(stray) in notes
    assert rl3("table", stray)[0] == 2
    assert rl3("table", copied.parent)[:2] == (0, text), "as a sweep's folder"


def test_commands_that_are_printed_can_be_pasted(rl3, tmp_path, small_options):
    out = tmp_path / "my runs" / "it's one"
    status, text, _ = rl3("train", "bandit", *small_options, "--out", out)
    assert status == 0
    (line,) = [line for line in text.splitlines() if line.startswith("next: ")]
    assert shlex.split(line)[1:] == ["rl3", "evaluate", str(out)]
    status, text, _ = rl3("train", "bandit", "--out", out)
    (line,) = [line for line in text.splitlines() if line.startswith("or prolong: ")]
    assert str(out) in shlex.split(line)
    status, _, error = rl3("table", out)
    assert status == 2
    assert str(out) in shlex.split(error.split("`")[3])
