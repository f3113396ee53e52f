"""What holds for all agents that plan: boundaries, seeds, ties, errors."""

import numpy as np
import pytest

from vamdp.baselines.tabular import BEB, PSRL, UCRL2, Greedy
from vamdp.domains import FrozenLakes, RandomMDPs
from vamdp.domains.task_vector_env import TaskVectorEnv

S, A, HORIZON = 4, 3, 6

AGENTS = {
    "greedy": lambda **o: Greedy(S, A, task_horizon=HORIZON, **o),
    "eps-greedy": lambda **o: Greedy(S, A, task_horizon=HORIZON, epsilon=0.3, **o),
    "PSRL": lambda **o: PSRL(S, A, task_horizon=HORIZON, **o),
    "optimistic PSRL": lambda **o: PSRL(S, A, task_horizon=HORIZON, n_samples=3, **o),
    "UCRL2": lambda **o: UCRL2(S, A, task_horizon=HORIZON, transition_scale=0.1, **o),
    "BEB": lambda **o: BEB(S, A, task_horizon=HORIZON, **o),
}
every_agent = pytest.mark.parametrize("name", AGENTS)
# Those whose Q is a function of what they saw.
every_sure_agent = pytest.mark.parametrize("name", ["greedy", "UCRL2", "BEB"])


def one(s, a, r, s_next, terminated=False, truncated=False):
    return [np.array([x]) for x in (s, a, r, s_next, terminated, truncated)]


def random_steps(seed, n_steps, n_tasks, p_end=0.2):
    rng = np.random.default_rng(seed)
    for _ in range(n_steps):
        ends = rng.random((2, n_tasks)) < p_end / 2
        yield (
            rng.integers(S, size=n_tasks),
            rng.integers(A, size=n_tasks),
            rng.normal(size=n_tasks),
            rng.integers(S, size=n_tasks),
            *ends,
        )


def actions_in(agent, distribution, *, n_tasks=5, n_steps=30, seed=0, limit=HORIZON):
    """All actions of a meta-episode, shape (n_steps, n_tasks)."""
    envs = TaskVectorEnv(distribution, n_tasks, max_episode_steps=limit)
    envs.reset(seed=7)
    agent.start(n_tasks, seed)
    actions = []
    for _ in range(n_steps):
        states = envs.states
        actions.append(agent.act(states))
        _, rewards, terminated, truncated, _ = envs.step(actions[-1])
        agent.learn(states, actions[-1], rewards, envs.reached_states, terminated, truncated)
    return np.array(actions)


@every_agent
def test_titles_are_those_of_the_tables(name):
    assert AGENTS[name]().title == name


@every_agent
def test_same_seed_same_actions_and_another_seed_others(name):
    agent, tasks = AGENTS[name](), RandomMDPs(S, A)
    first = actions_in(agent, tasks)
    np.testing.assert_array_equal(actions_in(agent, tasks), first)  # so `start` forgets all
    np.testing.assert_array_equal(actions_in(AGENTS[name](), tasks), first)
    assert (actions_in(agent, tasks, seed=1) != first).any()
    assert first.min() >= 0 and first.max() < A


@every_sure_agent
def test_a_batch_equals_single_ones_bit_for_bit(name):
    n = 5
    batch, singles = AGENTS[name](), [AGENTS[name]() for _ in range(n)]
    batch.start(n, 0)
    for step in random_steps(0, 40, n):
        batch.learn(*step)
        for i, single in enumerate(singles):
            single.learn(*(x[i : i + 1] for x in step))
        states = step[3]
        rows = [single.q_values(states[i : i + 1])[0] for i, single in enumerate(singles)]
        np.testing.assert_array_equal(batch.q_values(states), rows)


@every_sure_agent
@pytest.mark.parametrize("end", [{"terminated": True}, {"truncated": True}])
def test_the_end_of_an_episode_clears_the_clock_and_not_what_was_learned(name, end):
    began_late, began_early, went_on, untaught = (AGENTS[name]() for _ in range(4))
    began_late.learn(*one(1, 1, 9.0, 2))
    began_early.learn(*one(1, 1, 9.0, 2, truncated=True))
    went_on.learn(*one(1, 1, 9.0, 2))
    for agent in (began_late, began_early, untaught):
        agent.learn(*one(3, 0, 1.0, 3, **end))
    went_on.learn(*one(3, 0, 1.0, 3))
    Q = began_late.q_values(np.array([1]))
    np.testing.assert_array_equal(Q, began_early.q_values(np.array([1])))
    assert (Q != went_on.q_values(np.array([1]))).all()  # six steps to go, and not four
    assert Q[0, 1] > untaught.q_values(np.array([1]))[0, 1] + 1  # the 9 is remembered


@every_sure_agent
def test_an_episode_beyond_the_task_horizon_is_planned_as_a_new_one(name):
    endless, cut = AGENTS[name](), AGENTS[name]()
    for t, step in enumerate(random_steps(3, 2 * HORIZON + 2, 1, p_end=0.0)):
        endless.learn(*step)
        cut.learn(*step[:5], np.array([t % HORIZON == HORIZON - 1]))
        np.testing.assert_array_equal(endless.q_values(step[3]), cut.q_values(step[3]))


