import re

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit

import vamdp
from vamdp import SampledEnv, SampledVectorEnv
from vamdp.domains import CartPoles, HalfCircles

N = 4
MASK = np.array([True, False, True, False])


def frozen_lakes(rng):
    """4x4 slippery lakes with one hole, whose infos hold a probability."""
    tiles = list("SFFFFFFFFFFFFFFG")
    tiles[rng.integers(1, 15)] = "H"
    return gymnasium.make("FrozenLake-v1", desc=["".join(tiles[i : i + 4]) for i in (0, 4, 8, 12)])


CASES = [
    pytest.param(CartPoles(), 12, 2, id="cart-poles"),
    pytest.param(HalfCircles(noise=0.05), 7, 9, id="half-circles"),
    pytest.param(frozen_lakes, None, 4, id="lakes"),
]


def loop_of(distribution, limit):
    def one():
        env = SampledEnv(distribution)
        return env if limit is None else TimeLimit(env, limit)

    return SyncVectorEnv([one] * N, autoreset_mode=AutoresetMode.SAME_STEP)


def cart_poles(n=N, limit=30):
    return SampledVectorEnv(CartPoles(), n, max_episode_steps=limit)


def physics(envs):
    return [(env.length, env.gravity, env.force_mag) for env in envs.tasks]


def plain(tree):
    """The same without arrays of objects, which NumPy cannot compare."""
    if isinstance(tree, dict):
        return {name: plain(value) for name, value in tree.items()}
    if isinstance(tree, tuple | list):
        return [plain(value) for value in tree]
    return list(tree) if isinstance(tree, np.ndarray) and tree.dtype == object else tree


def assert_same(ours, theirs):
    np.testing.assert_equal(plain(ours), plain(theirs))


@pytest.mark.parametrize(("distribution", "limit", "n_actions"), CASES)
def test_a_batch_equals_the_loop_over_single_environments(distribution, limit, n_actions):
    batch = SampledVectorEnv(distribution, N, max_episode_steps=limit)
    loop = loop_of(distribution, limit)
    actions = np.random.default_rng(0).integers(0, n_actions, (40, N))
    n_ended = 0
    for seed, options in [
        (7, None),
        (None, {"new_task": True}),
        (None, None),
        ([3, None, 4, None], None),
        (None, {"reset_mask": MASK}),
        ([None, None, 9, None], {"reset_mask": MASK, "new_task": True}),
        (np.int64(2), None),
    ]:
        seeds = int(seed) if isinstance(seed, np.integer) else seed
        assert_same(
            batch.reset(seed=seed, options=options and dict(options)),
            loop.reset(seed=seeds, options=options and dict(options)),
        )
        for row in actions:
            ours, theirs = batch.step(row), loop.step(row)
            assert_same(ours, theirs)
            n_ended += (ours[2] | ours[3]).sum()
    assert n_ended > 20


def test_given_tasks_are_set_as_in_the_single_environments():
    batch, single = cart_poles(3), SampledEnv(CartPoles())
    tasks = (
        CartPoles()(np.random.default_rng(1)),
        *(CartPoles()(np.random.default_rng(k)) for k in (2, 3)),
    )
    started, _ = batch.reset(seed=5, options={"task": tasks, "new_task": True})
    assert all(ours is given for ours, given in zip(batch.get_task(), tasks, strict=True))
    twin = CartPoles()(np.random.default_rng(2))
    assert_same(started[1], single.reset(seed=6, options={"task": twin})[0])
    assert batch.task_seeds[1] == single.task_seed


def test_environment_i_has_the_seed_s_plus_i():
    batch, single = cart_poles(3), SampledEnv(CartPoles())
    batch.reset(seed=4)
    single.reset(seed=6)
    assert physics(batch)[2] == (single.task.length, single.task.gravity, single.task.force_mag)
    assert batch.np_random_seed == (4, 5, 6)
    assert batch.task_seeds[2] == single.task_seed
    batch.reset_task()
    single.reset_task()
    assert physics(batch)[2] == (single.task.length, single.task.gravity, single.task.force_mag)


def test_tasks_and_their_first_states_do_not_depend_on_the_steps_before():
    def second(n_steps, action):
        envs = cart_poles()
        envs.reset(seed=3)
        for _ in range(n_steps):
            envs.step(np.full(N, action))
        return envs.reset(options={"new_task": True})[0].tolist(), physics(envs)

    assert second(0, 0) == second(25, 1) == second(60, 0)


