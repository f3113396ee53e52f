"""A domain whose environments give action masks: trained, validated and evaluated within them."""

import gymnasium
import numpy as np
import pytest

from rl3_sb3.experiments import domains
from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.domains import DOMAINS, Domain, register_domain
from rl3_sb3.experiments.evaluation.evaluation import evaluate, evaluate_agents
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.run_policy import load_run_policy
from rl3_sb3.experiments.runs.validation import validation_return

TINY = "--horizon 10 --n-envs 4 --batch-size 20 --iterations 2 --validate-every 1".split()


class Doors(gymnasium.Env):
    """Each step one of three doors is locked; whoever takes it pays 1.

    Args:
        road: Whether "info" or a "method" tells which.
    """

    observation_space = gymnasium.spaces.Discrete(3)
    action_space = gymnasium.spaces.Discrete(3)

    def __init__(self, road):
        self.road = road
        if road == "method":
            self.action_masks = self._open

    def _open(self):
        return np.arange(3) != self.locked

    def _next(self):
        self.locked = int(self.np_random.integers(3))
        return self.locked, {"action_mask": self._open()} if self.road == "info" else {}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self._next()

    def step(self, action):
        reward = -1.0 if action == self.locked else 0.0
        self.t += 1
        observation, info = self._next()
        return observation, reward, self.t == 4, False, info


@pytest.mark.parametrize("algo", ["rl2", "rl3"])
@pytest.mark.parametrize("road", ["info", "method"])
def test_a_run_never_takes_a_locked_door_in_training_validation_and_evaluation(
    monkeypatch, tmp_path, road, algo
):
    monkeypatch.setattr(domains, "DOMAINS", dict(DOMAINS))
    doors = Domain(title="Doors", environments=lambda rng: Doors(road), task_horizon=4)
    register_domain("doors", doors)
    out = tmp_path / "run"
    assert main(["train", "doors", "--algo", algo, *TINY, "--out", str(out)]) == 0
    directory = RunDirectory(out)
    config = directory.config_file.read()
    rows = directory.metrics_file.read_text().splitlines()
    place = rows[0].split(",").index("rollout/ep_rew_mean")
    assert [float(row.split(",")[place]) for row in rows[1:]] == [0.0, 0.0]
    policy, n_steps = load_run_policy(directory, config, "cpu")
    assert validation_return(config, policy) == 0
    evaluation = evaluate(config, policy, n_training_steps=n_steps, n_tasks=5)
    assert [(score.returns == 0).all() for score in evaluation.scores] == [True] * 3
    with pytest.warns(UserWarning, match="action masks, which the agent 'blind' does not know"):
        blind = evaluate_agents(config, [Blind()], n_tasks=5).scores[0]
    assert blind.returns.mean() < -1


class Blind:
    """An agent that always takes the first door."""

    title, sees = "blind", "nothing"

    def start(self, n_tasks, seed):
        self.n_tasks = n_tasks

    def act(self, seen):
        return np.zeros(self.n_tasks, np.int64)


@pytest.mark.parametrize("road", ["info", "method"])
def test_locked_doors_that_are_an_error_stop_neither_command(monkeypatch, tmp_path, road, capsys):
    class Strict(Doors):
        def _open(self):  # two are locked, so that the next open one may come after the last
            return np.arange(3) == (self.locked + 1) % 3

        def step(self, action):
            assert self._open()[action], "the door is locked"
            return super().step(action)

    monkeypatch.setattr(domains, "DOMAINS", dict(DOMAINS))
    strict = Domain(title="Doors", environments=lambda rng: Strict(road), baselines={"random": {}})
    register_domain("doors", strict)
    out = str(tmp_path / "run")
    assert main(["train", "doors", "--algo", "rl2", *TINY, "--out", out]) == 0
    assert main(["evaluate", out, "--tasks", "3"]) == 0
    assert main(["baselines", "doors", "--horizon", "10", "--tasks", "3"]) == 0
    assert "warning" not in capsys.readouterr().err
