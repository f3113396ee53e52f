"""A run small enough for tests, and what makes two runs the same."""

import csv

import pytest
import torch as th

from rl3_sb3 import load_policy
from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.training import make_training_env

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


@pytest.fixture
def rl3(capsys):
    """Return a call of the command line: exit status, standard output and standard error."""

    def call(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as exit_:
            status = exit_.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture(scope="session")
def assert_same_runs():
    """Return a check that two runs are equal bit for bit, but for the clock."""
    return _assert_same_runs


def _assert_same_runs(one, other):
    assert _rows(one) == _rows(other)
    models, states = zip(*(_newest(directory) for directory in (one, other)), strict=True)
    assert models[0].num_timesteps == models[1].num_timesteps
    weights = [model.policy.state_dict() for model in models]
    assert weights[0].keys() == weights[1].keys()
    assert all(th.equal(weights[0][name], weights[1][name]) for name in weights[0])
    for directory in (one, other):
        policy = load_policy(directory.policy_folder, "cpu").state_dict()
        assert all(th.equal(policy[name], weights[0][name]) for name in weights[0])
    moments = [model.policy.optimizer.state_dict()["state"] for model in models]
    assert moments[0].keys() == moments[1].keys()
    for i in moments[0]:
        assert all(th.equal(moments[0][i][name], moments[1][i][name]) for name in moments[0][i])
    for name in ("random_state", "tasks_streams", "pending_metrics", "best_return"):
        assert getattr(states[0], name) == getattr(states[1], name), name


def _rows(directory):
    with directory.metrics_file.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        del row["time/time_elapsed"]
    return rows


def _newest(directory):
    file = directory.checkpoint_file
    env = make_training_env(directory.config_file.read())
    model = directory.checkpoints.load(file, env, "cpu")
    return model, directory.checkpoints.load_state(file)