def test_the_tasks_streams_are_the_batchs_and_nothing_but_tasks_moves_them():
    envs = cart_poles()
    envs.reset(seed=0)
    before = [generator.bit_generator.state for generator in envs.np_random]
    for _ in range(50):
        envs.step(np.zeros(N, int))
    envs.reset()
    assert [generator.bit_generator.state for generator in envs.np_random] == before
    envs.sample_tasks(2)
    moved = [g.bit_generator.state != b for g, b in zip(envs.np_random, before, strict=True)]
    assert moved == [True, True, False, False]


def test_a_mask_leaves_the_others_tasks_and_clocks():
    envs = cart_poles(2, limit=4)
    envs.reset(seed=0)
    envs.step(np.zeros(2, int))
    kept = envs.tasks[1]
    options = {"reset_mask": np.array([True, False])}
    envs.reset(seed=9, options=options)
    assert set(options) == {"reset_mask"}
    assert envs.tasks[1] is kept
    ends = [envs.step(np.array([k % 2, k % 2]))[3].tolist() for k in range(4)]
    assert ends == [[False, False], [False, False], [False, True], [True, False]]


@pytest.mark.parametrize("by", ["reset_task", "set_task"])
def test_changing_the_tasks_ends_the_episodes(by):
    envs = cart_poles(2)
    envs.reset(seed=0)
    tasks = envs.sample_tasks(2)
    getattr(envs, by)(tasks)
    with pytest.raises(ResetNeeded, match="No episode is running"):
        envs.step(np.zeros(2, int))
    with pytest.raises(ResetNeeded, match="Environment 1 must be reset too"):
        envs.reset(options={"reset_mask": np.array([True, False])})
    envs.reset()
    envs.step(np.zeros(2, int))
    assert envs.tasks[0] is tasks[0]


def test_what_does_not_fit_is_refused_before_anything_changes():
    envs = cart_poles(2)
    envs.reset(seed=0)
    (one, other), before = envs.sample_tasks(2), envs.tasks
    state = envs.np_random[0].bit_generator.state
    for tasks, error, message in [
        ([one], ValueError, "`task` must hold 2 tasks, got 1."),
        (one, TypeError, "`task` must be a sequence of 2 tasks, got CartPoleEnv."),
        ([one, 3], TypeError, "`task[1]` must be a gymnasium.Env, got int."),
        ([one, HalfCircles()(np.random.default_rng(0))], ValueError, "`task[1].observation_space`"),
        ([other, other], ValueError, "`task` must hold 2 different environments, got number 0"),
    ]:
        with pytest.raises(error, match=re.escape(message)):
            envs.reset(seed=1, options={"task": tasks})
        with pytest.raises(error, match=re.escape(message)):
            envs.set_task(tasks)
    assert envs.tasks == before
    assert envs.np_random[0].bit_generator.state == state
    envs.step(np.zeros(2, int))
    for arguments in ({"num_envs": 0}, {"max_episode_steps": 0}, {"max_episode_steps": 2.5}):
        with pytest.raises(ValueError, match="must be"):
            SampledVectorEnv(CartPoles(), **arguments)


def test_a_distribution_that_returns_one_environment_again_and_again_is_refused():
    only = HalfCircles()(np.random.default_rng(0))
    envs = SampledVectorEnv(lambda rng: only, 2)
    with pytest.raises(RuntimeError, match="must return a new environment at every call, got"):
        envs.reset()
    with pytest.raises(RuntimeError, match="must return a new environment at every call"):
        envs.reset_task()
    SampledVectorEnv(lambda rng: only, 1).reset()


def test_nothing_goes_on_after_a_distribution_drew_one_environment_twice():
    """Tasks had changed by then: no episode runs, and what was learned of the old ones is gone."""
    circles = HalfCircles()
    pool = [circles(np.random.default_rng(i)) for i in range(3)]
    picks = iter([0, 0, 0, 1])  # the first two are looked at on construction
    envs = SampledVectorEnv(lambda rng: pool[next(picks)], 2, max_episode_steps=9)
    wrapped = vamdp.vector.ValueAugment(envs, task_horizon=9)
    wrapped.reset()
    wrapped.step(np.array([1, 2]))
    picks = iter([1, 1, 0, 2])
    with pytest.raises(RuntimeError, match="must return a new environment"):
        wrapped.reset(options={"new_task": True})
    for each in (wrapped, envs):
        with pytest.raises(ResetNeeded):
            each.step(np.array([1, 2]))
    wrapped.reset(options={"new_task": True})
    assert (wrapped.estimator.n_states == 0).all()


