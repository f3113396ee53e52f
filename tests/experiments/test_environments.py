import numpy as np
import pytest

from rl3_sb3.experiments.domains import DOMAINS
from rl3_sb3.experiments.environments import make_envs

VALUES = ["advantage", "value", "count"]
META = ["previous_action", "previous_reward", "episode_time", "meta_time"]


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize(
    ("algo", "parts"), [("rl2", ["state", *META]), ("rl3", ["state", *VALUES, *META])]
)
def test_the_algorithms_differ_by_the_value_estimates(domain, algo, parts):
    envs = make_envs(DOMAINS[domain], algo, horizon=12, n_envs=3)
    assert list(envs.layout) == parts
    assert envs.single_observation_space.shape == (envs.layout["meta_time"].stop,)


def test_the_markov_version_sees_the_same_estimates_and_nothing_else():
    facts = DOMAINS["random-mdp"]
    whole, alone = (make_envs(facts, algo, 12, n_envs=4) for algo in ("rl3", "rl3-markov"))
    shown = slice(whole.layout["advantage"].start, whole.layout["count"].stop)
    assert alone.single_observation_space.shape == (shown.stop - shown.start,)
    seen, _ = whole.reset(seed=3)
    seen_alone, _ = alone.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(30):  # past a meta-episode's end, where final_obs appears
        np.testing.assert_array_equal(seen_alone, seen[:, shown])
        actions = rng.integers(5, size=4)
        seen, _, ended, _, infos = whole.step(actions)
        seen_alone, _, _, _, infos_alone = alone.step(actions)
        assert alone.single_observation_space.contains(seen_alone[0])
        if ended.all():
            np.testing.assert_array_equal(infos_alone["final_obs"], infos["final_obs"][:, shown])
    assert np.abs(seen_alone).max() > 0


def test_previous_reward_and_values_are_divided_by_the_domains_scale():
    facts = DOMAINS["random-mdp"]
    envs = make_envs(facts, "rl3", horizon=12, n_envs=2)
    envs.reset(seed=0)
    seen, rewards, *_ = envs.step(np.array([1, 4]))
    np.testing.assert_allclose(seen[:, envs.layout["previous_reward"]][:, 0] * 10, rewards, 1e-6)
    np.testing.assert_array_equal(seen[:, envs.layout["episode_time"]][:, 0], np.float32(0.1))
