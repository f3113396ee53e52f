"""R-MAX tries everything m times, and then does what is best."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vamdp.baselines.tabular import RMax, rmax
from vamdp.domains import RandomMDPs
from vamdp.domains.task_vector_env import TaskVectorEnv
from vamdp.mdp.tabular_mdp import TabularMDP

LENGTH = 4


def chain(ends=False):
    """Action 1 goes on, action 0 back to the start and pays 0.1; arriving at the end pays 1."""
    P, R = np.zeros((LENGTH, 2, LENGTH)), np.zeros((LENGTH, 2, LENGTH))
    for s in range(LENGTH):
        P[s, 0, 0], R[s, 0, 0] = 1.0, 0.1
        P[s, 1, min(s + 1, LENGTH - 1)] = 1.0
    R[LENGTH - 2, 1, LENGTH - 1] = 1.0
    terminal = np.arange(LENGTH) == LENGTH - 1
    return TabularMDP.from_dense(P, R, terminal=terminal if ends else None)


def live(agent, tasks, n_steps, *, limit=None, seed=0, env_seed=5):
    """Let an agent live in tasks; returns states, actions and rewards, each (n_steps, n_tasks)."""
    envs = TaskVectorEnv(lambda rng: tasks[0], len(tasks), max_episode_steps=limit)
    envs.reset(seed=env_seed, options={"task": tasks})
    agent.start(len(tasks), seed)
    life = []
    for _ in range(n_steps):
        states = envs.states
        actions = agent.act(states)
        _, rewards, terminated, truncated, _ = envs.step(actions)
        agent.learn(states, actions, rewards, envs.reached_states, terminated, truncated)
        life.append((states, actions, rewards))
    return (np.array(part) for part in zip(*life, strict=True))


def random_tasks(n, seed=0):
    rng = np.random.default_rng(seed)
    return [RandomMDPs(n_states=4, n_actions=3)(rng) for _ in range(n)]


@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("horizon", [5, 8])
def test_in_a_chain_it_tries_everything_m_times_and_then_is_optimal(m, ends, horizon):
    task, n_learning = chain(ends), 60 * horizon
    agent = RMax(LENGTH, 2, task_horizon=horizon, m=m)
    life = live(agent, [task, task], n_learning + 5 * horizon, limit=horizon)
    states, actions, rewards = (part[:, 1] for part in life)  # the second of a batch
    tried = np.zeros((LENGTH, 2), int)
    np.add.at(tried, (states[:n_learning], actions[:n_learning]), 1)
    played = tried[:-1] if ends else tried  # nobody acts in a terminal state
    assert played.min() >= m
    if not ends:  # with the same number of steps each: later episodes are whole
        total = rewards[n_learning:].sum()
        assert total == pytest.approx(task.optimal_return(5 * horizon, horizon))
    else:  # the best episode takes 3 steps and pays 1, or waits for 0.1 a step before
        starts = np.flatnonzero(rewards[n_learning:] == 1.0)
        best = task.optimal_values(horizon)[0]
        second = rewards[n_learning + starts[0] + 1 : n_learning + starts[1] + 1].sum()
        assert second == pytest.approx(best)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_with_all_pairs_known_its_plan_is_that_of_backward_induction(seed):
    rng = np.random.default_rng(seed)
    S, A, T, n = 3, 2, 6, 4
    counts = rng.multinomial(n, np.ones(S) / S, (S, A))
    R = rng.normal(size=(S, A))
    agent = RMax(S, A, task_horizon=T, m=n, r_max=100.0)
    agent.start(1, 0)
    for s, a, s_next in np.ndindex(counts.shape):
        for _ in range(counts[s, a, s_next]):
            step = (s, a, R[s, a], s_next, False, True)
            agent.learn(*(np.array([x]) for x in step))
    P = counts / n
    task = TabularMDP.from_dense(P, R)
    for t in range(T):  # steps since the episode began
        V = task.optimal_values(T - t - 1) if t < T - 1 else np.zeros(S)
        Q = R + P @ V
        for s in range(S):
            assert Q[s, agent.act(np.array([s]))[0]] == pytest.approx(Q[s].max())
        # Time passes with a trial of one pair or another: too few to count for the plan.
        s, a = divmod(t, A)
        agent.learn(*(np.array([x]) for x in (s, a, R[s, a], 0, False, False)))


def test_an_unknown_pair_is_worth_the_largest_reward_for_all_steps_left():
    # Action 0 is known to pay 2 a step and to stay. Untried action 1: 3 a step, 2.9, ...
    for r_max, expected in ((2.1, 1), (1.9, 0)):
        agent = RMax(1, 2, task_horizon=10, r_max=r_max)
        agent.start(1, 0)
        one = np.array([0])
        agent.learn(one, one, np.array([2.0]), one, one > 0, one > 0)
        assert agent.act(one) == [expected]


def test_nothing_is_expected_after_an_end():
    # Action 0 pays 3 and ends, action 1 pays 1 and stays: with 10 steps left 1 is better.
    for ended, expected in ((True, 1), (False, 0)):
        agent = RMax(1, 2, task_horizon=10)
        agent.start(1, 0)
        one = np.array([0])
        agent.learn(one, one, np.array([3.0]), one, np.array([ended]), one > 0)
        agent.learn(one, one + 1, np.array([1.0]), one, one > 0, one == 0)
        assert agent.act(one) == [expected]


def test_an_end_sets_the_clock_back_and_keeps_what_is_known():
    # Waiting pays 1, leaving 2.5 and ends: of 3 steps, leave in the last.
    agent = RMax(1, 2, task_horizon=3, r_max=0.0)
    agent.start(1, 0)
    one, no = np.array([0]), np.array([False])
    agent.learn(one, one + 1, np.array([2.5]), one, ~no, no)
    agent.learn(one, one, np.array([1.0]), one, no, ~no)
    seen = []
    for ended in (no, no, ~no, no):
        seen += agent.act(one).tolist()
        agent.learn(one, one, np.array([1.0]), one, no, ended)
    assert seen == [0, 0, 1, 0]


def test_it_goes_on_counting_once_a_pair_is_known():
    # Action 0 pays 0 once and then 1 ever after; action 1 pays 0.6.
    agent = RMax(1, 2, task_horizon=1, r_max=0.0)
    agent.start(1, 0)
    one, no = np.array([0]), np.array([False])
    agent.learn(one, one + 1, np.array([0.6]), one, no, ~no)
    chosen = []
    for reward in (0.0, 1.0, 1.0, 1.0):
        agent.learn(one, one, np.array([reward]), one, no, ~no)
        chosen += agent.act(one).tolist()
    assert chosen == [1, 1, 1, 0]  # planned for after 1, 2 and 4 trials: 0, 1/2, 3/4


@pytest.mark.parametrize(("lookahead", "expected"), [(1, 0), (2, 1), (None, 1)])
def test_it_looks_no_further_ahead_than_it_may(lookahead, expected):
    # Action 0 pays 1 and stays; action 1 pays nothing and leads to where each step pays 3.
    agent = RMax(2, 2, task_horizon=9, r_max=0.0, lookahead=lookahead)
    agent.start(1, 0)
    for s, a, reward, s_next in ((0, 0, 1.0, 0), (0, 1, 0.0, 1), (1, 0, 3.0, 1), (1, 1, 3.0, 1)):
        agent.learn(*(np.array([x]) for x in (s, a, reward, s_next, False, True)))
    assert agent.act(np.array([0])) == [expected]


def test_a_task_is_lived_in_as_if_there_were_no_others():
    tasks, others = random_tasks(3), random_tasks(3, seed=1)
    agent = RMax(4, 3, task_horizon=5, r_max=3.0)
    mixed = [others[0], tasks[1], others[2]]
    lives = [list(live(agent, each, 50, limit=5)) for each in (tasks, mixed)]
    for one, other in zip(*lives, strict=True):
        np.testing.assert_array_equal(one[:, 1], other[:, 1])
    assert (lives[0][1][:, 0] != lives[1][1][:, 0]).any()


def test_a_start_forgets_and_the_seed_decides():
    agent, tasks = RMax(4, 3, task_horizon=5, r_max=3.0), random_tasks(3)
    _, first, _ = live(agent, tasks, 50, limit=5)
    _, again, _ = live(agent, tasks, 50, limit=5)
    _, other, _ = live(agent, tasks, 50, limit=5, seed=1)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_ties_are_broken_at_random():
    agent = RMax(3, 4, task_horizon=5)
    agent.start(2000, 0)
    taken = np.bincount(agent.act(np.zeros(2000, int)), minlength=4)
    assert np.abs(taken - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)


def test_compiled_code_equals_plain_python(monkeypatch):
    agent, tasks = RMax(4, 3, task_horizon=5, m=2, r_max=3.0), random_tasks(2)
    compiled = list(live(agent, tasks, 300, limit=5))  # outcomes need more room in between
    monkeypatch.setattr(rmax, "_plan", rmax._plan.py_func)
    monkeypatch.setattr(rmax, "_learn", rmax._learn.py_func)
    for one, other in zip(compiled, live(agent, tasks, 300, limit=5), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_needs_more_room_is_kept():
    # 80 states in a ring: more outcomes than there is room for at first.
    S = 80
    agent = RMax(S, 1, task_horizon=S)
    agent.start(1, 0)
    no = np.array([False])
    for s in range(S):
        agent.learn(np.array([s]), np.array([0]), np.ones(1), np.array([(s + 1) % S]), no, no)
    kept = agent._outcomes
    assert kept.size[0] == S
    np.testing.assert_array_equal(kept.next_state[0, :S], (np.arange(S) + 1) % S)
    np.testing.assert_array_equal(agent._first[0, :, 0], np.arange(S))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_states": 0}, "`n_states` must be an integer of at least 1, got 0"),
        ({"n_actions": 0}, "`n_actions` must be an integer of at least 1, got 0"),
        ({"n_actions": 200}, "`n_actions` must be at most 127, got 200"),
        ({"task_horizon": 0}, "`task_horizon` must be an integer of at least 1, got 0"),
        ({"m": 1.5}, "`m` must be an integer of at least 1, got 1.5"),
        ({"lookahead": 0}, "`lookahead` must be an integer of at least 1, got 0"),
        ({"r_max": np.inf}, "`r_max` must be finite, got inf"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RMax(**({"n_states": 2, "n_actions": 2, "task_horizon": 3} | arguments))
