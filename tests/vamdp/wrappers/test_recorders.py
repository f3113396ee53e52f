"""Statistics of episodes: recorders inside and outside of meta-episodes."""

import signal

import gymnasium
import pytest
from gymnasium.wrappers import RecordEpisodeStatistics, TimeLimit

import vamdp
from vamdp.domains import RandomMDPs

H = 17


def inner():
    return TimeLimit(vamdp.TaskEnv(RandomMDPs()), 5)


def meta(env):
    return vamdp.MetaEpisode(vamdp.ValueAugment(env, task_horizon=10), H)


def recorders():
    found = [pytest.param(RecordEpisodeStatistics, id="gymnasium")]
    try:
        from stable_baselines3.common.monitor import Monitor
    except ImportError:
        return found
    return [*found, pytest.param(Monitor, id="SB3")]


@pytest.fixture
def time_limit():
    """Fails a test that never returns, as evaluate_policy without "episode" in infos would."""

    def give_up(*_):
        raise TimeoutError("still running after 60 s")

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.mark.parametrize("recorder", recorders())
def test_a_recorder_inside_gives_the_statistics_of_the_meta_episode_at_its_end(recorder):
    env = meta(recorder(inner()))
    env.reset(seed=0)
    for _ in range(2):
        results = [env.step(t % 5) for t in range(H)]
        assert not any("episode" in info for *_, info in results[:-1])
        assert not any("episode" in info.get("last_info", {}) for *_, info in results)
        episode = results[-1][4]["episode"]
        assert set(episode) == {"r", "l", "t"}
        assert episode["r"] == pytest.approx(sum(result[1] for result in results))
        assert episode["l"] == H
        assert episode["t"] >= 0
        env.reset()


@pytest.mark.parametrize("recorder", recorders())
def test_a_recorder_outside_records_meta_episodes(recorder):
    env = recorder(meta(inner()))
    env.reset(seed=0)
    results = [env.step(t % 5) for t in range(H)]
    episode = results[-1][4]["episode"]
    assert episode["l"] == H
    assert episode["r"] == pytest.approx(sum(result[1] for result in results), rel=1e-5)


def test_without_a_recorder_there_are_no_statistics():
    env = meta(inner())
    env.reset(seed=0)
    assert not any("episode" in env.step(0)[4] for _ in range(H))


def test_a_batch_outside_records_meta_episodes():
    env = vamdp.vector.MetaEpisode(vamdp.TaskVectorEnv(RandomMDPs(), 3, max_episode_steps=5), H)
    env = gymnasium.wrappers.vector.RecordEpisodeStatistics(env)
    env.reset(seed=0)
    total = 0.0
    for _ in range(H):
        _, rewards, _, _, infos = env.step([0, 1, 2])
        total = total + rewards
    assert infos["episode"]["l"].tolist() == [H] * 3
    assert infos["episode"]["r"] == pytest.approx(total)


@pytest.mark.parametrize("place", ["inside", "outside", "none"])
def test_evaluate_policy_returns_the_totals_of_meta_episodes(place, time_limit):
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import DummyVecEnv

    class Constant:
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return [0] * len(observation), state

    def make():
        if place == "inside":
            return meta(Monitor(inner()))
        return Monitor(meta(inner())) if place == "outside" else meta(inner())

    venv = DummyVecEnv([make])
    venv.seed(3)
    with pytest.warns(UserWarning, match="Monitor") if place == "none" else _nothing():
        totals, lengths = evaluate_policy(
            Constant(), venv, n_eval_episodes=3, return_episode_rewards=True
        )
    assert lengths == [H] * 3
    env = meta(inner())
    expected = []
    for seed in (3, None, None):
        env.reset(seed=seed)
        expected.append(sum(env.step(0)[1] for _ in range(H)))
    assert totals == pytest.approx(expected, rel=1e-4)


def _nothing():
    import contextlib

    return contextlib.nullcontext()
