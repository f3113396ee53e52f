"""Stable-Baselines3's own tools around ours: vector environments, monitors, evaluate_policy."""

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import RecordEpisodeStatistics, TimeLimit
from gymnasium.wrappers.vector import RecordEpisodeStatistics as VectorStatistics

import vamdp
from vamdp.domains import RandomMDPs

pytest.importorskip("stable_baselines3")
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor, VecNormalize

from rl3_sb3 import GymnasiumVecEnv

pytestmark = pytest.mark.filterwarnings("ignore:The environment is already wrapped with a")

H = 17  # no multiple of the episodes' 5 steps: the last episode is cut
N = 2
SEED = 3


def inner():
    return TimeLimit(vamdp.TaskEnv(RandomMDPs()), 5)


def values(env):
    return vamdp.ValueAugment(env, task_horizon=10)


def chain(env):
    return vamdp.MetaEpisode(env, H)


def meta(env):
    return chain(values(env))


def values_and_monitor(env):
    return Monitor(values(env))


def full():
    return meta(inner())


def plain():
    return chain(inner())


#: What make_vec_env gets, which puts its Monitor around the first and the wrapper around that.
ORDERS = {
    "Monitor inside": (inner, meta),
    "Monitor between": (lambda: values(inner()), chain),
    "Monitor outside": (full, None),
    "Monitor inside and outside": (inner, lambda env: Monitor(meta(env))),
    "Monitor inside and between": (inner, lambda env: chain(values_and_monitor(env))),
    "Monitor everywhere": (inner, lambda env: Monitor(chain(values_and_monitor(env)))),
    "without values, Monitor inside": (inner, chain),
    "without values, Monitor outside": (plain, None),
    "gymnasium's recorder inside": (lambda: RecordEpisodeStatistics(inner()), meta),
    "gymnasium's recorder between": (lambda: RecordEpisodeStatistics(values(inner())), chain),
    "gymnasium's recorder outside, Monitor around": (
        lambda: RecordEpisodeStatistics(full()),
        None,
    ),
}


class Constant:
    """A policy that takes action 1, and refuses to play for ever.

    evaluate_policy counts the "episode" of infos where there is a Monitor: if they never come, it
    never returns.
    """

    def __init__(self, n_calls) -> None:
        self.n_calls_left = n_calls

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        self.n_calls_left -= 1
        if self.n_calls_left < 0:
            raise TimeoutError("evaluate_policy has not returned when it should have")
        n = len(next(iter(observation.values())) if isinstance(observation, dict) else observation)
        return np.ones(n, int), state


