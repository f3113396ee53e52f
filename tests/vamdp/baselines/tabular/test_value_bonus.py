"""Greedy on the values that RL3 is shown, with and without a bonus."""

import numpy as np
import pytest

import vamdp
from vamdp.baselines.tabular import ValueBonus
from vamdp.domains import RandomMDPs
from vamdp.domains.task_vector_env import TaskVectorEnv

N_TASKS, N_STATES, N_ACTIONS = 3, 4, 3
RUNS_ON = np.zeros(1, bool)


def live(agent, n_steps, watch=lambda states, actions: None, seed=0):
    """Let an agent live in random MDPs; returns its actions, (n_steps, N_TASKS)."""
    envs = TaskVectorEnv(RandomMDPs(N_STATES, N_ACTIONS), N_TASKS, max_episode_steps=5)
    envs.reset(seed=4)
    agent.start(N_TASKS, seed)
    taken = []
    for _ in range(n_steps):
        states = envs.states
        actions = agent.act(states)
        watch(states, actions)
        taken.append(actions)
        _, rewards, terminated, truncated, _ = envs.step(actions)
        agent.learn(states, actions, rewards, envs.reached_states, terminated, truncated)
        yield states, actions, rewards, envs.reached_states, terminated


def actions_of(agent, n_steps=40, seed=0):
    return np.array([actions for _, actions, *_ in live(agent, n_steps, seed=seed)])


@pytest.mark.parametrize("bonus", [0.0, 3.0])
@pytest.mark.parametrize(
    "options", [{"task_horizon": 5}, {"task_horizon": 30, "gamma": 0.95, "smoothing": 0.01}]
)
def test_a_batch_acts_on_the_values_of_single_estimators(bonus, options):
    singles = [vamdp.ValueEstimator(N_ACTIONS, **options) for _ in range(N_TASKS)]
    n_decided = 0

    def watch(states, actions):
        nonlocal n_decided
        for estimator, s, a in zip(singles, states.tolist(), actions, strict=True):
            worth = estimator.q_values(s) + bonus / np.sqrt(1 + estimator.counts(s))
            assert worth[a] == worth.max()
            n_decided += (worth == worth.max()).sum() == 1

    for states, actions, rewards, reached, ended in live(
        ValueBonus(N_ACTIONS, bonus=bonus, **options), 60, watch
    ):
        for i, estimator in enumerate(singles):
            step = (int(states[i]), int(actions[i]), float(rewards[i]), int(reached[i]))
            estimator.update(*step, bool(ended[i]))
    assert n_decided > 100  # of 180: the rest are ties


def test_a_bonus_inside_the_model_is_the_estimators():
    agent = ValueBonus(2, model_bonus=2.0, task_horizon=1, reward_model="state_action")
    first = np.zeros(1, np.int64)
    agent.learn(first, first, np.array([0.5]), first, ~RUNS_ON, RUNS_ON)
    assert agent.estimator.q_values([0]).tolist() == [[0.5 + 2 / np.sqrt(2), 2.0]]
    assert agent.act(first) == [1]


@pytest.mark.parametrize(("bonus", "expected"), [(1.9, 0), (2.1, 1)])
def test_the_bonus_is_c_over_the_root_of_one_more_than_the_count(bonus, expected):
    # Action 0 paid 1 three times: 1 + c/2. Action 1 is untried: c. They are equal at c = 2.
    agent = ValueBonus(2, bonus=bonus, task_horizon=1, reward_model="state_action")
    agent.start(1, 0)
    for _ in range(3):
        state = np.array([0])
        agent.learn(state, np.array([0]), np.array([1.0]), state, ~RUNS_ON, RUNS_ON)
    assert agent.act(np.array([0])) == [expected]


def test_ties_are_broken_at_random():
    agent = ValueBonus(4, task_horizon=5)
    agent.start(2000, 0)
    taken = np.bincount(agent.act(np.zeros(2000, int)), minlength=4)
    assert np.abs(taken - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)


def test_a_start_forgets_and_the_seed_decides():
    agent = ValueBonus(N_ACTIONS, bonus=1.0, task_horizon=5)
    first = actions_of(agent)
    np.testing.assert_array_equal(first, actions_of(agent))
    assert (first != actions_of(agent, seed=1)).any()


def test_without_a_bonus_it_has_another_title():
    assert ValueBonus(2, task_horizon=1).title == "certainty-equivalent"
    assert ValueBonus(2, task_horizon=1, bonus=0.1).title == "VAMDP + bonus"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_actions": 0}, ValueError, "`n_actions` must be an integer of at least 1, got 0"),
        ({"bonus": -1.0}, ValueError, "`bonus` must be finite and at least 0, got -1.0"),
        ({"model_bonus": -1.0}, ValueError, "`model_bonus` must be finite and at least 0, got -1"),
        ({"gamma": 2.0}, ValueError, "`gamma`"),
        ({"discount": 1.0}, TypeError, "`discount` is not an option"),
    ],
)
def test_impossible_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        ValueBonus(**({"n_actions": 2, "task_horizon": 3} | arguments))
