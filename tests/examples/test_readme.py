import re
import textwrap
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_code_in_the_readme_runs_from_top_to_bottom(tmp_path, monkeypatch):
    blocks = re.findall(r"^ *```python\n(.*?)```", README.read_text("utf-8"), re.S | re.M)
    assert len(blocks) >= 5
    code = "\n".join(textwrap.dedent(block) for block in blocks)
    shorter = code.replace("learn(300_000, progress_bar=True)", "learn(6_400)")
    assert shorter != code
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(shorter, str(README), "exec"), names)
    assert names["estimator"].counts(0).tolist() == [0, 0, 1, 0]
    assert names["terminated"]
    assert (tmp_path / "bandits.zip").exists()
