"""Environments whose tasks are set by methods of their own, and those without tasks."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import vamdp


class Arm(gymnasium.Env):
    """Pays its task and ends; `reset` takes no task from the options, as in most code bases."""

    observation_space, action_space = spaces.Discrete(1), spaces.Discrete(2)
    task = 1.0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.n_resets = getattr(self, "n_resets", 0) + 1
        self.options = options
        return 0, {}

    def step(self, action):
        return 0, self.task, True, False, {}


class Settable(Arm):
    def set_task(self, task):
        self.task = task


class Resettable(Arm):
    def reset_task(self, task=None):
        self.task = 5.0 if task is None else task


class Sampling(Settable):
    """Its tasks are 10, 11, 12, ..., which only `set_task` can set."""

    n_sampled = 0

    def sample_tasks(self, n):
        self.n_sampled += n
        return [9.0 + self.n_sampled - n + k + 1 for k in range(n)]


class Drawing(Arm):
    """`reset_task` draws 10, 11, 12, ...; so does `reset`, if `reads_options`."""

    n_drawn = 0

    def __init__(self, reads_options=False):
        self.reads_options = reads_options

    def reset_task(self, task=None):
        if task is None:
            task, self.n_drawn = 10.0 + self.n_drawn, self.n_drawn + 1
        self.task = task

    def reset(self, *, seed=None, options=None):
        if self.reads_options and (options or {}).get("new_task"):
            self.reset_task()
        return super().reset(seed=seed, options=options)


class Numbered(Drawing):
    """`reset_task` must be told which; only `reset` draws."""

    def reset_task(self, task):
        self.task = [10.0, 11.0, 12.0, 13.0][task]

    def reset(self, *, seed=None, options=None):
        if (options or {}).get("new_task"):
            self.reset_task(self.n_drawn)
            self.n_drawn += 1
        return Arm.reset(self, seed=seed, options=options)


def value(env):
    return vamdp.ValueAugment(env, task_horizon=1)


def meta(env):
    return vamdp.MetaEpisode(value(env), 6)


def plain_meta(env):
    return vamdp.MetaEpisode(env, 6)


WRAPPINGS = pytest.mark.parametrize("wrap", [value, meta, plain_meta])
KINDS = pytest.mark.parametrize("kind", [Settable, Resettable])


@WRAPPINGS
@KINDS
@pytest.mark.parametrize("by", ["set_task", "reset_task", "options"])
def test_a_task_is_set_by_whichever_method_there_is(wrap, kind, by):
    env = wrap(gymnasium.wrappers.TimeLimit(kind(), 3))
    env.reset(seed=0)
    assert env.step(0)[1] == 1.0
    if by == "options":
        env.reset(options={"task": 3.0, "own": 7})
        assert env.unwrapped.options["own"] == 7
    else:
        getattr(env, by)(3.0)
        env.reset()
    assert env.step(0)[1] == 3.0


@WRAPPINGS
@pytest.mark.parametrize("by", ["set_task", "reset_task", "options"])
def test_a_task_that_nobody_takes_is_refused_and_nothing_is_reset(wrap, by):
    env = wrap(Arm())
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"got 3.0: .* has no reset_task or set_task method"):
        env.reset(options={"task": 3.0}) if by == "options" else getattr(env, by)(3.0)
    assert env.unwrapped.n_resets == 1
    env.reset(options={"new_task": True})  # its only one, anew
    env.reset(options={"task": None})
    assert env.step(0)[1] == 1.0


@WRAPPINGS
@pytest.mark.parametrize("by", ["reset_task", "options"])
def test_tasks_that_can_only_be_sampled_and_set_are_drawn(wrap, by):
    env = wrap(gymnasium.wrappers.TimeLimit(Sampling(), 3))
    env.reset(seed=0)
    assert env.step(0)[1] == 1.0  # the one that it began with
    for n in range(3):
        if by == "options":
            env.reset(options={"new_task": True})
        else:
            env.reset_task()
            env.reset()
        assert env.step(0)[1] == 10.0 + n
    assert env.unwrapped.n_sampled == 3


@pytest.mark.parametrize("wrap", [meta, plain_meta])
def test_every_meta_episode_has_its_own_of_the_sampled_tasks(wrap):
    env = wrap(Sampling())
    for n in range(3):
        env.reset()
        assert [env.step(0)[1] for _ in range(6)] == [10.0 + n] * 6


DRAWING = pytest.mark.parametrize(
    "make", [Drawing, lambda: Drawing(reads_options=True), Numbered, Sampling]
)


@pytest.mark.parametrize("wrap", [meta, plain_meta])
@DRAWING
def test_every_meta_episode_draws_one_task_whether_or_not_reset_reads_the_options(wrap, make):
    env = wrap(gymnasium.wrappers.TimeLimit(make(), 3))
    for n in range(3):
        env.reset()
        assert [env.step(0)[1] for _ in range(6)] == [10.0 + n] * 6


@DRAWING
def test_a_batch_draws_one_task_each_whether_or_not_reset_reads_the_options(make):
    for envs in (batch(make), vamdp.vector.ValueAugment(batch(make), task_horizon=1)):
        envs = vamdp.vector.MetaEpisode(envs, 2)
        envs.reset()
        rewards = [envs.step(np.zeros(2, int))[1].tolist() for _ in range(6)]
        assert rewards == [[10.0 + n // 2] * 2 for n in range(6)]


def test_what_was_learned_goes_with_a_task_that_reset_task_draws():
    env = value(Drawing())
    env.reset(seed=0)
    env.step(0)
    env.reset(options={"new_task": True, "own": 7})
    assert env.unwrapped.options == {"own": 7}, "the task is drawn already"
    assert env.estimator.counts(0).sum() == 0
    assert env.step(0)[1] == 10.0
    with pytest.raises(ValueError, match=r"`options\['reset_mask'\]` must be left out with \"new"):
        vamdp.vector.ValueAugment(batch(Drawing), task_horizon=1).reset(
            options={"new_task": True, "reset_mask": np.array([True, False])}
        )


def test_what_was_learned_goes_with_a_task_that_options_set():
    env = value(Settable())
    env.reset(seed=0)
    env.step(0)
    assert env.estimator.counts(0).sum() == 1
    env.reset()
    assert env.estimator.counts(0).sum() == 1
    env.reset(options={"task": 2.0})
    assert env.estimator.counts(0).sum() == 0


def batch(kind):
    return SyncVectorEnv([kind] * 2, autoreset_mode=AutoresetMode.SAME_STEP)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda envs: vamdp.vector.ValueAugment(envs, task_horizon=1),
        lambda envs: vamdp.vector.MetaEpisode(envs, 6),
    ],
)
def test_a_batch_sets_tasks_by_whichever_method_there_is_and_refuses_those_nobody_takes(wrap):
    for kind in (Settable, Resettable):
        for by in ("set_task", "reset_task"):
            envs = wrap(batch(kind))
            getattr(envs, by)([3.0, 4.0])
            envs.reset(seed=0)
            np.testing.assert_array_equal(envs.step(np.zeros(2, int))[1], [3.0, 4.0])
            for wrong in ([3.0], 3.0):
                with pytest.raises(
                    ValueError, match=r"must hold 2 tasks, got (1|3\.0, which is no list)"
                ):
                    getattr(envs, by)(wrong)
        envs = wrap(batch(kind))
        envs.reset(seed=0, options={"task": [3.0, 4.0], "colour": 7})
        assert envs.unwrapped.envs[1].options == {"colour": 7}
        np.testing.assert_array_equal(envs.step(np.zeros(2, int))[1], [3.0, 4.0])
        for wrong in ([3.0], 3.0):
            with pytest.raises(
                ValueError, match=r"must hold 2 tasks, got (1|3\.0, which is no list)"
            ):
                envs.reset(options={"task": wrong})
        with pytest.raises(ValueError, match=r"`options\['reset_mask'\]` must be left out"):
            envs.reset(options={"task": [3.0, 4.0], "reset_mask": np.array([True, False])})
    envs = wrap(batch(Arm))
    with pytest.raises(ValueError, match=r"`options\['task'\]` must be left out, got \[3.0, 4.0\]"):
        envs.reset(options={"task": [3.0, 4.0]})
    with pytest.raises(ValueError, match="has no reset_task or set_task method"):
        envs.set_task([3.0, 4.0])


def test_environments_of_ours_side_by_side_take_one_task_for_all_from_options():
    draw = vamdp.domains.Bandits(n_arms=2)
    tasks = [draw(np.random.default_rng(i)) for i in range(2)]
    fns = [lambda: vamdp.TaskEnv(draw)] * 2
    envs = SyncVectorEnv(fns, autoreset_mode=AutoresetMode.SAME_STEP)
    envs = vamdp.vector.ValueAugment(envs, task_horizon=1)
    envs.reset(seed=0, options={"task": tasks[1]})
    assert list(envs.get_task()) == [tasks[1]] * 2
    with pytest.raises(ValueError, match=r"must be one task for all .* Call set_task\(\[...\]\)"):
        envs.reset(options={"task": tasks})
    envs.set_task(tasks)
    envs.reset()
    assert list(envs.get_task()) == tasks


@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
def test_learners_around_foreign_environments_side_by_side_take_one_task_for_all(kind):
    fns = [lambda: vamdp.ValueAugment(Settable(), task_horizon=1)] * 2
    envs = kind(fns, autoreset_mode=AutoresetMode.SAME_STEP)
    envs = vamdp.vector.MetaEpisode(envs, 6)
    envs.reset(seed=[1, 2])
    envs.reset(options={"task": 5.0})
    np.testing.assert_array_equal(envs.step(np.zeros(2, int))[1], [5.0, 5.0])
    envs.close()


def test_a_batch_draws_for_each_environment_the_tasks_that_can_only_be_sampled_and_set():
    envs = vamdp.vector.ValueAugment(batch(Sampling), task_horizon=1)
    assert envs.reset_task() is None
    envs.reset(seed=0)
    np.testing.assert_array_equal(envs.step(np.zeros(2, int))[1], [10.0, 10.0])
    np.testing.assert_array_equal(envs.estimator.counts([0, 0]), [[1, 0]] * 2)
    envs.reset(options={"new_task": True})
    np.testing.assert_array_equal(envs.step(np.zeros(2, int))[1], [11.0, 11.0])
    with pytest.raises(ValueError, match=r"`options\['reset_mask'\]` must be left out with \"new"):
        envs.reset(options={"new_task": True, "reset_mask": np.array([True, False])})
    envs = vamdp.vector.MetaEpisode(batch(Sampling), 2)
    envs.reset()
    rewards = [envs.step(np.zeros(2, int))[1][1] for _ in range(6)]
    assert rewards == [10.0, 10.0, 11.0, 11.0, 12.0, 12.0]
