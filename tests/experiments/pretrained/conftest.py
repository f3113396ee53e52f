import pytest

from rl3_sb3.experiments.cli import main

SWEEP = """
algorithms = ["rl2", "rl3"]
seeds = [0, 1, 2]
horizons = [12]
domains = ["bandit"]
[settings]
recipe = "ours"
iterations = 3
n_envs = 4
batch_size = 24
d_model = 8
d_ff = 8
input_hidden = 8
[evaluation]
tasks = 6
variations = ["canonical", "ood"]
"""


@pytest.fixture(scope="session")
def sweep(tmp_path_factory):
    """The folder of a complete sweep."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "tiny.toml").write_text(SWEEP)
    out = folder / "runs"
    assert main(["sweep", str(folder / "tiny.toml"), "--out", str(out), "--jobs", "1"]) == 0
    return out
