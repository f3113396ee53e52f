import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

#: What an example shows that the tests can do without.
OPTIONAL = {
    "minigrid_layouts": "minigrid",
    "stock_sb3_contrib": "sb3_contrib",
    "tianshou_collector": "tianshou",
    "torchrl_env": "torchrl",
}


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.stem)
def test_the_example_runs_at_smoke_size(file, capsys, monkeypatch, tmp_path):
    pytest.importorskip(OPTIONAL.get(file.stem, "sys"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(file), "--smoke"])
    runpy.run_path(str(file), run_name="__main__")
    assert len(capsys.readouterr().out.splitlines()) >= 2
