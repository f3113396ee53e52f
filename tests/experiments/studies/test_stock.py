"""Algorithms of other libraries on a run's environments."""

import numpy as np
import pytest
from stable_baselines3 import DQN

from rl3_sb3.experiments.evaluation.evaluation import evaluate_agents
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.experiments.studies.stock import StockAgent, StockAlgorithm, train_stock

CONFIG = RunConfig.of("bandit", horizon=10, recipe="ours", iterations=3, n_envs=4, batch_size=20)
SETTINGS = {"buffer_size": 500, "learning_starts": 20, "batch_size": 16, "train_freq": 1}


def dqn(**fields):
    return StockAlgorithm(
        name="dqn", title="DQN", make=DQN, policy="MlpPolicy", settings=SETTINGS, **fields
    )


def recurrent():
    contrib = pytest.importorskip("sb3_contrib")
    settings = {"n_steps": 10, "batch_size": 20, "policy_kwargs": {"lstm_hidden_size": 8}}
    return StockAlgorithm(
        name="recurrent-ppo",
        title="RecurrentPPO",
        make=contrib.RecurrentPPO,
        policy="MlpLstmPolicy",
        settings=settings,
    )


@pytest.mark.parametrize("make", [dqn, recurrent])
def test_a_stock_algorithm_is_trained_and_evaluated_like_ours(make):
    run = train_stock(CONFIG, make(), "stock", "with values", n_tasks=6)
    assert run.n_steps == CONFIG.total_steps == 120
    assert (run.title, run.variant, run.seed) == ("stock", "with values", 0)
    assert set(run.scores["canonical"]) == {"random", "sampled", "greedy", "oracle"}
    assert [point[0] for point in run.curve] == [40, 80, 120]  # when meta-episodes end
    assert all(0 <= point[1] <= 10 for point in run.curve)  # sampled rewards, not regrets
    assert run.provenance[0].keys() == {"commit", "hardware"}
    again = train_stock(CONFIG, make(), "stock", "with values", n_tasks=6)
    assert (again.scores, again.curve) == (run.scores, run.curve)


def test_a_share_of_the_steps_can_be_enough():
    run = train_stock(CONFIG, dqn(share_of_steps=1 / 3), "DQN", "", n_tasks=2)
    assert run.n_steps == 40


class Counter:
    """A model that acts by how often it was asked since its state was new."""

    class action_space:
        seed = staticmethod(lambda seed: None)

    def predict(self, seen, state, episode_start, deterministic):
        state = np.zeros(len(seen), int) if state is None else state
        assert episode_start.all() == (state == 0).all()
        return state % 5, state + 1


def test_an_agents_memory_begins_anew_with_each_batch_of_tasks():
    agent, seen = StockAgent(Counter(), "greedy", "counter"), np.zeros((3, 2))
    for n in (3, 2):
        agent.start(n, seed=0)
        assert [agent.act(seen[:n]).tolist() for _ in range(3)] == [[0] * n, [1] * n, [2] * n]
    score = evaluate_agents(CONFIG, [agent], n_tasks=4).scores[0]
    assert (score.title, score.play) == ("counter", "greedy")
