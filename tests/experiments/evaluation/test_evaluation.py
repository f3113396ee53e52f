import dataclasses

import gymnasium
import numpy as np
import pytest
import torch as th

import vamdp
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation import evaluation
from rl3_sb3.experiments.evaluation.evaluation import (
    evaluate,
    evaluate_agents,
    held_out_tasks,
    n_steps_of_play,
    play,
)
from rl3_sb3.experiments.evaluation.scores import mean_and_error
from rl3_sb3.experiments.runs.training import make_model, make_training_env
from rl3_sb3.experiments.settings.run_config import RunConfig
from vamdp.baselines import BASELINES

MDPS = RunConfig.of("random-mdp", horizon=12, n_envs=2)
BANDITS = RunConfig.of("bandit", horizon=7, n_envs=2)
GRIDS = RunConfig.of("gridworld", size=13, horizon=20, n_envs=2)
LAKES = RunConfig.of("frozen-lake", horizon=20, n_envs=2)
CARTS = RunConfig.of("cartpole", algo="rl2", horizon=60, n_envs=2)
N_ACTIONS = {"frozen-lake": 4, "cartpole": 2}


class Cycle:
    """Takes action (i + t) mod n_actions in task i of a batch at step t."""

    def __init__(self, n_actions=5):
        self.n_actions = n_actions

    title = "cycle"
    sees = "observations"

    def start(self, n_tasks, seed):
        self.next = np.arange(n_tasks)

    def act(self, seen):
        actions, self.next = self.next % self.n_actions, self.next + 1
        return actions

    def learn(self, *transition):
        pass


class BestArm:
    """Knows the bandits."""

    title = "best arm"
    sees = "states"

    def __init__(self, tasks):
        self.best = np.array([np.argmax(task.reward[:5]) for task in tasks])

    def start(self, n_tasks, seed):
        assert n_tasks == len(self.best)

    def act(self, seen):
        return self.best

    def learn(self, *transition):
        pass


class Silent:
    """Has no `learn`, and no `start`."""

    title, sees = "silent", "states"

    def act(self, seen):
        return np.zeros(len(seen), np.int64)


@pytest.fixture(scope="module")
def policy():
    return make_model(MDPS, make_training_env(MDPS), "cpu").policy


def rewards_in_single_environments(env_id, n_tasks, horizon, **options):
    rewards = np.zeros((n_tasks, horizon))
    for i in range(n_tasks):
        env = vamdp.MetaEpisode(gymnasium.make(env_id, **options), horizon)
        env.reset(seed=2**31 + i)
        for t in range(horizon):
            rewards[i, t] = env.step((i + t) % env.action_space.n)[1]
    return rewards


