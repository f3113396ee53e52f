import re

import pytest

from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.evaluation.scores import mean_and_error
from rl3_sb3.experiments.quickstart import FULL, SMOKE, cells, default_folder
from rl3_sb3.experiments.runs.metrics import read_metrics
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.sweeps.cell import Ending, attempt_cell
from rl3_sb3.experiments.sweeps.folder import driving


def test_the_smoke_size_goes_all_the_way_from_where_it_was_stopped(capsys, tmp_path):
    out = tmp_path / "new" / "folder"
    out.mkdir(parents=True)
    with driving(out, 0.0) as order:
        assert attempt_cell(cells(SMOKE)[0], order, lambda: True).ending is Ending.STOPPED
    (stopped,) = read_metrics(out / "rl2" / "metrics.csv")
    assert main(["quickstart", "--smoke", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    agents = re.findall(
        r"^\| (\S+(?:, \w+)?) +\| +(-?[\d.]+) ± ([\d.]+) +\| ([\d.]+) ", text, re.MULTILINE
    )
    assert [row[0] for row in agents] == [
        "random", "RL², sampled", "RL², greedy", "RL³, sampled", "RL³, greedy", "oracle",
    ]  # fmt: skip
    assert float(agents[-1][1]) > float(agents[0][1])
    assert str(out / "quickstart.png") in text
    assert (out / "quickstart.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "table.md").read_text().strip() in text
    rl2, rl3 = (RunDirectory(out / name).config_file.read().to_dict() for name in ("rl2", "rl3"))
    own = ("algo", "estimator", "estimator_options")
    assert {n: v for n, v in rl2.items() if n not in own} == {
        n: v for n, v in rl3.items() if n not in own
    }, "both sides have the same settings"
    rows = read_metrics(out / "rl2" / "metrics.csv")
    assert rows[0] == stopped, "the clock's column too: it was not trained again"
    steps = [read_metrics(out / name / "metrics.csv")[-1] for name in ("rl2", "rl3")]
    assert steps[0]["time/total_timesteps"] == steps[1]["time/total_timesteps"]

    # Complete, it shows its table again and trains nothing.
    metrics = [(out / name / "metrics.csv").read_bytes() for name in ("rl2", "rl3")]
    assert main(["quickstart", "--smoke", "--out", str(out)]) == 0
    assert capsys.readouterr().out == text
    assert metrics == [(out / name / "metrics.csv").read_bytes() for name in ("rl2", "rl3")]


def test_without_a_name_each_quickstart_gets_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = []
    for _ in range(3):
        folder = default_folder()
        folder.mkdir()
        names.append(folder.name)
    assert names == ["rl3-quickstart", "rl3-quickstart-2", "rl3-quickstart-3"]


def test_a_quickstart_of_the_same_settings_is_where_to_go_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = default_folder(SMOKE)
    rl2, _ = cells(SMOKE)
    RunDirectory(folder / rl2.name).begin(rl2.config)
    assert default_folder(SMOKE) == folder
    for others in (default_folder(FULL), default_folder(SMOKE, seed=1)):
        assert others != folder
    assert main(["quickstart", "--smoke", "--seed", "1", "--out", str(folder)]) == 2
    assert "or that of a quickstart with the same settings" in capsys.readouterr().err


@pytest.mark.slow
def test_value_estimates_help_by_more_than_the_errors(tmp_path):
    out = tmp_path / "full"
    assert main(["quickstart", "--out", str(out)]) == 0
    scores = {}
    for name, title in (("rl2", "RL²"), ("rl3", "RL³")):
        evaluation = RunDirectory(out / name).read_evaluation("canonical")
        scores[title] = mean_and_error(evaluation.score_of("sampled").returns)
    (rl2, rl2_error), (rl3, rl3_error) = scores["RL²"], scores["RL³"]
    assert rl3 - rl2 > 4 * (rl2_error**2 + rl3_error**2) ** 0.5