@every_sure_agent
def test_a_plan_for_the_episode_waits_for_its_end_and_one_for_the_step_does_not(name):
    for replan in ("episode", "step"):
        agent = AGENTS[name](replan=replan)
        state = np.array([0])
        agent.act(state)
        agent.learn(*one(0, 1, 50.0, 0))
        now = agent.q_values(state)
        assert (now[0, 1] > now[0, 0] + 10) == (replan == "step")
        agent.learn(*one(2, 0, 1.0, 2, truncated=True))
        now = agent.q_values(state)
        assert now[0, 1] > now[0, 0] + 10


@every_sure_agent
def test_what_it_learned_before_its_first_action_is_in_the_first_plan(name):
    """With or without an end, a plan for the episode is then the one for the step."""
    state = np.array([0])
    for_episode, for_step = AGENTS[name](replan="episode"), AGENTS[name](replan="step")
    for agent in (for_episode, for_step):
        agent.start(1, 0)
        agent.learn(*one(0, 0, 5.0, 1))
    assert for_episode.q_values(state).any()
    np.testing.assert_array_equal(for_episode.q_values(state), for_step.q_values(state))


def test_only_tasks_whose_episode_ended_are_planned_anew():
    agent = PSRL(S, A, task_horizon=HORIZON)
    agent.start(3, 0)
    states = np.zeros(3, np.int64)
    agent.q_values(states)
    P = agent._models.P.copy()
    nothing, ones = np.zeros(3, np.int64), np.ones(3)
    ends = np.array([False, True, False])
    agent.learn(nothing, nothing, ones, nothing, ~ends & ends, ends)
    agent.q_values(states)
    changed = (agent._models.P != P).any(axis=(0, 2, 3, 4))
    assert changed.tolist() == ends.tolist()


@every_agent
def test_actions_that_look_the_same_are_taken_equally_often(name):
    agent, n = AGENTS[name](), 6000
    agent.start(n, seed=0)
    counts = np.bincount(agent.act(np.zeros(n, np.int64)), minlength=A)
    sd = np.sqrt(n * (1 / A) * (1 - 1 / A))
    assert (abs(counts - n / A) < 4 * sd).all()


def test_q_is_that_of_the_state_one_is_in_wherever_episodes_start():
    agent = Greedy(S, A, task_horizon=1)
    agent.start(S, 0)
    for s in range(S):
        every = np.full(S, s)
        agent.learn(every, every % A, np.full(S, 10.0 * s), every, *np.zeros((2, S), bool))
    expected = np.ones((S, A))
    expected[np.arange(S), np.arange(S) % A] = (1 + 10.0 * np.arange(S)) / 2
    np.testing.assert_allclose(agent.q_values(np.arange(S)), expected)


@every_agent
def test_lakes_whose_goal_ends_the_episode_are_crossed(name):
    """With a prior that fits: few successors, seldom a reward, and no noise."""
    make = {
        "greedy": Greedy,
        "eps-greedy": lambda **o: Greedy(epsilon=0.05, **o),
        "PSRL": PSRL,
        "optimistic PSRL": lambda **o: PSRL(n_samples=3, **o),
        "UCRL2": UCRL2,
        "BEB": BEB,
    }[name]
    prior = {"concentration": 0.01, "prior_mean": 0.1, "prior_sd": 0.3, "noise_sd": 0.03}
    agent = make(n_states=16, n_actions=4, task_horizon=20, **prior)
    n, n_steps = 8, 500
    envs = TaskVectorEnv(FrozenLakes(size=4), n, max_episode_steps=20)
    envs.reset(seed=3)
    agent.start(n, 0)
    rewards = np.zeros((n_steps, n))
    for t in range(n_steps):
        states = envs.states
        actions = agent.act(states)
        _, rewards[t], terminated, truncated, _ = envs.step(actions)
        agent.learn(states, actions, rewards[t], envs.reached_states, terminated, truncated)
    # Nobody hurries, since a step costs nothing: the goal once in each of the last five episodes.
    assert rewards[-100:].sum(axis=0).mean() > 3.2


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (Greedy, {"n_states": 0}, "`n_states` must be an integer of at least 1, got 0"),
        (Greedy, {"n_actions": 1.5}, "`n_actions` must be an integer of at least 1, got 1.5"),
        (Greedy, {"task_horizon": 0}, "`task_horizon` must be an integer of at least 1, got 0"),
        (Greedy, {"epsilon": 1.1}, r"`epsilon` must be in \[0, 1\], got 1.1"),
        (Greedy, {"replan": "never"}, '`replan` must be "episode" or "step", got \'never\''),
        (PSRL, {"n_samples": 0}, "`n_samples` must be an integer of at least 1, got 0"),
        (BEB, {"beta": -1.0}, "`beta` must be finite and at least 0, got -1.0"),
        (UCRL2, {"reward_scale": -1.0}, "`reward_scale` must be finite and at least 0, got -1.0"),
        (UCRL2, {"transition_scale": np.inf}, "`transition_scale` must be finite"),
        (UCRL2, {"delta": 1.0}, r"`delta` must be in \(0, 1\), got 1.0"),
        (UCRL2, {"prior_sd": 0.0}, "`prior_sd` must be finite and above 0, got 0.0"),
    ],
)
def test_errors_name_the_argument(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(**{"n_states": 2, "n_actions": 2, "task_horizon": 3} | options)
