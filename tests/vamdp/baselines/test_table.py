"""The rows of the table build their agents from what is known of the tasks."""

import pytest

from vamdp.baselines import BASELINES, Baseline, RandomAgent, TaskFacts
from vamdp.domains import Bandits, RandomMDPs


def facts(**others):
    return TaskFacts(
        **{
            "n_states": 10, "n_actions": 5, "horizon": 30, "task_horizon": 10,
            "distribution": RandomMDPs(), **others,
        }
    )  # fmt: skip


@pytest.mark.parametrize(("name", "bonus"), [("certainty-equivalent", 0.0), ("vamdp-bonus", 1.0)])
def test_the_bonus_of_the_learner_goes_into_its_model_and_not_to_the_agent(name, bonus):
    agent = BASELINES[name].make(facts(estimator_options={"bonus": 3.0, "gamma": 0.9}))
    assert (agent.bonus, agent.title) == (bonus, BASELINES[name].title)
    assert agent.estimator.options.bonus == 3.0
    assert agent.estimator.options.gamma == 0.9
    assert BASELINES[name].make(facts(), bonus=2.0).bonus == 2.0


@pytest.mark.parametrize("name", ["gittins", "gittins-discounted"])
def test_a_horizon_that_was_passed_counts(name):
    bandit = facts(n_states=1, n_actions=2, distribution=Bandits(2))
    assert BASELINES[name].make(bandit).horizon == 30
    assert BASELINES[name].make(bandit, horizon=40).horizon == 40


def test_an_agent_in_place_of_the_function_that_makes_it_is_refused():
    with pytest.raises(TypeError, match="`make` must be a function TaskFacts -> agent, got <vamdp"):
        Baseline("mine", RandomAgent(5))
