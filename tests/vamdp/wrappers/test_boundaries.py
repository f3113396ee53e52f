import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.wrappers import TimeLimit

import vamdp
from vamdp.domains import Bandits, RandomMDPs


def values(n_episode=4):
    return vamdp.ValueAugment(TimeLimit(vamdp.TaskEnv(RandomMDPs()), n_episode), task_horizon=10)


def after_steps(env, n=3, seed=0):
    env.reset(seed=seed)
    for _ in range(n):
        env.step(1)
    return env


BEGINNINGS = {
    "a seed": lambda env, task: env.reset(seed=1),
    "new_task": lambda env, task: env.reset(options={"new_task": True}),
    "task": lambda env, task: env.reset(options={"task": task}),
    "reset_task": lambda env, task: (env.reset_task(), env.reset()),
    "reset_task with one": lambda env, task: (env.reset_task(task), env.reset()),
    "set_task": lambda env, task: (env.set_task(task), env.reset()),
}
NO_BEGINNINGS = {
    "a bare reset": lambda env: env.reset(),
    "no options": lambda env: env.reset(options={}),
    "no task": lambda env: env.reset(options={"task": None}),
    "no new task": lambda env: env.reset(options={"new_task": False}),
    "other options": lambda env: env.reset(options={"difficulty": 3}),
}


@pytest.mark.parametrize("begin", BEGINNINGS)
def test_a_new_task_forgets(begin):
    env = after_steps(values())
    before = env.unwrapped.task
    task = env.sample_tasks(1)[0]
    BEGINNINGS[begin](env, task)
    assert env.estimator.n_states == 0
    assert env.unwrapped.task is not before
    assert (env.unwrapped.task is task) == (begin in ("task", "reset_task with one", "set_task"))


@pytest.mark.parametrize("go_on", NO_BEGINNINGS)
def test_an_episodes_restart_keeps_the_model_and_the_task(go_on):
    env = after_steps(values())
    before, model = env.unwrapped.task, env.estimator.get_state()
    NO_BEGINNINGS[go_on](env)
    assert env.unwrapped.task is before
    np.testing.assert_equal(env.estimator.get_state(), model)


def test_forget_clears_the_learner_alone():
    env = after_steps(values())
    task = env.unwrapped.task
    env.forget()
    assert env.estimator.n_states == 0
    assert env.unwrapped.task is task
    env.step(0)  # the episode runs on
    assert env.estimator.n_states == 2


def test_after_reset_task_the_next_step_needs_a_reset(tools):
    """Also where the environment has no tasks, and would step on."""
    env = vamdp.ValueAugment(tools.Script([(1, 0.0, False, False, {})]), task_horizon=1)
    batch = vamdp.vector.ValueAugment(
        tools.same_step(lambda: tools.Script([(1, 0.0, False, False, {})]), 2), task_horizon=1
    )
    meta = vamdp.MetaEpisode(tools.Script([(1, 0.0, False, False, {})]), 5)
    metas = vamdp.vector.MetaEpisode(batch.env, 5)
    both = np.zeros(2, int)
    for each, action in ((env, 0), (batch, both), (meta, 0), (metas, both)):
        each.reset()
        each.reset_task()
        with pytest.raises(ResetNeeded):
            each.step(action)
        each.reset()
        each.step(action)


def test_a_new_meta_episode_clears_previous_action_reward_and_both_clocks():
    env = vamdp.MetaEpisode(values(), 20)
    own = slice(env.layout["previous_action"].start, None)
    env.reset(seed=0)
    for t in range(6):
        shown = env.step(t % 5)[0]
    assert shown[env.layout["previous_action"]].tolist() == [1, 0, 0, 0, 0]
    assert shown[env.layout["episode_time"]] == np.float32(2 / 10)
    assert shown[env.layout["meta_time"]] == np.float32(6 / 20)
    shown = env.reset()[0]
    assert not shown[own].any()
    assert env.get_wrapper_attr("estimator").n_states == 0
    # An action counts from the new beginning.
    assert env.step(0)[0][env.layout["meta_time"]] == np.float32(1 / 20)


def test_an_inner_restart_clears_the_episode_clock_alone():
    env = vamdp.MetaEpisode(values(n_episode=3), 20)
    env.reset(seed=0)
    for t in range(3):
        shown, reward, _, _, info = env.step(t)
    assert info["episode_end"]
    assert shown[env.layout["episode_time"]] == 0
    assert shown[env.layout["meta_time"]] == np.float32(3 / 20)
    assert shown[env.layout["previous_action"]].tolist() == [0, 0, 1, 0, 0]
    assert shown[env.layout["previous_reward"]] == np.float32(reward) != 0
    assert shown[env.layout["state"]].argmax() == 0  # the next episode's first observation
    assert shown[env.layout["count"]].sum() > 0  # of what was learned before


