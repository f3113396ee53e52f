"""A run small enough for tests."""

import pytest

from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.run_directory import RunDirectory

# Meta-episodes of 12 steps: one whole episode of a random MDP, and one that is cut.
SMALL = ["--horizon", "12", "--n-envs", "4", "--batch-size", "24", "--iterations", "3"]


@pytest.fixture(scope="session")
def small_options():
    return list(SMALL)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Return a complete run that tests must not change."""
    path = tmp_path_factory.mktemp("run") / "mdp-rl3"
    assert main(["train", "random-mdp", *SMALL, "--out", str(path)]) == 0
    return RunDirectory(path)
