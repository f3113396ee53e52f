import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import RecordEpisodeStatistics, TimeLimit

import vamdp
from vamdp.domains import Bandits, RandomMDPs

N, H = 4, 23  # H is no multiple of the episodes' length: the last episode is cut

TASKS = [
    ("bandits", Bandits(), None),
    ("bandits out of distribution", Bandits(ood=True), None),
    ("random MDPs", RandomMDPs(), 10),
    ("ends in states of play", "blackjack_like", None),
    ("the same with a limit", "blackjack_like", 7),
]


def options_of(name):
    if name.startswith("bandits"):
        return {"task_horizon": 1, "reward_model": "state_action"}
    return {"task_horizon": 10, "value_scale": 10.0, "gamma": 0.95, "warm_start": True}


def task_env(tools, distribution, limit):
    distribution = getattr(tools, distribution) if isinstance(distribution, str) else distribution
    env = vamdp.TaskEnv(distribution)
    return env if limit is None else TimeLimit(env, limit)


def engine(tools, distribution, limit):
    distribution = getattr(tools, distribution) if isinstance(distribution, str) else distribution
    return vamdp.TaskVectorEnv(distribution, N, max_episode_steps=limit)


@pytest.mark.parametrize(("name", "distribution", "limit"), TASKS, ids=[t[0] for t in TASKS])
def test_meta_episodes_of_values_over_the_engine(tools, name, distribution, limit):
    batch = vamdp.vector.MetaEpisode(
        vamdp.vector.ValueAugment(engine(tools, distribution, limit), **options_of(name)), H,
        reward_scale=3.0,
    )  # fmt: skip

    def single():
        env = vamdp.ValueAugment(task_env(tools, distribution, limit), **options_of(name))
        return vamdp.MetaEpisode(env, H, reward_scale=3.0)

    tools.assert_batch_equals_singles(batch, single, N, (7, [3, 1, 3, None], None), 2 * H + 5)


@pytest.mark.parametrize(("name", "distribution", "limit"), TASKS, ids=[t[0] for t in TASKS])
def test_values_over_the_engine_and_over_a_loop(tools, name, distribution, limit):
    mask = {"reset_mask": np.array([True, False, False, True])}

    def single():
        return vamdp.ValueAugment(task_env(tools, distribution, limit), **options_of(name))

    for inner in (
        engine(tools, distribution, limit),
        tools.same_step(lambda: task_env(tools, distribution, limit), N),
    ):
        batch = vamdp.vector.ValueAugment(inner, **options_of(name))
        tools.assert_batch_equals_singles(
            batch, single, N, (5, None, [None, 9, None, 9]), 25,
            options=(None, {"new_task": True}, mask, {**mask, "new_task": True}),
        )  # fmt: skip


def test_given_tasks_are_learned_anew_in_each_environment(tools):
    batch = vamdp.vector.ValueAugment(engine(tools, "blackjack_like", None), task_horizon=5)
    batch.reset(seed=0)
    tasks = batch.sample_tasks(N)
    singles = [
        vamdp.ValueAugment(vamdp.TaskEnv(tools.blackjack_like), task_horizon=5) for _ in range(N)
    ]
    for i, single in enumerate(singles):
        single.reset(seed=i)
        single.sample_tasks(1)  # the batch drew from each environment's stream
    for _ in range(3):
        batch.step(np.ones(N, int))
    shown = batch.reset(options={"task": tasks})[0]
    for i, single in enumerate(singles):
        expected = single.reset(options={"task": tasks[i]})[0]
        np.testing.assert_array_equal(shown[i], expected)
    for _ in range(10):
        shown, _, terminated, _, infos = batch.step(np.ones(N, int))
        for i, single in enumerate(singles):
            expected, _, ended, _, _ = single.step(1)
            last = infos["final_obs"][i] if terminated[i] else shown[i]
            np.testing.assert_array_equal(last, expected)
            if ended:
                np.testing.assert_array_equal(shown[i], single.reset()[0])


def frozen_lake():
    return gymnasium.make("FrozenLake-v1")


def blackjack():
    return gymnasium.make("Blackjack-v1")


