"""Other wrappers between, inside and outside of ours, and environments of unusual habits."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import (
    FlattenObservation,
    NormalizeObservation,
    RecordEpisodeStatistics,
    TimeAwareObservation,
    TimeLimit,
)

import vamdp
from vamdp.domains import Bandits, RandomMDPs


def values(**options):
    return vamdp.ValueAugment(TimeLimit(vamdp.TaskEnv(RandomMDPs()), 5), task_horizon=10, **options)


def test_a_meta_episode_goes_outermost(tools):
    meta = vamdp.MetaEpisode(values(), 20)
    batch = vamdp.vector.MetaEpisode(vamdp.TaskVectorEnv(Bandits(), 2), 20)
    loop = tools.same_step(lambda: vamdp.MetaEpisode(values(), 20), 2)
    for env, package in (
        (meta, vamdp),
        (TimeLimit(meta, 4), vamdp),
        (batch, vamdp.vector),
        (loop, vamdp.vector),
    ):
        with pytest.raises(ValueError, match=r"`env` must have no MetaEpisode inside"):
            package.ValueAugment(env, task_horizon=5, state_key=tuple)
        with pytest.raises(ValueError, match=r"MetaEpisode\(ValueAugment\("):
            package.MetaEpisode(env, 40)


def test_values_are_no_states_of_a_second_learner():
    one = vamdp.ValueAugment(gymnasium.make("CartPole-v1"), task_horizon=5)
    envs = vamdp.vector.ValueAugment(vamdp.TaskVectorEnv(Bandits(), 2), task_horizon=5)
    for package, env in ((vamdp, one), (vamdp.vector, envs)):
        for learner in ("q-learning", "kernel"):
            with pytest.raises(ValueError, match=r"`env` must have no ValueAugment inside, got"):
                package.ValueAugment(env, task_horizon=5, estimator=learner)
    assert vamdp.ValueAugment(one, task_horizon=5, state_key=lambda o: int(o[0] > 0))


def test_a_time_limit_outside_cuts_meta_episodes(tools):
    env, twin = TimeLimit(vamdp.MetaEpisode(values(), 20), 8), vamdp.MetaEpisode(values(), 20)
    for each in (env, twin):
        each.reset(seed=0)
    for t in range(8):
        ours, theirs = env.step(t % 5), twin.step(t % 5)
        np.testing.assert_array_equal(ours[0], theirs[0])
    assert ours[2:4] == (False, True)
    before = env.unwrapped.task
    env.reset()
    assert env.unwrapped.task is not before


def test_a_time_limit_between_is_that_of_episodes():
    outside = TimeLimit(vamdp.ValueAugment(vamdp.TaskEnv(RandomMDPs()), task_horizon=10), 5)
    env, twin = vamdp.MetaEpisode(outside, 20), vamdp.MetaEpisode(values(), 20)
    for each in (env, twin):
        each.reset(seed=0)
    for t in range(20):
        np.testing.assert_equal(env.step(t % 5), twin.step(t % 5))


def test_a_scaling_wrapper_between_keeps_the_parts():
    env = vamdp.MetaEpisode(NormalizeObservation(values()), 9)
    assert list(env.layout)[:4] == ["state", "advantage", "value", "count"]
    assert env.task_horizon == 10
    assert np.isneginf(env.observation_space.low[env.layout["count"]]).all()
    shown = env.reset(seed=0)[0]
    assert env.observation_space.contains(shown)


def test_parts_that_a_wrapper_reordered_are_one_part(tools):
    """FlattenObservation puts a Dict's parts in the alphabet's order."""
    env = vamdp.MetaEpisode(FlattenObservation(values(flatten=False)), 9)
    assert list(env.layout)[:2] == ["state", "previous_action"]
    assert env.layout["state"] == slice(0, 21)
    env = vamdp.MetaEpisode(TimeAwareObservation(values()), 9)
    assert list(env.layout)[:2] == ["state", "previous_action"]
    assert env.observation_space.contains(env.reset(seed=0)[0])


def test_flattening_outside_loses_nothing():
    env = FlattenObservation(vamdp.MetaEpisode(values(flatten=False), 9, flatten=False))
    flat = vamdp.MetaEpisode(values(), 9)
    ours, theirs = env.reset(seed=0)[0], flat.reset(seed=0)[0]
    assert ours.shape == theirs.shape
    assert sorted(ours) == sorted(theirs)


def test_a_layout_of_another_meaning_is_passed_over(tools):
    for layout in (["####", "#..#"], np.zeros((2, 2)), {"walls": (1, 2)}, "map", {}):
        script = tools.Script([(1, 0.0, False, False, {})])
        script.layout = layout
        env = vamdp.MetaEpisode(script, 3)
        assert env.layout["state"] == slice(0, 5)
        assert env.reset()[0].shape == (11,)


def test_an_attribute_env_that_is_no_environment_is_passed_over(tools):
    script = tools.Script([(1, 0.0, False, False, {})])
    script.env = script  # walked into, this would never end
    env = vamdp.MetaEpisode(vamdp.ValueAugment(script, task_horizon=4), 3)
    assert env.task_horizon == 4
    with pytest.raises(AttributeError):
        env.get_task()


def test_a_foreign_task_horizon_that_is_no_number_of_steps_is_refused(tools):
    script = tools.Script([])
    script.task_horizon = None
    with pytest.raises(ValueError, match=r"`env.task_horizon` must be an integer.*got None"):
        vamdp.MetaEpisode(script, 3)


def test_a_state_key_of_an_environment_is_not_used_on_transformed_observations(tools):
    def grid():
        script = tools.Script([], np.zeros(2), spaces.Box(0, 1, (2,), np.float64))
        script.state_key = lambda observation: tuple((observation * 4).astype(int))
        return script

    vamdp.ValueAugment(grid(), task_horizon=3)
    vamdp.ValueAugment(RecordEpisodeStatistics(grid()), task_horizon=3)
    vamdp.vector.ValueAugment(tools.same_step(grid, 2), task_horizon=3)
    for transformed in (
        NormalizeObservation(grid()),
        TimeAwareObservation(TimeLimit(grid(), 3)),
    ):
        with pytest.raises(ValueError, match=r"`state_key` must be given, since the one of"):
            vamdp.ValueAugment(transformed, task_horizon=3)


def test_values_of_values_keep_both(tools):
    """Strange but legal: the outer learner sees the inner observation as its state."""
    inner = values()
    env = vamdp.ValueAugment(
        inner, task_horizon=10, state_key=lambda observation: int(observation[:10].argmax())
    )
    shown = env.reset(seed=0)[0]
    for t in range(5):
        shown = env.step(t)[0]
        for name in ("advantage", "value", "count"):
            np.testing.assert_array_equal(shown[env.layout[name]], shown[inner.layout[name]])
    env.reset(seed=1)
    assert inner.estimator.n_states == env.estimator.n_states == 0


@pytest.mark.parametrize("number", [np.int64, np.uint8, np.array])
@pytest.mark.parametrize("flag", [np.bool_, int, np.array])
@pytest.mark.parametrize("real", [np.float32, np.float64, int, np.array])
def test_numpys_numbers_are_numbers(tools, number, flag, real):
    """Environments give 0-d arrays, NumPy's integers and bools."""

    def steps(number, flag, real):
        return [(number(i % 3), real(i), flag(i % 3 == 2), flag(i % 5 == 4), {}) for i in range(15)]

    def build(steps, start):
        script = tools.Script(steps, start)
        return vamdp.MetaEpisode(vamdp.ValueAugment(script, task_horizon=2), 7)

    ours = tools.play(build(steps(number, flag, real), number(1)), 0, 20)
    theirs = tools.play(build(steps(int, bool, float), 1), 0, 20)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        assert one[1:4] == other[1:4]
        assert all(type(a) is type(b) for a, b in zip(one[1:4], other[1:4], strict=True))


