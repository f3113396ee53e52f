import numpy as np
import pytest

from vamdp.baselines import BASELINES, RandomAgent
from vamdp.baselines.bandits import (
    UCB1,
    DiscountedGittins,
    EpsilonGreedy,
    FiniteHorizonGittins,
    Greedy,
    OptimisticThompsonSampling,
    ThompsonSampling,
    discounted_gittins_indices,
    finite_horizon_gittins_indices,
)
from vamdp.baselines.bandits.bandit_agent import _count, _pick_best
from vamdp.baselines.bandits.gittins import _look_up
from vamdp.baselines.bandits.gittins_indices import finite_horizon_table
from vamdp.domains import Bandits, TaskVectorEnv

MAKERS = {
    "greedy": Greedy,
    "eps-greedy": lambda k: EpsilonGreedy(k, epsilon=0.1),
    "UCB1": UCB1,
    "Thompson": ThompsonSampling,
    "optimistic Thompson": OptimisticThompsonSampling,
    "Gittins": lambda k: FiniteHorizonGittins(k, horizon=100),
    "Gittins (discounted)": lambda k: DiscountedGittins(k, horizon=100),
}
every_agent = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def learn(agent, actions, rewards):
    n = len(actions)
    zeros, no, yes = np.zeros(n, np.int64), np.zeros(n, bool), np.ones(n, bool)
    agent.learn(zeros, np.asarray(actions), np.asarray(rewards, float), zeros, yes, no)


def taught(agent, history, n_tasks, seed=0):
    """The agent after the same pulls, (arm, reward) each, in all of its tasks."""
    agent.start(n_tasks, seed)
    for arm, reward in history:
        learn(agent, np.full(n_tasks, arm), np.full(n_tasks, reward))
    return agent


def arms_chosen(agent, n_tasks):
    return np.bincount(agent.act(np.zeros(n_tasks, np.int64)), minlength=agent.n_arms)


def live(agent, n_tasks, seed, rewards, n_steps=30):
    """Its actions, (n_steps, n_tasks); arm a of task i pays rewards[t, i, a]."""
    agent.start(n_tasks, seed)
    actions = []
    for t in range(n_steps):
        actions.append(agent.act(np.zeros(n_tasks, np.int64)))
        learn(agent, actions[-1], rewards[t, np.arange(n_tasks), actions[-1]])
    return np.array(actions)


def some_rewards(n_tasks, n_arms=3, n_steps=30):
    rng = np.random.default_rng(5)
    p = rng.random((n_tasks, n_arms))
    return (rng.random((n_steps, n_tasks, n_arms)) < p).astype(float)


# What holds of all


@pytest.mark.parametrize("title", MAKERS)
def test_agents_have_their_titles_and_see_states(title):
    agent = MAKERS[title](5)
    assert (agent.title, agent.sees) == (title, "states")


@every_agent
def test_arms_that_are_alike_are_drawn_with_equal_chances(make):
    n = 20_000
    agent = taught(make(4), [], n)
    counts = arms_chosen(agent, n)
    assert abs(counts / n - 1 / 4).max() < 4 * (3 / 16 / n) ** 0.5


@every_agent
def test_an_arm_that_failed_gives_way_to_the_others_evenly(make):
    n = 20_000
    counts = arms_chosen(taught(make(4), [(1, 0)] * 20, n), n)
    others = counts[[0, 2, 3]] / n
    assert abs(others - (1 - counts[1] / n) / 3).max() < 4 * (3 / 16 / n) ** 0.5
    assert counts[1] < 0.05 * n


@every_agent
def test_the_same_seed_gives_the_same_actions_and_starting_forgets_all(make):
    agent, rewards = make(3), some_rewards(n_tasks=40)
    first = live(agent, 40, 7, rewards)
    assert (live(agent, 40, 8, rewards) != first).any()
    np.testing.assert_array_equal(live(agent, 40, 7, rewards), first)
    np.testing.assert_array_equal(live(make(3), 40, 7, rewards), first)
    fewer = live(agent, 4, 7, rewards[:, :4])
    assert fewer.shape == (30, 4)


class OneRow:
    """Random numbers of one task, or of all, that come from a table instead of a generator."""

    def __init__(self, rows):
        self.rows = rows
        self.rng = np.random.default_rng(3)

    def random(self, n):
        return self.rng.random(100)[self.rows]

    def beta(self, a, b):  # not beta distributed, but a function of its own row alone
        noise = self.rng.normal(size=(100, 3))[self.rows]
        return a / (a + b) + noise * (a * b / (a + b) ** 2 / (a + b + 1)) ** 0.5


