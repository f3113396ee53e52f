import json
from dataclasses import dataclass

import pytest

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.pretrained.agents import weights_digest
from rl3_sb3.experiments.studies.script import Study, run_study


@dataclass(frozen=True)
class Sizes:
    tasks: int = 7
    slips: tuple[float, ...] = (0.0, 0.5)


def measure(sizes, pretrained):
    return {"answer": sizes.tasks * len(sizes.slips), "place": pretrained.name}


STUDY = Study(
    title="A question.",
    sizes=Sizes(),
    smoke={"tasks": 1},
    measure=measure,
    show=lambda record: print(f"answer {record['answer']} of {record['tasks']}"),
    draw=lambda record, file: file.write_text(str(record["answer"])),
)


@pytest.fixture
def script(tmp_path):
    file = tmp_path / "examples" / "studies" / "why.py"
    file.parent.mkdir(parents=True)
    return file


def test_a_measurement_is_stored_with_its_sizes_and_provenance_and_shown_again(
    script, tmp_path, capsys
):
    assert run_study(STUDY, script, ["--measure"]) == 0
    record = json.loads((script.parent / "records" / "why.json").read_text())
    assert (record["tasks"], record["slips"], record["answer"]) == (7, [0.0, 0.5], 14)
    assert {"command", "commit", "hardware", "cpu_seconds"} <= record.keys()
    first = capsys.readouterr().out
    figure = tmp_path / "docs" / "figures" / "why.png"
    assert figure.read_text() == "14"
    figure.unlink()
    assert run_study(STUDY, script, []) == 0
    assert capsys.readouterr().out == first
    assert figure.read_text() == "14"
    assert "answer 14 of 7" in first
    assert f"{record['command']}: 0.0 core-minutes" in first


def test_sizes_of_the_command_line_are_measured(script, capsys):
    words = ["--measure", "--tasks", "3", "--slips", "0.1", "0.2", "0.3"]
    assert run_study(STUDY, script, words) == 0
    assert "answer 9 of 3" in capsys.readouterr().out


def test_agents_that_were_replaced_after_a_measurement_are_named(script, capsys, tmp_path):
    weights = {
        name: tmp_path / "agents" / name / "policy" / "policy.safetensors" for name in ("a", "b")
    }
    for file in weights.values():
        file.parent.mkdir(parents=True)
        file.write_bytes(b"first")

    def measure(sizes, pretrained):
        digests = [{"name": name, "digest": weights_digest(pretrained / name)} for name in "ab"]
        return {"answer": 0, "agents": digests}

    study = Study(**{**vars(STUDY), "measure": measure})
    words = ["--pretrained", str(tmp_path / "agents")]
    assert run_study(study, script, [*words, "--measure"]) == 0
    assert "replaced since" not in capsys.readouterr().out
    weights["b"].write_bytes(b"second")
    assert run_study(study, script, words) == 0
    assert "replaced since this was measured: b\n" in capsys.readouterr().out


def test_smoke_stores_nothing(script, tmp_path, capsys):
    assert run_study(STUDY, script, ["--smoke"]) == 0
    assert "answer 2 of 1" in capsys.readouterr().out
    assert not (script.parent / "records").exists()
    assert not (tmp_path / "docs").exists()


def test_sizes_of_the_command_line_go_before_those_of_smoke(script, capsys):
    assert run_study(STUDY, script, ["--smoke", "--tasks", "3"]) == 0
    assert "answer 6 of 3" in capsys.readouterr().out
    assert run_study(STUDY, script, ["--smoke", "--slips", "0.1"]) == 0
    assert "answer 1 of 1" in capsys.readouterr().out


def test_what_nobody_measured_is_said(script, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run_study(STUDY, script, []) == 0
    said = "not measured yet: python examples/studies/why.py --measure\n"
    assert capsys.readouterr().out == said


def test_a_folder_without_agents_is_an_error_without_a_traceback(script, capsys):
    def refuse(sizes, pretrained):
        raise InputError("no agents")

    study = Study(**{**vars(STUDY), "measure": refuse})
    assert run_study(study, script, ["--measure"]) == 2
    assert "why.py: error: no agents" in capsys.readouterr().err