def test_a_task_that_another_row_keeps_is_refused_before_anything_changes():
    envs = cart_poles(2)
    envs.reset(seed=0)
    before = envs.tasks
    swapped = {"task": before[::-1], "reset_mask": np.array([True, False])}
    with pytest.raises(ValueError, match="`task` must hold 2 different environments"):
        envs.reset(options=swapped)
    assert envs.tasks == before
    envs.step(np.zeros(2, int))
    envs.reset(options={"task": before[::-1]})  # both at once are fine
    assert envs.tasks == before[::-1]


def test_seeds_of_any_integer_type_are_taken_and_negative_ones_refused_first():
    envs, other = cart_poles(2), cart_poles(2)
    shown = envs.reset(seed=np.array([5, 6]))[0]
    assert shown.tolist() == other.reset(seed=[5, 6])[0].tolist()
    tasks = envs.tasks
    with pytest.raises(ValueError, match=r"`seed\[1\]` must be at least 0, got -2"):
        envs.reset(seed=[1, -2])
    assert envs.tasks == tasks


def test_there_are_no_tasks_before_the_first_reset():
    envs = cart_poles(2)
    with pytest.raises(ResetNeeded, match="no task yet"):
        _ = envs.tasks
    with pytest.raises(ResetNeeded):
        envs.step(np.zeros(2, int))
    assert envs.task_seeds == [None, None]


def rounded(observation):
    """A state for a table: the robot's place on a grid of 0.1."""
    return tuple(int(v) for v in np.round(np.asarray(observation) * 10))


def augmented(env, wrappers):
    env = wrappers.ValueAugment(env, task_horizon=7, state_key=rounded, warm_start=False)
    return wrappers.MetaEpisode(env, 15)


def test_meta_episodes_with_values_equal_those_of_single_environments():
    batch = augmented(SampledVectorEnv(HalfCircles(), N, max_episode_steps=7), vamdp.vector)
    singles = [augmented(TimeLimit(SampledEnv(HalfCircles()), 7), vamdp) for _ in range(N)]
    batch.reset(seed=3)
    shown = [env.reset(seed=3 + i)[0] for i, env in enumerate(singles)]
    actions = np.random.default_rng(1).integers(0, 9, (45, N))
    for t, row in enumerate(actions, start=1):
        observations, rewards, terminated, _, _ = batch.step(row)
        assert terminated.all() == (t % 15 == 0)
        for i, env in enumerate(singles):
            shown[i], reward, _, _, _ = env.step(int(row[i]))
            if t % 15 == 0:
                shown[i], _ = env.reset()
            assert reward == rewards[i]
            assert_same(observations[i], shown[i])
    seen = np.array(shown)[:, batch.layout["count"]]
    assert seen.shape == (N, 9)


def test_values_are_forgotten_with_the_task_and_kept_through_restarts():
    envs = augmented(SampledVectorEnv(HalfCircles(), N, max_episode_steps=7), vamdp.vector)
    envs.reset(seed=0)
    for _ in range(14):
        observations, *_ = envs.step(np.ones(N, int))
    # Step 7 and 14 went back to the origin, where "east" was tried twice.
    np.testing.assert_allclose(observations[:, envs.layout["count"]][:, 1], 0.2)
    observations, *_ = envs.step(np.ones(N, int))
    assert not observations[:, envs.layout["count"]].any()


def test_stable_baselines_takes_it():
    pytest.importorskip("stable_baselines3")
    envs = vamdp.vector.MetaEpisode(cart_poles(limit=10), 25)
    adapted = pytest.importorskip("rl3_sb3").GymnasiumVecEnv(envs)
    adapted.seed(0)
    first = adapted.reset()
    for _ in range(25):
        observations, _, dones, infos = adapted.step(np.zeros(N, int))
    assert dones.all()
    assert all(info["terminal_observation"][-1] == 1.0 for info in infos)
    assert not np.array_equal(observations, first)
    assert adapted.get_attr("tasks")[0] == envs.unwrapped.tasks