@pytest.mark.parametrize(
    ("config", "variation", "env_id", "options"),
    [
        (MDPS, "canonical", "vamdp/RandomMDP-v0", {}),
        (MDPS, "ood", "vamdp/RandomMDP-v0", {"ood": True}),
        (BANDITS, "canonical", "vamdp/Bandit-v0", {}),
        (BANDITS, "ood", "vamdp/Bandit-v0", {"ood": True}),
        (GRIDS, "canonical", "vamdp/GridWorld-v0", {"size": 13}),
        (GRIDS, "watery", "vamdp/GridWorld-v0", {"size": 13, "variation": "watery"}),
        (LAKES, "canonical", "vamdp/FrozenLake-v0", {"p": 0.9}),
        (LAKES, "slippery", "vamdp/FrozenLake-v0", {"p": 0.9, "slippery": True}),
        (CARTS, "canonical", "vamdp/CartPole-v0", {}),
    ],
)
def test_task_i_is_the_first_of_seed_two_to_the_31_plus_i(config, variation, env_id, options):
    got = play(config, Cycle(N_ACTIONS.get(config.domain, 5)), n_tasks=5, variation=variation)
    expected = rewards_in_single_environments(env_id, 5, config.horizon, **options)
    np.testing.assert_allclose(got.returns, expected.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(got.by_step, expected.mean(axis=0), rtol=1e-12)


def test_every_algorithms_environment_gives_an_agent_the_same_rewards():
    got = [
        play(
            RunConfig.of("gridworld", size=13, horizon=20, n_envs=2, algo=algo),
            Cycle(),
            n_tasks=6,
            variation="canonical",
        )
        for algo in ("rl2", "rl3", "rl3-coarse", "rl3-markov")
    ]
    for other in got[1:]:
        np.testing.assert_array_equal(other.returns, got[0].returns)


def test_batches_of_tasks_change_nothing(monkeypatch):
    def tables():
        return [task.reward for task in held_out_tasks(MDPS, n_tasks=5, variation="canonical")]

    class Constant(Cycle):
        def act(self, seen):
            return np.full(len(seen), 2)

    whole, rewards = tables(), play(MDPS, Constant(), n_tasks=5, variation="canonical")
    monkeypatch.setattr(evaluation, "_BATCH_OF_TASKS", 2)
    np.testing.assert_array_equal(tables(), whole)
    cut = play(MDPS, Constant(), n_tasks=5, variation="canonical")
    np.testing.assert_array_equal(cut.returns, rewards.returns)
    np.testing.assert_allclose(cut.by_step, rewards.by_step, rtol=1e-12)


def test_knowing_a_bandit_without_chance_gives_the_oracles_total():
    tasks = held_out_tasks(BANDITS, n_tasks=40, variation="ood")
    best = np.array([task.reward[:5].max() for task in tasks])
    certain = (best >= 1) | (best <= 0)
    assert certain.sum() > 10
    oracle = np.array([task.optimal_return(7, 1) for task in tasks])
    got = play(BANDITS, BestArm(tasks), n_tasks=40, variation="ood")
    np.testing.assert_allclose(got.returns[certain], oracle[certain])


def test_evaluation_is_the_same_at_every_call_and_leaves_torchs_generator_alone(policy):
    th.manual_seed(1)
    before = th.get_rng_state()
    first = evaluate(MDPS, policy, n_training_steps=0, n_tasks=4)
    assert th.equal(th.get_rng_state(), before)
    th.manual_seed(2)
    second = evaluate(MDPS, policy, n_training_steps=0, n_tasks=4)
    assert first.to_dict() == second.to_dict()
    labels = ["random", "RL³, sampled", "RL³, greedy", "oracle"]
    assert [score.label for score in first.scores] == labels
    assert len({tuple(score.returns) for score in first.scores}) == 4


def test_more_tasks_begin_with_the_same_ones(policy):
    few, many = (evaluate(MDPS, policy, n_training_steps=0, n_tasks=n).oracle for n in (3, 6))
    np.testing.assert_array_equal(many[:3], few)


def test_an_evaluation_survives_its_dictionary(policy):
    made = evaluate(MDPS, policy, n_training_steps=9, n_tasks=3, variation="ood")
    again = evaluation.Evaluation.from_dict(made.to_dict())
    assert again.to_dict() == made.to_dict()
    assert again.variation == "ood"


def test_mean_and_standard_error_by_hand():
    mean, error = mean_and_error(np.array([1.0, 2.0, 6.0]))
    assert mean == 3
    assert error == pytest.approx(np.sqrt(7 / 3))  # variance (4 + 1 + 9) / 2 = 7
    assert np.isnan(mean_and_error(np.array([1.0]))[1])


def test_without_a_variation_tasks_are_those_trained_on(policy):
    trained_on = dataclasses.replace(MDPS, variation="ood")
    got = evaluate(trained_on, policy, n_training_steps=0, n_tasks=3)
    expected = evaluate(MDPS, policy, n_training_steps=0, n_tasks=3, variation="ood")
    assert got.to_dict() == expected.to_dict()


def test_an_unknown_variation_is_refused(policy):
    with pytest.raises(InputError, match="`variation` must be one of canonical, ood, got 'wet'"):
        evaluate(MDPS, policy, n_training_steps=0, n_tasks=1, variation="wet")


def test_no_tasks_are_refused(policy):
    with pytest.raises(InputError, match="`tasks` must be an integer of at least 1, got 0"):
        evaluate(MDPS, policy, n_training_steps=0, n_tasks=0)


def test_progress_names_each_agent_and_counts_its_steps_in_each_batch_of_tasks():
    config, seen = RunConfig.of("bandit", horizon=3), []
    evaluate_agents(
        config,
        [Cycle(), Cycle()],
        n_tasks=251,  # a batch of 250, and one of 1
        report=seen.append,
        stepped=lambda: seen.append("."),
    )
    assert seen == ["cycle", *"......", "cycle", *"......", "oracle"]
    assert n_steps_of_play(config, 251) == 6


@pytest.mark.parametrize("sees", ["state", "States", None])
def test_an_agent_that_sees_something_unknown_is_refused(sees):
    agent = Cycle()
    agent.sees = sees
    words = f"`Cycle.sees` must be one of states, observations, nothing, got {sees!r}"
    for enter in (play, evaluate_agents):
        agents = agent if enter is play else [agent]
        with pytest.raises(InputError, match=words):
            enter(BANDITS, agents, n_tasks=1, variation="canonical")


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (Silent(), "title, sees, start, act, learn like .*, got Silent without start, learn"),
        (Cycle, "must be an object, got the class Cycle"),
        (BASELINES["random"], "got the Baseline 'random' itself. Pass its `make"),
        (3, "got int without title, sees"),
    ],
)
def test_an_agent_is_checked_before_the_first_one_plays(agent, words):
    played = []
    with pytest.raises(InputError, match=words):
        evaluate_agents(BANDITS, [Cycle(), agent], n_tasks=1, report=played.append)
    assert played == []


@pytest.mark.parametrize("sees", ["states", "observations", "nothing"])
@pytest.mark.parametrize(
    ("actions", "words"),
    [
        (np.zeros(2), "`actions` must be integers .*, got float64"),
        (None, "must be integers .*, got object"),
        (np.zeros(3, int), r"of shape \(2,\), got int64 of shape \(3,\)"),
        (np.array([0, 17]), r"`actions\[1\]` must be in \[0, 5\), got 17"),
    ],
)
def test_an_agent_whose_actions_do_not_fit_is_named(sees, actions, words):
    agent = Cycle()
    agent.sees, agent.act = sees, lambda seen: actions
    with pytest.raises(InputError, match=f"`Cycle.act` .* in the agent 'cycle' .*{words}"):
        play(BANDITS, agent, n_tasks=2, variation="canonical")
