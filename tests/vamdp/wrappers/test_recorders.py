"""Statistics of episodes: recorders inside and outside of meta-episodes."""

import os
import signal

import gymnasium
import numpy as np
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


def identity(env):
    return env


KINDS = [pytest.param(identity, id="none"), *recorders()]


@pytest.mark.parametrize("augmented", [True, False])
@pytest.mark.parametrize("inside", KINDS)
@pytest.mark.parametrize("between", KINDS)
@pytest.mark.parametrize("outside", KINDS)
def test_statistics_are_those_of_meta_episodes_in_every_order(inside, between, outside, augmented):
    middle = inside(inner())
    middle = between(vamdp.ValueAugment(middle, task_horizon=10) if augmented else middle)
    env = outside(vamdp.MetaEpisode(middle, H))
    env.reset(seed=0)
    stock = [kind for kind in (inside, between, outside) if kind is not identity]
    if RecordEpisodeStatistics in stock[1:]:
        # Gymnasium's refuses to stand around another recorder, with ours and without.
        for refusing in (env, outside(between(inside(inner())))):
            refusing.reset(seed=0)
            with pytest.raises(AssertionError):
                for t in range(H):
                    refusing.step(t % 5)
        return
    for _ in range(2):
        results = [env.step(t % 5) for t in range(H)]
        assert [result[2] for result in results] == [False] * (H - 1) + [True]
        assert not any("episode" in info for *_, info in results[:-1])
        assert not any("episode" in info.get("last_info", {}) for *_, info in results)
        assert ("episode" in results[-1][4]) == bool(stock)
        if stock:
            episode = results[-1][4]["episode"]
            assert episode["l"] == H
            assert episode["r"] == pytest.approx(sum(result[1] for result in results), rel=1e-5)
        env.reset()
    if outside is RecordEpisodeStatistics:
        assert list(env.length_queue) == [H, H]
    elif outside is not identity:
        assert env.get_episode_lengths() == [H, H]


def test_a_recorder_inside_keeps_its_own_count_of_episodes():
    recorder = RecordEpisodeStatistics(inner())
    env = meta(recorder)
    env.reset(seed=0)
    for t in range(H):
        env.step(t % 5)
    assert list(recorder.length_queue) == [5, 5, 5]


def counts_every_step():
    """Gymnasium's recorder of a batch left out an episode's first step up to some version."""
    env = vamdp.TaskVectorEnv(RandomMDPs(), 1, max_episode_steps=3)
    env = gymnasium.wrappers.vector.RecordEpisodeStatistics(env)
    env.reset(seed=0)
    for _ in range(6):
        *_, infos = env.step([0])
    return infos["episode"]["l"].tolist() == [3]


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("outside", [True, False])
def test_statistics_of_a_batch_are_those_of_meta_episodes(inside, outside):
    batched = gymnasium.wrappers.vector.RecordEpisodeStatistics
    env = vamdp.TaskVectorEnv(RandomMDPs(), 3, max_episode_steps=5)
    env = vamdp.vector.ValueAugment(batched(env) if inside else env, task_horizon=10)
    env = vamdp.vector.MetaEpisode(env, H)
    env = batched(env) if outside else env
    env.reset(seed=0)
    total = np.zeros(3)
    for t in range(2 * H):
        _, rewards, _, _, infos = env.step([0, 1, 2])
        total += rewards
        over = (t + 1) % H == 0
        assert ("episode" in infos) == (over and outside)
        assert ("episode" in infos.get("final_info", {})) == (over and inside)
        if over:
            where = ([infos] if outside else []) + ([infos["final_info"]] if inside else [])
            for found in where:
                if found is not infos or t < H or counts_every_step():
                    assert found["episode"]["l"].tolist() == [H] * 3
                    assert found["episode"]["r"] == pytest.approx(total)
            total[:] = 0


@pytest.mark.parametrize("place", ["outside", "inside"])
def test_a_video_outside_shows_the_whole_meta_episode(place, tmp_path):
    """Inside, it would be one file for each inner episode."""
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    pytest.importorskip("moviepy")
    pytest.importorskip("pygame")
    folder = tmp_path / "videos"

    def record(env):
        return gymnasium.wrappers.RecordVideo(env, str(folder), episode_trigger=lambda _: True)

    env = gymnasium.make("FrozenLake-v1", render_mode="rgb_array", max_episode_steps=4)
    env = record(env) if place == "inside" else env
    env = vamdp.MetaEpisode(vamdp.ValueAugment(env, task_horizon=4), H)
    env = record(env) if place == "outside" else env
    env.reset(seed=0)
    ends = 0
    for t in range(2 * H):
        *_, terminated, _, info = env.step(t % 4)
        ends += info["episode_end"]
        if terminated:
            env.reset()
    env.close()
    files = sorted(folder.glob("*.mp4"), key=os.path.getmtime)
    frames = [ffmpeg.count_frames_and_secs(str(file))[0] for file in files]
    if place == "outside":
        # With each reset's frame; the last file is of the meta-episode that has only begun.
        assert frames == [H + 1, H + 1, 1]
    else:
        assert len(files) > ends >= 2 * (H // 4)


def test_a_video_of_a_batch_shows_whole_meta_episodes(tmp_path):
    """But for the last picture: the next meta-episodes begin in the same step."""
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    pytest.importorskip("moviepy")
    pytest.importorskip("pygame")
    env = gymnasium.make_vec(
        "FrozenLake-v1", 2, vectorization_mode="sync", render_mode="rgb_array",
        vector_kwargs={"autoreset_mode": "SameStep"}, max_episode_steps=4,
    )  # fmt: skip
    env = vamdp.vector.MetaEpisode(vamdp.vector.ValueAugment(env, task_horizon=4), H)
    folder = tmp_path / "videos"
    env = gymnasium.wrappers.vector.RecordVideo(env, str(folder), episode_trigger=lambda _: True)
    env.reset(seed=0)
    for t in range(2 * H):
        env.step(np.full(2, t % 4))
    env.close()
    files = sorted(folder.glob("*.mp4"), key=os.path.getmtime)
    assert [ffmpeg.count_frames_and_secs(str(file))[0] for file in files] == [H, H, 1]


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
