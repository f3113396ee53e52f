import shlex

import pytest

from rl3_sb3.experiments import cli
from rl3_sb3.experiments.runs import train_command
from rl3_sb3.experiments.settings.command import command_of
from rl3_sb3.experiments.settings.run_config import RunConfig


@pytest.fixture
def settings_of(monkeypatch, tmp_path):
    """Return the settings that the command line reads out of a command, training nothing."""
    read = []
    monkeypatch.setattr(train_command, "train_command", lambda config, *_: read.append(config))

    def settings(command):
        program, *arguments = shlex.split(command)
        assert (program, cli.main(arguments)) == ("rl3", 0)
        return read.pop()

    return settings


@pytest.mark.parametrize(
    "config",
    [
        RunConfig.of("bandit"),
        RunConfig.of("bandit", algo="rl2", recipe="paper", horizon=500, seed=2, iterations=7),
        RunConfig.of("random-mdp", algo="rl3-markov", learning_rate="1e-3:1e-4", max_grad_norm=0.5),
        RunConfig.of("random-mdp", recipe="paper", target_kl=None, normalize_advantage=False),
        RunConfig.of("gridworld", algo="rl3-coarse", size=13, variation="dense", warm_start=True),
        RunConfig.of("frozen-lake", policy="LstmPolicy"),
        RunConfig.of("frozen-lake", size=4, estimator="q-learning", learning_rate=1e-3, d_model=32),
        RunConfig.of("gridworld", estimator="kernel", scales=[0.5, 2], max_representatives=9),
        RunConfig.of("gridworld", estimator="linear", scales="3,", features=16),
        # The usual run, with all that is not given, is no possible one here.
        RunConfig.of("gridworld", algo="rl3-linear"),
        RunConfig.of("gridworld", estimator="linear"),
        RunConfig.of("bandit", algo="rl3-kernel", estimator="model-based"),
        RunConfig.of("random-mdp", algo="rl3-coarse", cluster_size=1),
    ],
    ids=lambda config: config.kind,
)
def test_the_command_of_a_run_gives_its_settings(config, settings_of):
    assert settings_of(command_of(config)) == config


def test_the_command_says_nothing_that_the_recipe_says():
    assert command_of(RunConfig.of("gridworld", seed=1)) == (
        "rl3 train gridworld --algo rl3 --size 11 --horizon 250 --seed 1 --recipe ours"
    )
