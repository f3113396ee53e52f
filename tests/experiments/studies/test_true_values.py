import numpy as np
import pytest

from rl3_sb3.experiments.studies.true_values import reachable, true_q
from vamdp import TabularMDP
from vamdp.domains import Bandits, RandomMDPs
from vamdp.estimators.model_based.batch_value_estimator import BatchValueEstimator
from vamdp.mdp.value_iteration import value_iteration


@pytest.mark.parametrize(("horizon", "gamma"), [(1, 1.0), (4, 1.0), (30, 0.9)])
def test_true_q_is_value_iterations(horizon, gamma):
    rng = np.random.default_rng(0)
    P, R = rng.dirichlet(np.ones(6), (6, 3)), rng.normal(size=(6, 3, 6))
    terminal = np.arange(6) == 4
    task = TabularMDP.from_dense(P, R, terminal=terminal)
    wanted = value_iteration(
        P, R, terminal=terminal, gamma=gamma, max_sweeps=horizon, tolerance=0.0
    ).Q
    np.testing.assert_allclose(true_q(task, horizon, gamma)[~terminal], wanted[~terminal])


def test_a_learner_that_has_seen_everything_plans_the_true_q():
    rng = np.random.default_rng(1)
    task = RandomMDPs(n_states=3, n_actions=2)(rng)
    P = task.probability[:-1].reshape(6, 3)
    learner = BatchValueEstimator(1, 2, task_horizon=10, smoothing=0.0, tolerance=0.0)
    for row, s_next in np.ndindex(P.shape):  # in proportion to the probabilities
        for _ in range(round(1000 * P[row, s_next])):
            reward = task.reward[3 * row]
            learner.update([row // 2], [row % 2], [reward], [s_next], [False])
    Q = np.array([learner.q_values([s])[0] for s in range(3)])
    np.testing.assert_allclose(Q, true_q(task, 10, 1.0), rtol=0.01)


def test_a_bernoulli_arm_pays_at_most_always():
    task = Bandits(n_arms=3).task(np.array([-0.5, 0.25, 1.5]))
    np.testing.assert_array_equal(true_q(task, 1, 1.0), [[0.0, 0.25, 1.0]])


def test_nothing_follows_a_move_that_ends_the_episode_where_it_began():
    task = Bandits(n_arms=2).task(np.array([0.25, 0.75]))
    np.testing.assert_array_equal(true_q(task, 5, 1.0), [[0.25, 0.75]])


def test_states_behind_obstacles_and_ends_are_out_of_reach():
    task = TabularMDP.from_grid(["S G ", " OO ", "  O "], slip=0.2)
    wanted = [[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]]  # the goal ends what is behind it
    np.testing.assert_array_equal(reachable(task).reshape(3, 4), wanted)