def test_a_meta_episode_begins_the_next_task_of_the_stream():
    env, bare = vamdp.MetaEpisode(values(), 5), vamdp.TaskEnv(RandomMDPs())
    env.reset(seed=3)
    bare.reset(seed=3)
    for _ in range(4):
        np.testing.assert_array_equal(env.unwrapped.task.reward, bare.task.reward)
        for _ in range(5):
            env.step(0)
        env.reset()
        bare.reset(options={"new_task": True})


def test_the_sequence_of_tasks_does_not_depend_on_the_actions():
    rewards = []
    for action in (0, 1):
        env = after_steps(vamdp.MetaEpisode(values(), 7), n=action * 5, seed=2)
        env.reset()
        rewards.append(env.unwrapped.task.reward)
    np.testing.assert_array_equal(*rewards)


@pytest.mark.parametrize("begin", [b for b in BEGINNINGS if "task" in b])
def test_a_meta_episode_runs_the_task_that_was_set_and_no_other(begin):
    env = after_steps(vamdp.MetaEpisode(values(), 9))
    task = env.sample_tasks(1)[0]
    before = env.unwrapped.task
    draws = []
    original = env.unwrapped.task_distribution
    env.unwrapped.task_distribution = lambda rng: draws.append(1) or original(rng)
    BEGINNINGS[begin](env, task)
    if begin in ("task", "reset_task with one", "set_task"):
        assert env.get_task() is task
        assert not draws
    else:
        assert env.get_task() is not before
        assert len(draws) == 1
    kept = env.get_task()
    env.step(0)
    env.reset()
    assert env.get_task() is not kept  # chosen once, not for ever


def test_a_seed_wins_over_a_task_that_was_set():
    env, twin = vamdp.MetaEpisode(values(), 9), vamdp.MetaEpisode(values(), 9)
    env.reset(seed=0)
    env.set_task(env.sample_tasks(1)[0])
    env.reset(seed=4)
    twin.reset(seed=4)
    np.testing.assert_array_equal(env.get_task().reward, twin.get_task().reward)


@pytest.mark.parametrize("level", ["values", "meta-episodes", "through a wrapper"])
def test_the_task_is_reached_from_every_level(level):
    env = values()
    if level != "values":
        env = vamdp.MetaEpisode(TimeLimit(env, 3) if "wrapper" in level else env, 9)
    env.reset(seed=1)
    assert env.get_task() is env.unwrapped.task
    before = env.get_task()
    tasks = env.sample_tasks(3)
    assert len({id(task) for task in tasks}) == 3
    assert env.get_task() is before
    env.set_task(tasks[2])
    assert env.get_task() is env.unwrapped.task is tasks[2]
    env.reset_task()
    assert all(env.get_task() is not task for task in (*tasks, before))


def batch(kind, tools):
    if kind == "engine":
        return vamdp.TaskVectorEnv(Bandits(), 3)
    return tools.same_step(lambda: vamdp.TaskEnv(Bandits()), 3)


@pytest.mark.parametrize("kind", ["engine", "loop"])
@pytest.mark.parametrize("meta", [False, True])
def test_a_batch_reaches_its_tasks(tools, kind, meta):
    env = vamdp.vector.ValueAugment(batch(kind, tools), task_horizon=1)
    augment = env
    env = vamdp.vector.MetaEpisode(env, 4) if meta else env
    env.reset(seed=1)
    singles = [vamdp.TaskEnv(Bandits()) for _ in range(3)]
    for i, single in enumerate(singles):
        single.reset(seed=1 + i)
    env.step(np.zeros(3, int))
    tasks = env.sample_tasks(4)
    expected = [singles[j % 3].sample_tasks(1)[0] for j in range(4)]
    for ours, theirs in zip(tasks, expected, strict=True):
        np.testing.assert_array_equal(ours.reward, theirs.reward)
    env.set_task(tasks[1:])
    assert augment.estimator.n_states.tolist() == [0, 0, 0]
    assert all(a is b for a, b in zip(env.get_task(), tasks[1:], strict=True))
    env.reset()
    assert all(a is b for a, b in zip(env.get_task(), tasks[1:], strict=True))
    env.step(np.zeros(3, int))
    env.reset_task()
    env.reset()
    for i, single in enumerate(singles):
        single.set_task(tasks[1 + i])
        single.reset_task()
        np.testing.assert_array_equal(env.get_task()[i].reward, single.task.reward)
    with pytest.raises(ValueError, match="`task` must hold 3 tasks, got 2"):
        env.reset_task(tasks[:2])


def test_processes_can_be_told_to_draw_but_not_what():
    inner = AsyncVectorEnv(
        [lambda: vamdp.TaskEnv(Bandits())] * 2, autoreset_mode=AutoresetMode.SAME_STEP
    )
    env = vamdp.vector.ValueAugment(inner, task_horizon=1)
    try:
        env.reset(seed=0)
        before = env.get_task()
        env.reset_task()
        after = env.get_task()
        assert not any((a.reward == b.reward).all() for a, b in zip(before, after, strict=True))
        with pytest.raises(ValueError, match="use SyncVectorEnv"):
            env.set_task(before)
    finally:
        env.close()