@pytest.mark.parametrize("make", [frozen_lake, blackjack])
@pytest.mark.parametrize("outer", [True, False], ids=["in meta-episodes", "alone"])
def test_a_loop_of_foreign_environments_inside(tools, make, outer):
    """Each reset begins with a seed: at step H the loop's autoreset draws once more."""
    key = {"state_key": tuple} if make is blackjack else {}

    def wrap(package, env):
        env = package.ValueAugment(env, task_horizon=5, **key)
        return package.MetaEpisode(env, H) if outer else env

    batch = wrap(vamdp.vector, tools.same_step(make, N))
    steps = H if outer else 40
    tools.assert_batch_equals_singles(
        batch, lambda: wrap(vamdp, make()), N, (3, 4, [8, 7, 6, 5]), steps - 1
    )
    # And step H itself, without what the next meta-episode begins with.
    loop = tools.same_step(lambda: wrap(vamdp, make()), N)
    for env in (batch, loop):
        env.reset(seed=3)
    for _ in range(steps):
        ours, theirs = (env.step(np.arange(N) % 2) for env in (batch, loop))
    np.testing.assert_array_equal(ours[1:4], theirs[1:4])
    if outer:
        np.testing.assert_array_equal(ours[4]["final_obs"], list(theirs[4]["final_obs"]))
        tools.assert_same_infos(ours[4]["final_info"], theirs[4]["final_info"])


@pytest.mark.parametrize("recorder", ["inside each", "around the loop"])
def test_statistics_of_meta_episodes(tools, recorder):
    def make():
        env = TimeLimit(vamdp.TaskEnv(RandomMDPs()), 10)
        return RecordEpisodeStatistics(env)

    if recorder == "inside each":
        inner = tools.same_step(make, N)
    else:
        inner = gymnasium.wrappers.vector.RecordEpisodeStatistics(
            vamdp.TaskVectorEnv(RandomMDPs(), N, max_episode_steps=10)
        )
    batch = vamdp.vector.MetaEpisode(vamdp.vector.ValueAugment(inner, task_horizon=10), H)

    def single():
        return vamdp.MetaEpisode(vamdp.ValueAugment(make(), task_horizon=10), H)

    tools.assert_batch_equals_singles(batch, single, N, (2,), 2 * H)


def test_task_horizon_is_found_inside_a_loop(tools):
    def make():
        return gymnasium.make("FrozenLake-v1", max_episode_steps=17)

    batch = vamdp.vector.MetaEpisode(tools.same_step(make, 2), 50)
    assert batch.task_horizon == vamdp.MetaEpisode(make(), 50).task_horizon == 17


def test_parts_of_single_wrappers_are_found_inside_a_loop(tools):
    inner = tools.same_step(lambda: vamdp.ValueAugment(frozen_lake(), task_horizon=9), 2)
    batch = vamdp.vector.MetaEpisode(inner, 50)
    assert list(batch.layout)[:4] == ["state", "advantage", "value", "count"]
    assert batch.task_horizon == 9


@pytest.mark.parametrize("sometimes", [False, True], ids=["masks always", "masks sometimes"])
def test_action_masks(tools, sometimes):
    """The masks of an episode's last step, of the next one's start, and none at all."""
    options = {"task_horizon": 8, "gamma": 0.9}

    def make():
        return TimeLimit(tools.Masked(sometimes), 6)

    batch = vamdp.vector.ValueAugment(tools.same_step(make, N), **options)
    mask = {"reset_mask": np.array([False, True, False, True])}
    tools.assert_batch_equals_singles(
        batch, lambda: vamdp.ValueAugment(make(), **options), N, (1, None, 2), 60, (None, mask)
    )


def test_taxi_masks(tools):
    def make():
        return gymnasium.make("Taxi-v4" if "Taxi-v4" in gymnasium.registry else "Taxi-v3",
                              max_episode_steps=9)  # fmt: skip

    batch = vamdp.vector.ValueAugment(tools.same_step(make, 2), task_horizon=9)
    tools.assert_batch_equals_singles(
        batch, lambda: vamdp.ValueAugment(make(), task_horizon=9), 2, (0, None), 60
    )


