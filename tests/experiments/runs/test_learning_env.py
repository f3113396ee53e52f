import numpy as np
import pytest

from rl3_sb3.experiments.runs.learning_env import make_learning_env
from rl3_sb3.experiments.settings.run_config import RunConfig

H, N = 20, 5


def life(config, n_steps=2 * H):
    """Act at random; return observations, rewards, dones and the episodes that were told."""
    env = make_learning_env(config, N)
    env.seed(3)
    seen, paid, episodes = [env.reset()], [], []
    rng = np.random.default_rng(0)
    for _ in range(n_steps):
        observations, rewards, dones, infos = env.step(rng.integers(5, size=N))
        seen.append(observations)
        paid.append(rewards)
        assert all(("episode" in info) == done for info, done in zip(infos, dones, strict=True))
        episodes += [info["episode"] for info in infos if "episode" in info]
    return np.array(seen), np.array(paid), episodes


@pytest.mark.parametrize("algo", ["rl2", "rl3", "rl3-markov"])
def test_the_signal_changes_what_is_paid_and_nothing_else(algo):
    of = {"horizon": H, "algo": algo}
    seen, rewards, told = life(RunConfig.of("random-mdp", recipe="paper", **of))
    regret = RunConfig.of("random-mdp", recipe="paper", signal="regret", **of)
    seen_too, regrets, told_too = life(regret)
    np.testing.assert_array_equal(seen, seen_too)
    assert (regrets <= 1e-6).all() and (regrets < -0.1).any()
    assert not np.array_equal(rewards, regrets)
    assert len(told) == len(told_too) == 2 * N
    returns = [[episode["r"] for episode in each] for each in (told, told_too)]
    np.testing.assert_allclose(returns[0], returns[1], rtol=1e-5)
    expected = rewards.reshape(2, H, N).sum(axis=1).ravel()
    np.testing.assert_allclose(returns[0], expected, rtol=1e-5)
    assert {episode["l"] for episode in told} == {H}


@pytest.mark.parametrize("signal", ["reward", "regret"])
def test_the_scale_multiplies_the_signal_and_leaves_the_returns(signal):
    of = {"horizon": H, "signal": signal}
    _, rewards, told = life(RunConfig.of("random-mdp", signal_scale=1.0, **of))
    _, scaled, told_too = life(RunConfig.of("random-mdp", signal_scale=0.25, **of))
    np.testing.assert_array_equal(scaled, rewards * np.float32(0.25))
    assert [each["r"] for each in told] == [each["r"] for each in told_too]


def test_a_reset_drops_the_meta_episodes_before():
    env = make_learning_env(RunConfig.of("bandit", horizon=4, algo="rl2"), 2)
    env.reset()
    env.step(np.array([0, 1]))
    env.reset()
    for _ in range(4):
        *_, infos = env.step(np.array([0, 1]))
    assert [info["episode"]["l"] for info in infos] == [4, 4]
