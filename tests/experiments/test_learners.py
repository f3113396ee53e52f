"""Learners of one's own on the command line, by MODULE:NAME."""

import numpy as np
import pytest

from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.learners import learner_of
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.settings.run_config import RunConfig
from vamdp.estimators import BUILT_INS

MODULE = """
from dataclasses import dataclass, field

import numpy as np

from vamdp.estimators import Learner
from vamdp.estimators.q_learning import QLearning


class Last:
    def __init__(self):
        self.forget()

    def update(self, state, action, reward, next_state, terminated):
        self.n += 1
        self.Q[action] = reward

    def q_values(self, state):
        return self.Q

    def counts(self, state):
        return np.full(5, self.n)

    def forget(self):
        self.n, self.Q = 0, np.zeros(5)


def last(n_tasks, n_actions):
    return [Last() for _ in range(n_tasks)]


@dataclass(frozen=True)
class Options:
    gamma: float = 0.5

    def __post_init__(self):
        if not 0 <= self.gamma < 1:
            raise ValueError(f"`gamma` must be in [0, 1), got {self.gamma!r}.")


def make(n_tasks, n_actions, gamma):
    return QLearning(n_tasks, n_actions, gamma=gamma)


plain = Learner("plain", "plain Q-learning", Options, make)


@dataclass(frozen=True)
class Bins:
    edges: tuple = (0.0, 1.0)
    names: tuple = field(default_factory=tuple)


@dataclass(frozen=True)
class Needy:
    task_horizon: int
    bins: int


@dataclass(frozen=True)
class Odd:
    bins: np.ndarray = field(default_factory=lambda: np.ones(2))


def ignoring(n_tasks, n_actions, **options):
    return QLearning(n_tasks, n_actions)


binned = Learner("binned", "binned", Bins, ignoring)
needy = Learner("needy", "needy", Needy, ignoring)
odd = Learner("odd", "odd", Odd, ignoring)


@dataclass(frozen=True)
class Taken:
    value_scale: float = 1.0


taken = Learner("taken", "taken", Taken, ignoring)
nothing = 3
"""
TINY = ["--horizon", "20", "--n-envs", "4", "--batch-size", "40", "--iterations", "2"]


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module beside the user's."""
    name = f"my_learners_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


@pytest.mark.parametrize(("attribute", "options"), [("last", []), ("plain", ["gamma=0.25"])])
def test_ones_own_learner_is_trained_and_evaluated(module, attribute, options, capsys, tmp_path):
    settings = [word for each in options for word in ("--set", f"estimator.{each}")]
    words = ["--estimator", f"{module}:{attribute}", *settings, *TINY, "--out", "run"]
    assert main(["train", "random-mdp", *words]) == 0
    assert main(["evaluate", "run", "--tasks", "3"]) == 0
    assert main(["table", "run"]) == 0
    title = {"last": "last", "plain": "plain Q-learning"}[attribute]
    assert f"| RL³ (estimator {title}" in capsys.readouterr().out


def test_an_own_row_has_its_options_and_the_tasks_horizon_only_if_it_wants_it(module):
    config = RunConfig.of("random-mdp", estimator=f"{module}:plain", horizon=20)
    assert config.estimator_options == {"gamma": 0.5}
    same = {"estimator": "q-learning", "estimator.gamma": 0.5}
    envs = make_envs(config, 3)
    plain = make_envs(RunConfig.of("random-mdp", horizon=20, **same), 3)
    for each in (envs, plain):
        each.reset(seed=0)
    for t in range(20):
        actions = np.full(3, t % 5)
        assert envs.step(actions)[0].tolist() == plain.step(actions)[0].tolist()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "dynaq",
            r"one of model-based, .*or MODULE:NAME of your own, got 'dynaq'. Did you mean dyna-q",
        ),
        ("{}:nothing", r"must name a vamdp.estimators.Learner, or a function .*which is 3"),
        ("{}:taken", r"other names than the arguments of vamdp.ValueAugment, .* with value_scale"),
        ("{}:nobody", r"has no attribute 'nobody'. Run the command in"),
        ("nowhere_at_all:x", r"No module named 'nowhere_at_all'. Run the command in"),
    ],
)
def test_what_is_no_learner_is_refused(module, name, message):
    with pytest.raises(InputError, match=message):
        RunConfig.of("random-mdp", estimator=name.format(module))


def test_options_of_ones_own_are_checked(module):
    with pytest.raises(InputError, match=r"`estimator.gamma` must be in \[0, 1\), got 1.5"):
        RunConfig.of("random-mdp", estimator=f"{module}:plain", **{"estimator.gamma": 1.5})
    with pytest.raises(InputError, match=r"the options of its estimator are gamma\."):
        RunConfig.of("random-mdp", estimator=f"{module}:plain", **{"estimator.tolerance": 1.5})


def test_options_of_a_function_are_refused_with_the_remedy(module):
    words = r"`estimator.lam` is not a setting of this run: its estimator has no options\..*Learner"
    with pytest.raises(InputError, match=words):
        RunConfig.of("random-mdp", estimator=f"{module}:last", **{"estimator.lam": 0.5})


def test_options_that_are_tuples_are_stored_and_set(module, capsys):
    words = ["--estimator", f"{module}:binned", *TINY, "--set", "estimator.edges=0.5,2", "--out"]
    assert main(["train", "random-mdp", *words, "run"]) == 0
    config = RunDirectory("run").config_file.read()
    assert config.estimator_options == {"edges": (0.5, 2.0), "names": ()}
    assert main(["evaluate", "run", "--tasks", "3"]) == 0
    with pytest.raises(InputError, match=r"`estimator.edges` must be numbers such as .*, got 3"):
        RunConfig.of("random-mdp", estimator=f"{module}:binned", **{"estimator.edges": 3})


@pytest.mark.parametrize(
    ("attribute", "got"), [("needy", "bins has no default"), ("odd", "bins has the default array")]
)
def test_an_option_without_a_default_that_can_be_stored_is_refused(module, attribute, got):
    with pytest.raises(InputError, match=rf"must be a learner whose options .*whose option {got}"):
        RunConfig.of("random-mdp", estimator=f"{module}:{attribute}")


def test_code_that_fails_is_told_with_its_line(tmp_path, monkeypatch):
    (tmp_path / "broken_learner.py").write_text("x = 1\ny = int('many')\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"whose code fails at .*broken_learner.py:2: ValueError"):
        learner_of("broken_learner:x")


def test_rows_of_the_table_are_what_their_names_say():
    assert all(learner_of(name) is row for name, row in BUILT_INS.items())
