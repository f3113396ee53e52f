import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.stem)
def test_the_example_runs_at_smoke_size(file, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", [str(file), "--smoke"])
    runpy.run_path(str(file), run_name="__main__")
    assert len(capsys.readouterr().out.splitlines()) >= 2
