import gymnasium
import numpy as np
import pytest

from vamdp.domains import Bandits, TaskEnv
from vamdp.mdp.tabular_mdp import TabularMDP

N_TASKS = 4000


def arms(distribution):
    rng = np.random.default_rng(0)
    return np.array([distribution(rng).reward[:-1] for _ in range(N_TASKS)])


def test_arms_are_independent_and_uniform():
    p = arms(Bandits(n_arms=3))
    assert p.shape == (N_TASKS, 3)
    assert p.min() >= 0.0 and p.max() < 1.0
    edges = np.linspace(0, 1, 11)[1:-1]
    for arm in p.T:  # Kolmogorov and Smirnov: beyond 1.95 / sqrt(n) once in a thousand
        empirical = np.searchsorted(np.sort(arm), edges) / N_TASKS
        assert abs(empirical - edges).max() < 1.95 / N_TASKS**0.5
    assert abs(np.corrcoef(p.T) - np.eye(3)).max() < 4 / N_TASKS**0.5


def test_arms_out_of_distribution_are_normal_with_mean_and_deviation_one_half():
    p = arms(Bandits(ood=True))
    assert abs(p.mean() - 0.5) < 4 * 0.5 / p.size**0.5
    assert abs(p.std() - 0.5) < 4 * 0.5 / (2 * p.size) ** 0.5
    assert (p < 0.0).mean() == pytest.approx(0.1587, abs=0.01)  # one deviation below the mean


def test_every_pull_ends_the_episode_in_the_only_state():
    env = gymnasium.make("vamdp/Bandit-v0", n_arms=7)
    assert env.observation_space == gymnasium.spaces.Discrete(1)
    assert env.action_space == gymnasium.spaces.Discrete(7)
    for arm in range(7):
        assert env.reset(seed=1)[0] == 0
        state, reward, terminated, truncated, _ = env.step(arm)
        assert (state, terminated, truncated) == (0, True, False)
        assert reward in (0.0, 1.0)


def test_an_arm_pays_as_often_as_its_probability_says():
    p = np.array([0.1, 0.9, 1.2, -0.2])
    env = TaskEnv(Bandits(n_arms=4))
    env.reset(seed=0, options={"task": Bandits(n_arms=4).task(p)})
    n = 3000
    for arm, mean in enumerate(np.clip(p, 0, 1)):
        paid = 0.0
        for _ in range(n):
            env.reset()
            paid += env.step(arm)[1]
        assert abs(paid / n - mean) <= 4 * np.sqrt(mean * (1 - mean) / n)


def test_a_sampled_bandit_equals_the_checked_one():
    task = Bandits(n_arms=3)(np.random.default_rng(0))
    checked = TabularMDP.from_dense(
        np.ones((1, 3, 1)),
        task.reward[None, :-1],
        terminal=np.ones((1, 3, 1), bool),
        reward_noise="bernoulli",
    )
    for name in ("n_states", "n_actions", "reward_noise", "features"):
        assert getattr(task, name) == getattr(checked, name)
    for name in ("rows", "probability", "successor", "reward", "ends"):
        np.testing.assert_array_equal(getattr(task, name), getattr(checked, name))
        assert getattr(task, name).dtype == getattr(checked, name).dtype


def test_a_bandit_needs_an_arm():
    with pytest.raises(ValueError, match="`n_arms` must be an integer of at least 1, got 0"):
        Bandits(n_arms=0)