@every_agent
def test_tasks_of_a_batch_fare_as_each_alone(make):
    rewards = some_rewards(n_tasks=6)

    def actions_of(rows):
        agent = make(3)
        start = agent.start

        def start_with_rows(n_tasks, seed):
            start(n_tasks, seed)
            agent._rng = OneRow(rows)

        agent.start = start_with_rows
        return live(agent, len(rows), 0, rewards[:, rows])

    together = actions_of(np.arange(6))
    assert len(np.unique(together)) == 3
    for i in range(6):
        np.testing.assert_array_equal(actions_of(np.array([i]))[:, 0], together[:, i])


@every_agent
@pytest.mark.parametrize("reward", [0.5, -1.0, float("nan")])
def test_rewards_must_be_zeros_and_ones_and_nothing_is_counted_otherwise(make, reward):
    agent = taught(make(2), [], 3)
    with pytest.raises(ValueError, match=rf"`rewards\[1\]` must be 0 or 1, got {reward}"):
        learn(agent, [0, 0, 0], [0.0, reward, 0.0])
    assert not agent._failures.any()


@every_agent
@pytest.mark.parametrize("n_arms", [0, 2.5])
def test_there_must_be_arms(make, n_arms):
    with pytest.raises(
        ValueError, match=f"`n_arms` must be an integer of at least 1, got {n_arms}"
    ):
        make(n_arms)


def test_on_sampled_bandits_all_earn_more_than_chance_and_gittins_the_most():
    n, horizon = 1000, 100
    totals = {}
    for make in [RandomAgent, *MAKERS.values()]:
        envs = TaskVectorEnv(Bandits(), num_envs=n)
        envs.reset(seed=1)
        agent = make(5)
        agent.start(n, seed=0)
        totals[agent.title] = np.zeros(n)
        for _ in range(horizon):
            actions = agent.act(envs.states)
            _, rewards, terminated, truncated, _ = envs.step(actions)
            states = np.zeros(n, np.int64)
            agent.learn(states, actions, rewards, states, terminated, truncated)
            totals[agent.title] += rewards
    best = np.mean([task.optimal_return(horizon, 1) for task in envs.tasks])
    means = {title: total.mean() for title, total in totals.items()}
    assert all(means[title] > 1.4 * means["random"] for title in MAKERS)
    for title in MAKERS:
        worse = totals["Gittins"] - totals[title]
        assert worse.mean() >= -3 * worse.std() / n**0.5
    # Published for 5 arms and 100 steps: Gittins 78.3, Thompson 74.7, greedy 74.8 (Duan et al.)
    assert best - 7 < means["Gittins"] < best
    assert means["Gittins"] - means["Thompson"] == pytest.approx(3.6, abs=0.8)


# Each by itself


def test_greedy_leaves_an_arm_that_failed_and_keeps_one_that_paid():
    assert arms_chosen(taught(Greedy(3), [(1, 1)], 100), 100).tolist() == [0, 100, 0]
    assert arms_chosen(taught(Greedy(3), [(1, 0)], 100), 100)[1] == 0
    history = [(0, 1), (0, 0), (0, 1), (1, 1)]  # means 3/5 and 2/3
    assert arms_chosen(taught(Greedy(2), history, 100), 100).tolist() == [0, 100]


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_epsilon_greedy_takes_any_arm_with_probability_epsilon(epsilon):
    n = 20_000
    counts = arms_chosen(taught(EpsilonGreedy(3, epsilon=epsilon), [(2, 1)], n), n)
    expected = np.array([epsilon / 3, epsilon / 3, 1 - 2 * epsilon / 3])
    error = (expected * (1 - expected) / n) ** 0.5
    assert (abs(counts / n - expected) <= 4 * error).all()


@pytest.mark.parametrize(("c", "arm"), [(0.0, 0), (0.30, 0), (0.32, 1), (1.0, 1)])
def test_ucb_weighs_the_mean_against_the_pulls(c, arm):
    """At step 5 the bounds 4/6 + c sqrt(2 log 5 / 6) and 1/2 + c sqrt(2 log 5 / 2) meet at
    c = (1/6) / (sqrt(log 5) - sqrt(log 5 / 3)) = 0.3108."""
    agent = taught(UCB1(2, c=c), [(0, 1), (0, 1), (0, 0), (0, 1)], 5)
    assert arms_chosen(agent, 5)[arm] == 5


def test_thompson_takes_an_arm_as_often_as_it_is_the_best():
    """P(X > Y) = 5/6 for X of Beta(2, 1) and Y of Beta(1, 2)."""
    n = 20_000
    counts = arms_chosen(taught(ThompsonSampling(2), [(0, 1), (1, 0)], n), n)
    assert abs(counts[0] / n - 5 / 6) < 4 * (5 / 36 / n) ** 0.5


