"""A domain whose environments give action masks: trained, validated and evaluated within them."""

import gymnasium
import numpy as np
import pytest

from rl3_sb3.experiments import domains
from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.domains import DOMAINS, Domain, register_domain
from rl3_sb3.experiments.results.evaluation import evaluate
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
    config = directory.read_config()
    rows = directory.metrics_file.read_text().splitlines()
    place = rows[0].split(",").index("rollout/ep_rew_mean")
    assert [float(row.split(",")[place]) for row in rows[1:]] == [0.0, 0.0]
    policy, n_steps = load_run_policy(directory, config, "cpu")
    assert validation_return(config, policy) == 0
    with pytest.warns(UserWarning, match="action masks, which the agent 'random' does not know"):
        evaluation = evaluate(config, policy, n_training_steps=n_steps, n_tasks=5)
    assert (evaluation.score_of("sampled").returns == 0).all()
    assert (evaluation.score_of("greedy").returns == 0).all()
    (chance,) = (score for score in evaluation.scores if score.title == "random")
    assert chance.returns.mean() < -1