def test_values_over_processes_equal_those_over_a_loop():
    def make():
        return gymnasium.make("FrozenLake-v1")

    shown = []
    for kind in (SyncVectorEnv, AsyncVectorEnv):
        inner = kind([make] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
        env = vamdp.vector.MetaEpisode(
            vamdp.vector.ValueAugment(inner, task_horizon=10), 12, task_horizon=10
        )
        stream = [env.reset(seed=1)[0]]
        for t in range(30):
            stream.append(env.step(np.array([t % 4, (t + 1) % 4]))[0])
        shown.append(np.array(stream))
        env.close()
    np.testing.assert_array_equal(*shown)


def test_plain_environments_in_meta_episodes(tools):
    """Observations that are Box and Tuple, whose loop restarts without drawing."""
    space = gymnasium.spaces.Tuple(
        (gymnasium.spaces.Discrete(3, start=-1), gymnasium.spaces.Box(-1, 1, (2,)))
    )
    for observation_space, observations in (
        (space, [(i - 1, np.full(2, i / 4, np.float32)) for i in range(3)]),
        (gymnasium.spaces.Box(0, 9, (2, 2)), [np.full((2, 2), i, np.float32) for i in range(3)]),
        (gymnasium.spaces.MultiDiscrete([3, 4]), [np.array([i, 3 - i]) for i in range(3)]),
    ):
        steps = [(observations[i % 3], i * 0.5, i % 4 == 3, i % 6 == 5, {}) for i in range(12)]

        def make(steps=steps, start=observations[1], observation_space=observation_space):
            return tools.Script(steps, start, observation_space)

        batch = vamdp.vector.MetaEpisode(tools.same_step(make, 3), 7)
        tools.assert_batch_equals_singles(
            batch, lambda make=make: vamdp.MetaEpisode(make(), 7), 3, (0, 1), 24
        )


def test_spaces_that_start_anywhere(tools):
    steps = [(i % 3 - 2, i * 0.5, i % 4 == 3, i % 6 == 5, {}) for i in range(12)]

    def make():
        spaces = gymnasium.spaces.Discrete(3, start=-2), gymnasium.spaces.Discrete(2, start=5)
        return tools.Script(steps, -1, *spaces)

    def wrap(package, env):
        return package.MetaEpisode(package.ValueAugment(env, task_horizon=4), 7)

    batch = wrap(vamdp.vector, tools.same_step(make, 3))
    tools.assert_batch_equals_singles(batch, lambda: wrap(vamdp, make()), 3, (0, 1), 24)
    plain = vamdp.vector.MetaEpisode(tools.same_step(make, 3), 7)
    tools.assert_batch_equals_singles(plain, lambda: vamdp.MetaEpisode(make(), 7), 3, (0,), 24)


def test_dicts_hold_the_parts_of_the_vector(tools):
    def build(flatten):
        env = vamdp.TaskVectorEnv(tools.blackjack_like, N, max_episode_steps=5)
        env = vamdp.vector.ValueAugment(env, task_horizon=5, flatten=flatten)
        return vamdp.vector.MetaEpisode(env, H, flatten=flatten)

    flat, apart = build(True), build(False)

    def assert_equal(parts, vectors):
        assert set(parts) == set(flat.layout)
        for name, part in flat.layout.items():
            np.testing.assert_array_equal(parts[name], vectors[:, part])

    assert_equal(apart.reset(seed=1)[0], flat.reset(seed=1)[0])
    for t in range(2 * H):
        (vectors, *_, infos), (parts, *_, dict_infos) = (
            env.step(np.full(N, t % 2)) for env in (flat, apart)
        )
        assert apart.observation_space.contains(parts)
        assert_equal(parts, vectors)
        if "final_obs" in infos:
            assert_equal(dict_infos["final_obs"], infos["final_obs"])


@pytest.mark.parametrize(("inner", "outer"), [(False, True), (True, False)])
def test_either_form_fits_around_the_other(tools, inner, outer):
    def build(package, env):
        env = package.ValueAugment(env, task_horizon=5, flatten=inner)
        return package.MetaEpisode(env, 9, flatten=outer)

    batch = build(vamdp.vector, vamdp.TaskVectorEnv(tools.blackjack_like, 1))
    single = build(vamdp, vamdp.TaskEnv(tools.blackjack_like))
    ours, theirs = batch.reset(seed=4)[0], single.reset(seed=4)[0]
    for t in range(30):
        np.testing.assert_equal(
            {k: v[0] for k, v in ours.items()} if not outer else ours[0], theirs
        )
        (ours, *_), (theirs, _, ended, *_) = batch.step(np.array([t % 2])), single.step(t % 2)
        if ended:
            theirs = single.reset()[0]
