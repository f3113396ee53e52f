"""What each kind of agent believes and does, against closed forms and known optima."""

import math

import numpy as np
import pytest

from vamdp.baselines.tabular import BEB, PSRL, UCRL2, Greedy
from vamdp.domains import RandomMDPs
from vamdp.domains.task_vector_env import TaskVectorEnv
from vamdp.mdp.tabular_mdp import TabularMDP

# A prior that any data outweigh.
VAGUE = {"concentration": 1e-12, "prior_sd": 1e6}


def dense(task):
    """P (S, A, S) and R (S, A) of a random MDP."""
    S, A = task.n_states, task.n_actions
    shape = (S, A, S)
    return task.probability[:-1].reshape(shape), task.reward[:-1].reshape(shape)[..., 0]


def tell_all(agent, P, R, n):
    """Each action n times in each state, with successors as often as P says: n P is whole."""
    for s, a, s_next in np.ndindex(P.shape):
        for _ in range(round(n * P[s, a, s_next])):
            step = (s, a, R[s, a], s_next, False, True)
            agent.learn(*(np.array([x]) for x in step))


def walk(agent, n_tasks, n_steps, n_states=4, n_actions=3, task_horizon=5, seed=3):
    """Let an agent live in random MDPs, and end in a new episode; returns the tasks."""
    limit = task_horizon
    envs = TaskVectorEnv(RandomMDPs(n_states, n_actions), n_tasks, max_episode_steps=limit)
    envs.reset(seed=seed)
    agent.start(n_tasks, 0)
    for _ in range(n_steps // limit * limit):
        states = envs.states
        actions = agent.act(states)
        _, rewards, terminated, truncated, _ = envs.step(actions)
        agent.learn(states, actions, rewards, envs.reached_states, terminated, truncated)
    return envs.tasks


@pytest.mark.parametrize(
    "make",
    [
        Greedy,
        lambda *a, **o: BEB(*a, beta=0.0, **o),
        lambda *a, **o: UCRL2(*a, reward_scale=0.0, transition_scale=0.0, **o),
        lambda *a, **o: PSRL(*a, noise_sd=1e-9, **o),
    ],
)
def test_whoever_knows_the_task_plans_as_well_as_can_be(make):
    rng = np.random.default_rng(0)
    S, A, horizon, n = 3, 2, 7, 8
    P = rng.multinomial(n, np.ones(S) / S, (S, A)) / n
    R = rng.normal(size=(S, A))
    agent = make(S, A, task_horizon=horizon, **VAGUE)
    if isinstance(agent, PSRL):  # certain only where a row has one successor
        P = np.eye(S)[P.argmax(axis=2)]
    tell_all(agent, P, R, n)
    optimum = TabularMDP.from_dense(P, R).optimal_values(horizon)
    for s in range(S):
        Q = agent.q_values(np.array([s]))
        assert Q.max() == pytest.approx(optimum[s], abs=1e-6)
        best = R[s] + P[s] @ TabularMDP.from_dense(P, R).optimal_values(horizon - 1)
        assert agent.act(np.array([s])) == best.argmax()


# Greedy and eps-greedy


def test_the_share_of_random_actions_is_epsilon():
    n, epsilon = 20_000, 0.3
    agent = Greedy(1, 4, task_horizon=1, epsilon=epsilon)
    agent.start(n, 0)
    zeros, no = np.zeros(n, np.int64), np.zeros(n, bool)
    agent.learn(zeros, zeros + 2, np.full(n, 100.0), zeros, no, no)
    share = np.bincount(agent.act(zeros), minlength=4) / n
    expected = np.array([1, 1, 1, 1]) * epsilon / 4 + np.array([0, 0, 1, 0]) * (1 - epsilon)
    np.testing.assert_allclose(share, expected, atol=5 * 0.5 / math.sqrt(n))


# Posterior sampling


def test_psrl_takes_an_action_as_often_as_it_is_the_best_one():
    """Two actions that only pay: P(R_1 > R_0) is that of two normal posteriors."""
    n = 20_000
    agent = PSRL(1, 2, task_horizon=1, prior_mean=0.0, prior_sd=2.0, noise_sd=1.0)
    agent.start(n, 0)
    zeros, no = np.zeros(n, np.int64), np.zeros(n, bool)
    for action, reward in [(0, 1.0), (0, 2.0), (1, 1.0)]:
        agent.learn(zeros, zeros + action, np.full(n, reward), zeros, no, no)
    mean = np.array([3.0 / 2.25, 1.0 / 1.25])
    sd = math.sqrt(1 / 2.25 + 1 / 1.25)
    expected = 0.5 * (1 + math.erf((mean[1] - mean[0]) / sd / math.sqrt(2)))
    assert agent.act(zeros).mean() == pytest.approx(expected, abs=5 * 0.5 / math.sqrt(n))


def test_optimistic_psrl_has_the_largest_q_of_its_samples():
    states = np.zeros(20, np.int64)
    agent = PSRL(4, 3, task_horizon=5, n_samples=6)
    walk(agent, 20, 30)
    Q = agent.q_values(states)
    each = np.array(
        [
            [
                R[0] + P[0] @ TabularMDP.from_dense(P, R).optimal_values(4)
                for P, R in zip(agent._models.P[m], agent._models.R[m], strict=True)
            ]
            for m in range(6)
        ]
    )
    np.testing.assert_allclose(Q, each.max(axis=0), rtol=1e-12)
    assert (Q > each[0]).mean() > 0.5


def test_more_samples_promise_more_and_one_no_less_than_the_mean():
    states = np.zeros(400, np.int64)
    promised = []
    for n_samples in (1, 2, 8):
        agent = PSRL(4, 3, task_horizon=5, n_samples=n_samples)
        walk(agent, 400, 20)
        greedy = Greedy(4, 3, task_horizon=5)
        greedy.start(400, 0)
        greedy._posterior = agent._posterior
        promised.append((agent.q_values(states) - greedy.q_values(states)).max(axis=1).mean())
    assert promised[0] > 0
    assert promised[1] > promised[0] + 0.3
    assert promised[2] > promised[1] + 0.3


# Optimism


def test_ucrl2_promises_no_less_than_the_truth_wherever_its_region_holds_it():
    agent = UCRL2(4, 3, task_horizon=5, reward_scale=0.5, transition_scale=0.15)
    tasks = walk(agent, 100, 200)
    states = np.zeros(100, np.int64)
    promised = agent.q_values(states).max(axis=1)
    truth = [dense(task) for task in tasks]
    P, R = (np.array(x) for x in zip(*truth, strict=True))
    n = agent._posterior.visits
    r_radius = 0.5 * np.sqrt(7 * math.log(2 * 4 * 3 * 201 / 0.05) / (2 * (1 + n)))
    p_radius = 0.15 * np.sqrt(14 * 4 * math.log(2 * 3 * 201 / 0.05) / np.maximum(1, n))
    holds = (abs(R - agent._posterior.R) <= r_radius).all(axis=(1, 2))
    holds &= (abs(P - agent._posterior.P).sum(axis=3) <= p_radius).all(axis=(1, 2))
    assert 30 < holds.sum()
    optimum = np.array([task.optimal_values(5)[0] for task in tasks])
    assert (promised >= optimum)[holds].all()
    # And it is not the trivial promise: best reward in each step.
    assert (promised < 5 * agent._models.R[0].max(axis=(1, 2))).any()


def test_the_radii_of_ucrl2_worked_out_by_hand():
    S, A, delta = 2, 3, 0.1
    scales = {"reward_scale": 0.5, "transition_scale": 2.0, "delta": delta}
    agent = UCRL2(S, A, task_horizon=4, prior_sd=0.5, **scales)  # it counts for 4 rewards
    for _ in range(5):
        agent.learn(*(np.array([x]) for x in (1, 2, 3.0, 0, False, False)))
    agent.q_values(np.array([0]))
    t = 6
    for (s, a), (n, n_rewards, mean) in {(1, 2): (5, 9, 19 / 9), (0, 0): (1, 4, 1.0)}.items():
        r = 0.5 * math.sqrt(7 * math.log(2 * S * A * t / delta) / (2 * n_rewards))
        p = 2.0 * math.sqrt(14 * S * math.log(2 * A * t / delta) / n)
        assert agent._models.R[0, 0, s, a] == pytest.approx(mean + r, rel=1e-12)
        assert agent._models.radius[0, 0, s, a] == pytest.approx(p, rel=1e-12)


def test_the_bonus_of_beb_is_beta_over_one_plus_the_visits():
    agent, greedy = BEB(1, 2, task_horizon=1, beta=6.0), Greedy(1, 2, task_horizon=1)
    state = np.array([0])
    for n in range(4):
        bonus = agent.q_values(state) - greedy.q_values(state)
        np.testing.assert_allclose(bonus, [[6 / (1 + n), 6]], rtol=1e-12)
        for learner in (agent, greedy):
            learner.learn(*(np.array([x]) for x in (0, 0, 5.0, 0, False, True)))