def test_an_info_that_the_environment_reuses_is_not_changed_afterwards():
    class Reuses(vamdp.TaskEnv):
        def step(self, action):
            observation, reward, terminated, truncated, _ = super().step(action)
            self.info["n"] = self.info.get("n", 0) + 1
            return observation, reward, terminated, truncated, self.info

        info: dict = {}  # noqa: RUF012

    env = vamdp.MetaEpisode(Reuses(Bandits()), 5)
    env.reset(seed=0)
    infos = [env.step(0)[4] for _ in range(5)]
    assert [info["last_info"]["n"] for info in infos[:-1]] == [1, 2, 3, 4]
    assert Reuses.info == {"n": 5}


def test_batched_infos_are_not_written_into_the_environments_own(tools):
    class Reuses(vamdp.TaskVectorEnv):
        def step(self, actions):
            *result, infos = super().step(actions)
            infos["note"] = np.arange(self.num_envs)
            self.kept = infos
            self.names = set(infos)
            return *result, infos

    inner = Reuses(Bandits(), 2)
    env = vamdp.vector.MetaEpisode(vamdp.vector.ValueAugment(inner, task_horizon=1), 3)
    env.reset(seed=0)
    for _ in range(3):
        env.step(np.zeros(2, int))
        assert set(inner.kept) == inner.names
        assert inner.kept["final_obs"].dtype == np.int64


@pytest.mark.parametrize("seed", [np.int64(3), np.uint8(3)])
def test_numpys_integers_seed_a_batch(tools, seed):
    for inner in (
        vamdp.TaskVectorEnv(Bandits(), 2),
        tools.same_step(lambda: vamdp.TaskEnv(Bandits()), 2),
    ):
        env = vamdp.vector.MetaEpisode(vamdp.vector.ValueAugment(inner, task_horizon=1), 3)
        env.reset(seed=seed)
        single = vamdp.TaskEnv(Bandits())
        single.reset(seed=4)
        np.testing.assert_array_equal(env.get_task()[1].reward, single.task.reward)


def test_a_huge_horizon_costs_nothing_and_loses_no_precision_of_the_clock():
    env = vamdp.MetaEpisode(values(), 10**12)
    env.reset(seed=0)
    for _ in range(3):
        shown = env.step(0)[0]
    assert shown[env.layout["meta_time"]] == np.float32(3e-12)


def test_a_loop_without_copies_is_safe_inside(tools):
    """SyncVectorEnv(copy=False) writes every observation into one array."""

    def build(copy):
        inner = gymnasium.vector.SyncVectorEnv(
            [lambda: TimeLimit(vamdp.TaskEnv(RandomMDPs()), 4)] * 2,
            copy=copy,
            autoreset_mode="SameStep",
        )
        return vamdp.vector.MetaEpisode(vamdp.vector.ValueAugment(inner, task_horizon=10), 9)

    ours, theirs = build(False), build(True)
    for env in (ours, theirs):
        env.reset(seed=0)
    kept, expected = [], []
    for t in range(20):
        for env, results in ((ours, kept), (theirs, expected)):
            results.append(env.step(np.array([t % 5, 1])))
    for one, other in zip(kept, expected, strict=True):
        np.testing.assert_equal(one[:4], other[:4])
