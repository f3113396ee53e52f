import importlib.util
import pathlib
import sys


def test_the_training_benchmark_runs_and_reports_every_horizon(capsys, monkeypatch):
    path = pathlib.Path(__file__).parents[2] / "benchmarks" / "training.py"
    spec = importlib.util.spec_from_file_location("training_benchmark", path)
    training = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, training)  # dataclasses look their module up
    spec.loader.exec_module(training)
    arguments = training.Arguments(horizons=(5, 10), steps=40, batch_size=20, repeats=1)
    ratios = training.main(arguments)
    assert set(ratios) == {5, 10}
    assert all(ratio > 0 for ratio in ratios.values())
    printed = capsys.readouterr().out
    lines = [line.split()[:2] for line in printed.splitlines()]
    assert ["5", "epoch"] in lines
    assert ["10", "epoch"] in lines
    assert "thread" in printed.splitlines()[0]