def test_optimism_takes_the_mean_where_the_guess_is_below():
    """P(Y > max(X, 2/3)) = integral of 2 (1 - y) y^2 from 2/3 to 1 = 11/162."""
    n = 20_000
    counts = arms_chosen(taught(OptimisticThompsonSampling(2), [(0, 1), (1, 0)], n), n)
    assert abs(counts[1] / n - 11 / 162) < 4 * (11 / 162 * 151 / 162 / n) ** 0.5


def test_gittins_looks_only_as_far_as_there_are_steps_left():
    """An arm with 2 of 3 (mean 3/5) against a new one (1/2): with many steps to go the new one."""
    history = [(0, 1), (0, 0), (0, 1)]
    for horizon in range(4, 40):
        indices = finite_horizon_gittins_indices(horizon)
        new = finite_horizon_gittins_indices(horizon - 3)[0, 0]
        expected = 0 if indices[2, 1] > new else 1
        agent = taught(FiniteHorizonGittins(2, horizon=horizon), history, 3)
        assert arms_chosen(agent, 3)[expected] == 3
        if horizon in (4, 39):
            assert expected == (horizon == 39)


@pytest.mark.parametrize(("gamma", "arm"), [(0.0, 0), (0.5, 0), (0.99, 1)])
def test_discounted_gittins_looks_as_far_as_gamma_says(gamma, arm):
    agent = taught(DiscountedGittins(2, horizon=20, gamma=gamma), [(0, 1), (0, 0), (0, 1)], 3)
    assert arms_chosen(agent, 3)[arm] == 3
    indices = discounted_gittins_indices(gamma, 20)
    assert (indices[2, 1] > indices[0, 0]) == (arm == 0)


@pytest.mark.parametrize(("horizon", "gamma"), [(1, 0.0), (10, 0.85), (100, 0.985)])
def test_gamma_follows_the_horizon_unless_given(horizon, gamma):
    assert DiscountedGittins(2, horizon=horizon).gamma == pytest.approx(gamma)
    assert DiscountedGittins(2, horizon=horizon, gamma=0.5).gamma == 0.5


@pytest.mark.parametrize("kind", [FiniteHorizonGittins, DiscountedGittins])
def test_gittins_agents_play_to_the_end_of_their_horizon_and_no_further(kind):
    agent = kind(2, horizon=3)
    live(agent, 2, 0, np.ones((3, 2, 2)), n_steps=3)
    with pytest.raises(ValueError, match="`horizon` must cover all steps, got 3 and step 4"):
        agent.act(np.zeros(2, np.int64))
    live(agent, 2, 0, np.ones((3, 2, 2)), n_steps=3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EpsilonGreedy(2, epsilon=1.5), r"`epsilon` must be in \[0, 1\], got 1.5"),
        (lambda: EpsilonGreedy(2, epsilon=float("nan")), r"`epsilon` must be in \[0, 1\], got nan"),
        (lambda: UCB1(2, c=-1), "`c` must be finite and at least 0, got -1"),
        (lambda: FiniteHorizonGittins(2, horizon=0), "`horizon` must be an integer of at least 1"),
        (lambda: FiniteHorizonGittins(2, horizon=1001), "`horizon` must be at most 1000, got 1001"),
        (lambda: DiscountedGittins(2, horizon=0), "`horizon` must be an integer of at least 1"),
        (lambda: DiscountedGittins(2, horizon=3, gamma=1.0), r"`gamma` must be in \[0, 1\)"),
    ],
)
def test_options_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Compiled and uncompiled


def test_compiled_kernels_equal_plain_python():
    rng = np.random.default_rng(0)
    scores, uniforms = rng.integers(3, size=(50, 4)).astype(float), rng.random(50)
    picked = np.zeros((2, 50), np.int64)
    _pick_best(scores, uniforms, picked[0])
    _pick_best.py_func(scores, uniforms, picked[1])
    np.testing.assert_array_equal(*picked)
    rewards, counts = rng.integers(2, size=50).astype(float), np.zeros((2, 2, 50, 4), np.int64)
    _count(picked[0], rewards, *counts[0])
    _count.py_func(picked[0], rewards, *counts[1])
    np.testing.assert_array_equal(*counts)
    looked_up = np.zeros((2, 50, 4))
    table = finite_horizon_table(4)
    _look_up(table, 3, *counts[0], looked_up[0])
    _look_up.py_func(table, 3, *counts[0], looked_up[1])
    np.testing.assert_array_equal(*looked_up)


def test_the_longest_meta_episode_of_discounted_indices_is_the_last_whose_table_fits(monkeypatch):
    monkeypatch.setattr("vamdp.baselines.bandits.gittins_indices._solve", lambda *_: None)
    most = BASELINES["gittins-discounted"].most_steps
    DiscountedGittins(5, horizon=most)
    with pytest.raises(ValueError, match="`gamma` must be smaller, got 0"):
        DiscountedGittins(5, horizon=most + 1)
