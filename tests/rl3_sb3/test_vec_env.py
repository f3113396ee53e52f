import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from gymnasium.wrappers import RecordEpisodeStatistics, TimeLimit
from gymnasium.wrappers.vector import RecordEpisodeStatistics as VectorStatistics
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from rl3_sb3 import GymnasiumVecEnv

SAME_STEP = AutoresetMode.SAME_STEP


def pieces(obs):
    return sorted(obs.items()) if isinstance(obs, dict) else [("", obs)]


def assert_same_obs(ours, theirs):
    for (_, a), (_, b) in zip(pieces(ours), pieces(theirs), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
@pytest.mark.parametrize("kwargs", [{"dict_obs": True}, {"truncates": True}, {"box_actions": True}])
def test_steps_as_sb3_own_vec_env_does(make_vec, make_env, mode, kwargs):
    lengths = [2, 3, 5]
    ours = make_vec(lengths, mode, **kwargs)
    theirs = DummyVecEnv([lambda n=n: make_env(n, **kwargs) for n in lengths])
    for env in (ours, theirs):
        env.seed(7)
    assert_same_obs(ours.reset(), theirs.reset())
    assert ours.reset_infos == theirs.reset_infos
    ours.action_space.seed(0)
    resets = [0, 0, 0]
    for _ in range(12):
        actions = np.stack([ours.action_space.sample() for _ in lengths])
        obs, rewards, dones, infos = ours.step(actions)
        obs_2, rewards_2, dones_2, infos_2 = theirs.step(actions)
        assert_same_obs(obs, obs_2)
        np.testing.assert_allclose(rewards, rewards_2)
        assert rewards.dtype == rewards_2.dtype
        assert dones.dtype == bool
        assert (dones == dones_2).all()
        for i in range(3):
            limit = infos[i].get("TimeLimit.truncated", False)
            assert limit == infos_2[i]["TimeLimit.truncated"]
            assert infos[i]["t"] == infos_2[i]["t"]
            assert {*infos[i], "TimeLimit.truncated"} == set(infos_2[i])
            resets[i] += dones[i]
            if dones[i]:
                last, last_2 = (x[i]["terminal_observation"] for x in (infos, infos_2))
                assert_same_obs(last, last_2)
                assert ours.reset_infos[i] == theirs.reset_infos[i] == {"start": 1 + resets[i]}


def test_next_step_autoreset_is_refused_with_the_argument_to_pass(make_env):
    with pytest.raises(ValueError, match=r"autoreset_mode=AutoresetMode\.SAME_STEP"):
        GymnasiumVecEnv(SyncVectorEnv([make_env]))


def test_a_single_environment_is_refused(make_env):
    with pytest.raises(TypeError, match="VectorEnv"):
        GymnasiumVecEnv(make_env())


class Batch(VectorEnv):
    """A batched environment without single ones, which reuses all its buffers."""

    metadata = {"autoreset_mode": SAME_STEP, "render_modes": []}  # noqa: RUF012
    horizon = 3

    def __init__(self, object_array=False):
        self.num_envs = 2
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.single_action_space = spaces.Discrete(2)
        self.obs = np.zeros((2, 1), np.float32)
        self.reward = np.zeros(2)
        self.ends = np.zeros(2, bool)
        self.object_array = object_array
        self.tasks = ["p", "q"]

    def reset(self, *, seed=None, options=None):
        self.t, self.seeds, self.options = 0, seed, options
        self.obs[:] = 100
        return self.obs, {"fresh": np.array([1, 2])}

    def step(self, actions):
        self.t += 1
        self.obs += 1
        self.reward += 1
        over = self.t == self.horizon
        self.ends[:] = over
        infos = {"episode_end": np.array([True, False]), "extra": np.array([5, 6])}
        infos["_extra"] = np.array([False, True])
        if over:
            final = self.obs.copy()
            if self.object_array:
                final = np.array([*final, None], dtype=object)[:2]
            self.obs[:] = 100
            self.t = 0
            infos |= {
                "final_obs": final,
                "_final_obs": self.ends.copy(),
                "_final_info": self.ends.copy(),
                "final_info": {
                    "episode": {"r": np.array([6.0, 7.0]), "l": np.array([3, 3])},
                    "_episode": np.array([True, True]),
                },
            }
        return self.obs, self.reward, self.ends, np.zeros(2, bool), infos

    def rename(self, suffix):
        self.tasks = [task + suffix for task in self.tasks]
        return len(self.tasks)


@pytest.mark.parametrize("object_array", [False, True])
def test_a_batched_environment_gives_final_observations_and_statistics(object_array):
    env = GymnasiumVecEnv(Batch(object_array))
    env.reset()
    for _ in range(3):
        obs, _, dones, infos = env.step(np.zeros(2, int))
    assert dones.all()
    assert obs.tolist() == [[100], [100]]
    assert [i["terminal_observation"].tolist() for i in infos] == [[103], [103]]
    assert [i["episode"] for i in infos] == [{"r": 6.0, "l": 3}, {"r": 7.0, "l": 3}]
    assert not any(i["TimeLimit.truncated"] for i in infos)


def test_everything_returned_is_a_copy():
    env = GymnasiumVecEnv(Batch())
    first = env.reset()
    second, reward, dones, _ = env.step(np.zeros(2, int))
    assert first[0] == 100
    for _ in range(2):
        env.step(np.zeros(2, int))
    assert second[0] == 101
    assert reward.tolist() == [1, 1]
    assert not dones.any()


def test_infos_of_a_step_are_split_by_their_masks():
    env = GymnasiumVecEnv(Batch())
    env.reset()
    *_, infos = env.step(np.zeros(2, int))
    assert infos == [{"episode_end": True}, {"episode_end": False, "extra": 6}]


@pytest.mark.parametrize("value", [3, "ab", [1, 2, 3], np.array(1.0), {"a": 3}])
@pytest.mark.parametrize("when", ["reset", "step", "end"])
def test_infos_that_are_not_one_value_per_environment_are_named(value, when):
    class Sloppy(Batch):
        def reset(self, **kwargs):
            observations, infos = super().reset(**kwargs)
            return observations, infos | ({"sloppy": value} if when == "reset" else {})

        def step(self, actions):
            *rest, infos = super().step(actions)
            if when == "step":
                infos["sloppy"] = value
            elif when == "end" and "final_info" in infos:
                infos["final_info"] = {**infos["final_info"], "sloppy": value}
            return *rest, infos

    env = GymnasiumVecEnv(Sloppy())
    with pytest.raises(ValueError, match=r"one value for each of 2 environments, got sloppy"):
        env.reset()
        for _ in range(3):
            env.step(np.zeros(2, int))


def test_info_keys_choose_what_is_split_and_final_infos_come_anyway():
    env = GymnasiumVecEnv(Batch(), info_keys=())
    env.reset()
    *_, infos = env.step(np.zeros(2, int))
    assert infos == [{}, {}]
    for _ in range(2):
        *_, infos = env.step(np.zeros(2, int))
    assert infos[0]["episode"] == {"r": 6.0, "l": 3}


def test_a_reset_by_mask_leaves_the_terminal_observation_alone():
    class Disabled(Batch):
        metadata = {"autoreset_mode": AutoresetMode.DISABLED}  # noqa: RUF012

        def step(self, actions):
            self.t += 1
            self.obs += 1
            self.ends[:] = self.t == self.horizon
            return self.obs, self.reward, self.ends, np.zeros(2, bool), {"t": np.full(2, self.t)}

    env = GymnasiumVecEnv(Disabled())
    env.reset()
    for _ in range(3):
        obs, _, dones, infos = env.step(np.zeros(2, int))
    assert dones.all()
    assert obs.tolist() == [[100], [100]]
    assert [i["terminal_observation"].tolist() for i in infos] == [[103], [103]]
    assert [i["t"] for i in infos] == [3, 3]
    assert env.reset_infos == [{"fresh": 1}, {"fresh": 2}]


@pytest.mark.parametrize("forget", ["all", "one"])
def test_missing_final_observations_are_refused(forget):
    class Forgetful(Batch):
        def step(self, actions):
            *rest, infos = super().step(actions)
            if "final_obs" in infos:
                infos["_final_obs"][1] = False
                if forget == "all":
                    del infos["final_obs"]
            return *rest, infos

    env = GymnasiumVecEnv(Forgetful())
    env.reset()
    env.step(np.zeros(2, int))
    env.step(np.zeros(2, int))
    with pytest.raises(ValueError, match='infos\\["final_obs"\\]'):
        env.step(np.zeros(2, int))


def test_an_attribute_of_the_batch_is_every_environments():
    env = GymnasiumVecEnv(Batch())
    assert env.get_attr("horizon") == [3, 3]
    assert env.get_attr("tasks", indices=1) == [["p", "q"]]
    assert env.has_attr("horizon")
    assert not env.has_attr("nonsense")
    assert env.get_attr("action_space") == [spaces.Discrete(2)] * 2


def test_a_wrapper_around_the_batch_is_asked_first():
    class Wrapper(VectorWrapper):
        horizon = 9

    env = GymnasiumVecEnv(Wrapper(Batch()))
    assert env.get_attr("horizon") == [9, 9]
    assert env.get_attr("tasks")[0] == ["p", "q"]
    assert env.env_is_wrapped(Wrapper) == [True, True]


def test_a_method_of_the_batch_runs_once():
    env = GymnasiumVecEnv(Batch())
    assert env.env_method("rename", "!") == [2, 2]
    assert env.get_attr("tasks")[0] == ["p!", "q!"]
    with pytest.raises(ValueError, match="`indices` must be None for `rename`"):
        env.env_method("rename", "?", indices=[0])
    assert env.get_attr("tasks")[0] == ["p!", "q!"]


def test_attributes_and_methods_of_single_environments(make_vec):
    env = make_vec([2, 3, 4])
    assert env.get_attr("length") == [2, 3, 4]
    assert env.get_attr("length", indices=[2, 0]) == [4, 2]
    assert env.env_method("double", 5) == [20, 30, 40]
    assert env.env_method("double", 5, indices=1) == [30]
    env.set_attr("length", 7, indices=[1])
    assert env.get_attr("length") == [2, 7, 4]
    assert not env.has_attr("horizon")
    with pytest.raises(AttributeError, match="nonsense"):
        env.get_attr("nonsense")


def test_asking_worker_processes_for_a_missing_attribute_leaves_them_alive(make_env):
    env = GymnasiumVecEnv(AsyncVectorEnv([make_env] * 2, autoreset_mode=SAME_STEP))
    try:
        assert not env.has_attr("horizon")
        assert env.get_attr("length") == [6, 6]
        assert env.env_method("double", 1) == [12, 12]
        assert env.reset().shape == (2, 4)
    finally:
        env.close()


def test_seeds_and_options_are_used_at_the_next_reset_only(make_vec):
    env = make_vec([2, 3])
    env.seed(5)
    env.set_options({"task": "x"})
    first = env.reset()
    assert env.get_attr("options") == [{"task": "x"}] * 2
    second = env.reset()
    assert env.get_attr("options") == [None, None]
    env.seed(5)
    assert_same_obs(env.reset(), first)
    assert not np.array_equal(first, second)


def test_a_batch_gets_one_seed_per_environment():
    env = GymnasiumVecEnv(Batch())
    env.seed(5)
    env.reset()
    assert env.get_attr("seeds")[0] == [5, 6]


def test_different_options_per_environment_are_refused(make_vec):
    env = make_vec([2, 3])
    env.set_options([{"task": 1}, {"task": 2}])
    with pytest.raises(ValueError, match="`options` must be the same"):
        env.reset()


@pytest.mark.parametrize("where", ["single", "vector", "monitor"])
def test_episode_statistics_of_any_wrapper_arrive(make_env, where):
    wrap = {"single": RecordEpisodeStatistics, "monitor": Monitor}.get(where, lambda env: env)
    inner = SyncVectorEnv([lambda n=n: wrap(make_env(n)) for n in (2, 3)], autoreset_mode=SAME_STEP)
    env = GymnasiumVecEnv(VectorStatistics(inner) if where == "vector" else inner)
    assert env.env_is_wrapped(Monitor) == [where == "monitor"] * 2
    env.reset()
    lengths = {0: [], 1: []}
    for _ in range(6):
        *_, infos = env.step(np.zeros(2, int))
        for i in range(2):
            if "episode" in infos[i]:
                lengths[i].append(int(infos[i]["episode"]["l"]))
    assert lengths == {0: [2, 2, 2], 1: [3, 3]}


def test_a_time_limit_is_told_from_a_termination(make_env):
    fns = [lambda: TimeLimit(make_env(9), 3), lambda: TimeLimit(make_env(3), 3)]
    env = GymnasiumVecEnv(SyncVectorEnv(fns, autoreset_mode=SAME_STEP))
    env.reset()
    for _ in range(3):
        _, _, dones, infos = env.step(np.zeros(2, int))
    assert dones.all()
    assert [i["TimeLimit.truncated"] for i in infos] == [True, False]


def test_videos_run_at_the_environments_speed():
    envs = gymnasium.make_vec(
        "FrozenLake-v1",
        num_envs=2,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        render_mode="rgb_array",
    )
    assert GymnasiumVecEnv(envs).metadata["render_fps"] == envs.metadata["render_fps"] == 4
    silent = gymnasium.make_vec(
        "CartPole-v1",
        num_envs=1,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
    )
    assert GymnasiumVecEnv(silent).metadata["render_fps"] == 50