def expected_returns(n_episodes, n_envs=N):
    """The returns of the first meta-episodes of each environment, in the order of their ends."""
    returns = []
    for i in range(n_envs):
        env = full()
        env.reset(seed=SEED + i)
        returns.append([])
        for _ in range(n_episodes // n_envs + 1):
            returns[i].append(sum(env.step(1)[1] for _ in range(H)))
            env.reset()
    shares = [(n_episodes + i) // n_envs for i in range(n_envs)]  # as evaluate_policy deals them
    return [returns[i][k] for k in range(max(shares)) for i in range(n_envs) if k < shares[i]]


def assert_evaluates_exactly(venv, n_episodes=5, **options):
    policy = Constant(n_calls=(n_episodes // N + 1) * H)  # exactly what the slowest one needs
    returns, lengths = evaluate_policy(
        policy, venv, n_eval_episodes=n_episodes, return_episode_rewards=True, **options
    )
    venv.close()
    assert lengths == [H] * n_episodes
    assert returns == pytest.approx(expected_returns(n_episodes), rel=1e-4)


OUTER = {
    "nothing": lambda venv: venv,
    "VecMonitor": VecMonitor,
    "VecNormalize": VecNormalize,
    "VecNormalize(VecMonitor)": lambda venv: VecNormalize(VecMonitor(venv)),
}


@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("order", ORDERS)
def test_evaluate_policy_counts_meta_episodes_in_every_order(order, outer):
    env, wrapper = ORDERS[order]
    venv = make_vec_env(env, N, seed=SEED, wrapper_class=wrapper)
    assert_evaluates_exactly(OUTER[outer](venv))


@pytest.mark.parametrize("order", ["Monitor inside", "Monitor outside"])
def test_evaluate_policy_counts_meta_episodes_of_processes(order):
    env, wrapper = ORDERS[order]
    venv = make_vec_env(
        env, N, seed=SEED, wrapper_class=wrapper, vec_env_cls=SubprocVecEnv,
        vec_env_kwargs={"start_method": "fork"},
    )  # fmt: skip
    assert_evaluates_exactly(VecMonitor(venv))


def test_without_any_monitor_evaluate_policy_counts_meta_episodes_too():
    venv = DummyVecEnv([full] * N)
    venv.seed(SEED)
    assert_evaluates_exactly(venv, warn=False)


@pytest.mark.parametrize("id", ["vamdp/RandomMDP-v0", "FrozenLake-v1"])
def test_a_registered_environment_is_wrapped_by_name(id):
    venv = make_vec_env(id, N, seed=0, wrapper_class=meta)
    assert venv.get_attr("horizon") == [H] * N
    venv.reset()
    for t in range(1, 3 * H + 1):
        _, _, dones, infos = venv.step(np.ones(N, int))
        assert dones.tolist() == [t % H == 0] * N
        for info in infos:
            assert ("episode" in info) == (t % H == 0)


@pytest.mark.parametrize("vec_env", [DummyVecEnv, SubprocVecEnv])
def test_the_end_is_no_time_limit_and_shows_the_true_last_observation(vec_env):
    """SB3 bootstraps beyond TimeLimit.truncated; time is in the observation, so nothing may be."""
    env = full()
    layout = env.layout
    start = {} if vec_env is DummyVecEnv else {"start_method": "fork"}
    venv = vec_env([full] * N, **start)
    venv.seed(SEED)
    first = venv.reset()
    np.testing.assert_array_equal(first[1], env.reset(seed=SEED + 1)[0])
    for t in range(H):
        shown, _, dones, infos = venv.step(np.ones(N, int))
        mine = env.step(1)[0]
        assert dones.tolist() == [t == H - 1] * N
        assert not any(info["TimeLimit.truncated"] for info in infos)
    np.testing.assert_array_equal(infos[1]["terminal_observation"], mine)
    assert mine[layout["meta_time"]] == 1
    np.testing.assert_array_equal(shown[1], env.reset()[0])
    venv.close()


def test_dict_observations_are_stacked_by_part():
    def build():
        return vamdp.MetaEpisode(values(inner()), H, flatten=False)

    venv = VecNormalize(DummyVecEnv([build] * N), norm_obs_keys=["value"])
    venv.seed(SEED)
    flat = full()
    shown, expected = venv.reset(), flat.reset(seed=SEED)[0]
    for t in range(H):
        for name, part in flat.layout.items():
            if name != "value":  # normalised
                np.testing.assert_array_equal(shown[name][0], expected[part])
        if t < H - 1:
            shown, expected = venv.step(np.ones(N, int))[0], flat.step(1)[0]


def vector_meta(single, outer):
    envs = gymnasium.vector.SyncVectorEnv([single] * N, autoreset_mode="SameStep")
    return vamdp.vector.MetaEpisode(vamdp.vector.ValueAugment(outer(envs), task_horizon=10), H)


@pytest.mark.parametrize("outside", ["nothing", "VecMonitor", "recorder", "both"])
@pytest.mark.parametrize("inside", ["nothing", "Monitor", "recorder", "batched recorder"])
def test_evaluate_policy_counts_meta_episodes_of_a_batch(inside, outside):
    recorder = {"Monitor": Monitor, "recorder": RecordEpisodeStatistics}.get(inside, lambda e: e)
    batched = VectorStatistics if inside == "batched recorder" else lambda envs: envs
    envs = vector_meta(lambda: recorder(inner()), batched)
    venv = GymnasiumVecEnv(VectorStatistics(envs) if outside in ("recorder", "both") else envs)
    if outside in ("VecMonitor", "both"):
        venv = VecMonitor(venv)
    venv.seed(SEED)
    assert_evaluates_exactly(venv, warn=False)


@pytest.mark.parametrize("order", ["Monitor inside", "Monitor between", "Monitor outside"])
def test_a_stock_algorithm_logs_meta_episodes(order):
    env, wrapper = ORDERS[order]
    venv = make_vec_env(env, N, seed=SEED, wrapper_class=wrapper)
    model = PPO("MlpPolicy", venv, n_steps=2 * H, batch_size=2 * H, n_epochs=1, device="cpu")
    model.learn(2 * H * N)
    assert [episode["l"] for episode in model.ep_info_buffer] == [H] * 4
    rewards = model.rollout_buffer.rewards
    returns = [rewards[:H, 0], rewards[:H, 1], rewards[H:, 0], rewards[H:, 1]]
    assert [episode["r"] for episode in model.ep_info_buffer] == pytest.approx(
        [part.sum() for part in returns], rel=1e-4
    )
    assert model.rollout_buffer.episode_starts[:, 0].tolist() == [t % H == 0 for t in range(2 * H)]


@pytest.mark.parametrize("kind", ["Dummy", "Subproc", "batch"])
def test_tasks_are_reached_through_a_vec_env(kind):
    """As meta-RL code bases do: sample tasks, set one in each environment, reset."""
    if kind == "batch":
        envs = vamdp.TaskVectorEnv(RandomMDPs(), N, max_episode_steps=5)
        envs = vamdp.vector.MetaEpisode(vamdp.vector.ValueAugment(envs, task_horizon=10), H)
        venv = GymnasiumVecEnv(envs)
    else:
        venv = DummyVecEnv([full] * N) if kind == "Dummy" else SubprocVecEnv([full] * N, "fork")
    venv.seed(SEED)
    venv.reset()
    for _ in range(3):
        venv.step(np.ones(N, int))
    task = venv.env_method("sample_tasks", N)[0][1]
    before = venv.env_method("get_task")
    venv.env_method("set_task", [task] * N if kind == "batch" else task)
    shown = venv.reset()
    for present in venv.env_method("get_task"):
        for one in present if kind == "batch" else [present]:
            np.testing.assert_array_equal(one.reward, task.reward)
    assert not shown[:, full().layout["count"]].any()
    for _ in range(H):
        venv.step(np.ones(N, int))  # the end of a meta-episode draws the next tasks
    drawn = venv.env_method("get_task")
    for old, new in zip(before, drawn, strict=True):
        old, new = (old[0], new[0]) if kind == "batch" else (old, new)
        assert not np.array_equal(new.reward, old.reward)
        assert not np.array_equal(new.reward, task.reward)
    venv.env_method("reset_task")
    venv.close()