def test_an_environment_without_tasks_keeps_its_only_one(tools):
    for inner, wrap in (
        (gymnasium.make("FrozenLake-v1"), vamdp.ValueAugment),
        (tools.same_step(lambda: gymnasium.make("FrozenLake-v1"), 2), vamdp.vector.ValueAugment),
    ):
        env = wrap(inner, task_horizon=5)
        env.reset(seed=0)
        env.step(0 if wrap is vamdp.ValueAugment else np.zeros(2, int))
        env.reset_task()
        assert np.max(env.estimator.n_states) == 0
        env.reset()
        with pytest.raises(ValueError, match="`task` must be None, got 3"):
            env.reset_task(3)
        with pytest.raises(AttributeError, match="no method get_task"):
            env.get_task()
        with pytest.raises(AttributeError, match="no method sample_tasks"):
            env.sample_tasks(2)
        with pytest.raises(ValueError, match="`task` must be a task, got None"):
            env.set_task(None)


def test_partial_resets_forget_only_where_a_task_begins():
    env = vamdp.vector.ValueAugment(
        vamdp.TaskVectorEnv(RandomMDPs(), 3, max_episode_steps=9), task_horizon=10
    )
    env.reset(seed=0)
    for _ in range(4):
        env.step(np.arange(3))
    mask = np.array([True, False, True])

    def sizes_after(**arguments):
        before = env.estimator.n_states
        env.reset(**arguments)
        return (env.estimator.n_states == before).tolist()

    assert sizes_after(options={"reset_mask": mask}) == [True, True, True]
    assert sizes_after(seed=[None, 5, None], options={"reset_mask": mask}) == [True, True, True]
    assert sizes_after(options={"reset_mask": mask, "new_task": True}) == [False, True, False]
    assert env.estimator.n_states[[0, 2]].tolist() == [0, 0]
    assert sizes_after(seed=[None, 5, None]) == [True, False, True]


def test_callers_options_are_left_alone(tools):
    options = {"reset_mask": np.array([True, True]), "new_task": True}
    env = vamdp.vector.ValueAugment(
        tools.same_step(lambda: vamdp.TaskEnv(Bandits()), 2), task_horizon=1
    )
    env.reset(options=options)
    assert set(options) == {"reset_mask", "new_task"}
    options = {"difficulty": 1}
    vamdp.MetaEpisode(values(), 3).reset(options=options)
    assert options == {"difficulty": 1}


def test_meta_episodes_in_step_refuse_a_partial_reset():
    env = vamdp.vector.MetaEpisode(vamdp.TaskVectorEnv(Bandits(), 2), 3)
    with pytest.raises(ValueError, match=r"`options\['reset_mask'\]` must be left out"):
        env.reset(options={"reset_mask": np.array([True, False])})


def test_a_batch_begins_its_next_tasks_by_itself():
    env = vamdp.vector.MetaEpisode(
        vamdp.vector.ValueAugment(vamdp.TaskVectorEnv(RandomMDPs(), 2), task_horizon=10), 3
    )
    env.reset(seed=0)
    before = env.get_task()
    for _ in range(3):
        shown, _, terminated, truncated, infos = env.step(np.ones(2, int))
    assert terminated.all()
    assert not truncated.any()
    assert all(a is not b for a, b in zip(before, env.get_task(), strict=True))
    assert not shown[:, env.layout["advantage"].start :].any()
    np.testing.assert_array_equal(infos["final_obs"][:, -1], 1)
    assert env.step(np.ones(2, int))[0][:, -1].tolist() == [np.float32(1 / 3)] * 2


class FailsOnce(gymnasium.Wrapper):
    """A reset into a new task fails when it is told to, after the task has changed."""

    fails = False

    def reset(self, *, seed=None, options=None):
        result = self.env.reset(seed=seed, options=options)
        if self.fails:
            self.fails = False
            raise RuntimeError("no layout found")
        return result


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("wrapped", ["value", "meta"])
def test_a_reset_that_fails_leaves_nothing_of_the_old_task(batched, wrapped):
    flaky = FailsOnce(gymnasium.make("vamdp/RandomMDP-v0"))
    if batched:
        env = gymnasium.vector.SyncVectorEnv(
            [lambda: flaky], autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP
        )
        env = augmented = vamdp.vector.ValueAugment(env, task_horizon=10)
        env = vamdp.vector.MetaEpisode(env, 30) if wrapped == "meta" else env
        action = np.array([1])
    else:
        env = augmented = vamdp.ValueAugment(flaky, task_horizon=10)
        env = vamdp.MetaEpisode(env, 30) if wrapped == "meta" else env
        action = 1
    env.reset(seed=0)
    for _ in range(4):
        env.step(action)
    assert np.max(augmented.estimator.n_states) > 0
    flaky.fails = True
    with pytest.raises(RuntimeError, match="no layout"):
        env.reset(options={"new_task": True})
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(action)
    env.reset()
    assert np.max(augmented.estimator.n_states) == 0
    env.step(action)
