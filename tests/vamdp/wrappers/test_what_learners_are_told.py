"""What a learner behind the door is told, and when; what it does to its arguments stays with it."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import vamdp
from vamdp.domains import RandomMDPs


class Notes:
    """An estimator that notes what it is told, and shows nothing but its steps."""

    def __init__(self, n_tasks, n_actions) -> None:
        self.n_tasks, self.n_actions = n_tasks, n_actions
        self.tasks, self.episodes, self.steps = [], [], []
        self.fails = False

    def parts(self):
        return {"steps": spaces.Box(0, np.inf, (1,), np.float32)}

    def begin_tasks(self, rows, seeds):
        if self.fails:
            self.fails = False
            raise RuntimeError("not now")
        self.tasks.append((rows.tolist(), list(seeds)))

    def begin_episodes(self, rows, states, action_masks):
        masks = None if action_masks is None else action_masks.astype(int).tolist()
        self.episodes.append((rows.tolist(), masks))

    def update(self, states, actions, rewards, next_states, terminated, next_action_masks=None):
        self.steps.append((rewards.tolist(), terminated.tolist()))

    def write(self, states, scales, out):
        out[:] = len(self.steps)


def single(estimator, **options):
    env = gymnasium.make("vamdp/RandomMDP-v0")
    return vamdp.ValueAugment(env, task_horizon=10, estimator=estimator, **options)


def engine(n, estimator, **options):
    envs = vamdp.TaskVectorEnv(RandomMDPs(), n, max_episode_steps=10)
    return vamdp.vector.ValueAugment(envs, task_horizon=10, estimator=estimator, **options)


def scripts(tools, lists, estimator, **options):
    """A batch of scripts, one for each list of steps, and the infos of their starts."""
    makes = [
        lambda steps=steps, info=info: tools.Script(steps, start_info=info) for steps, info in lists
    ]
    envs = SyncVectorEnv(makes, autoreset_mode=AutoresetMode.SAME_STEP)
    return vamdp.vector.ValueAugment(envs, task_horizon=5, estimator=estimator, **options)


def mask(*allowed):
    return {"action_mask": np.array(allowed, np.int8)}


# Episodes


def test_where_some_episodes_end_only_these_begin_anew(tools):
    go, end, cut = (
        (1, 0.0, False, False, {}),
        (2, 0.0, True, False, {}),
        (2, 0.0, False, True, {}),
    )
    env = scripts(tools, [([go], {}), ([go, end], {}), ([go, go, cut], {})], Notes)
    env.reset(seed=0)
    for _ in range(6):
        env.step(np.zeros(3, int))
    begun = [rows for rows, _ in env.estimator.episodes]
    assert begun == [
        [True] * 3, [False, True, False], [False, False, True], [False, True, False],
        [False, True, True],
    ]  # fmt: skip


def test_masks_of_environments_that_go_on_are_not_told_as_those_of_starts(tools):
    go, end = (1, 0.0, False, False, mask(1, 0, 0)), (2, 0.0, True, False, mask(0, 0, 0))
    env = scripts(tools, [([go], mask(0, 1, 0)), ([end], mask(0, 1, 1))], Notes)
    env.reset(seed=0)
    env.step(np.zeros(2, int))
    assert env.estimator.episodes[-1] == ([False, True], [[0, 0, 0], [0, 1, 1]])


def test_starts_without_masks_tell_none_though_others_that_go_on_have_one(tools):
    go, end = (1, 0.0, False, False, mask(1, 0, 0)), (2, 0.0, True, False, {})
    env = scripts(tools, [([go], mask(0, 1, 0)), ([end], {})], Notes)
    env.reset(seed=0)
    env.step(np.zeros(2, int))
    assert env.estimator.episodes[-1] == ([False, True], None)


# Tasks and their seeds


def test_seeds_that_are_given_win_over_those_of_the_tasks():
    env = engine(3, Notes)
    env.reset(seed=[7, None, 9])
    own = env.unwrapped.task_seeds
    assert env.estimator.tasks == [([True, False, True], [7, own[1], 9])]
    env.reset(seed=4)
    assert env.estimator.tasks[1:] == [([True] * 3, [4, 5, 6])]


@pytest.mark.parametrize("change", ["reset_task", "set_task"])
def test_a_task_from_outside_is_told_with_its_seeds(change):
    for env in (engine(2, Notes), single(Notes)):
        env.reset(seed=0)
        tasks = env.sample_tasks(2)
        given = (
            () if change == "reset_task" else (tasks if env.estimator.n_tasks > 1 else tasks[0],)
        )
        getattr(env, change)(*given)
        base = env.unwrapped
        seeds = base.task_seeds if env.estimator.n_tasks > 1 else [base.task_seed]
        assert None not in seeds
        assert env.estimator.tasks[1:] == [([True] * len(seeds), seeds)]


@pytest.mark.parametrize("make", [single, lambda learner: engine(2, learner)])
def test_only_the_reset_that_begins_a_task_tells_one(make):
    env = make(Notes)
    for begin in (
        lambda: env.reset(seed=0),
        lambda: env.reset(options={"new_task": True}),
        env.reset_task,
    ):
        before = len(env.estimator.tasks)
        begin()
        for _ in range(3):
            env.reset()
        assert len(env.estimator.tasks) == before + 1


BEGINNINGS = {
    "a seed": lambda env: env.reset(seed=1),
    "new_task": lambda env: env.reset(options={"new_task": True}),
    "reset_task": lambda env: env.reset_task(),
}


@pytest.mark.parametrize("begin", BEGINNINGS)
@pytest.mark.parametrize("make", [single, lambda learner: engine(2, learner)])
def test_a_learner_that_fails_to_begin_a_task_is_told_again_by_the_next_reset(make, begin):
    env = make(Notes)
    env.reset(seed=0)
    env.step(env.action_space.sample() * 0)
    learner = env.estimator
    learner.fails = True
    with pytest.raises(RuntimeError, match="not now"):
        BEGINNINGS[begin](env)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(env.action_space.sample() * 0)
    assert len(learner.tasks) == 1
    env.reset()
    base = env.unwrapped
    seeds = base.task_seeds if learner.n_tasks > 1 else [base.task_seed]
    assert learner.tasks[1:] == [([True] * learner.n_tasks, seeds)]
    env.reset()
    assert len(learner.tasks) == 2


class FailsOnce:
    """Four methods; forgets, but not the first time after `fails` was set."""

    def __init__(self) -> None:
        self.known, self.fails = set(), False

    def update(self, state, action, reward, next_state, terminated):
        assert type(state) is type(next_state) is int
        self.known.add(state)

    def q_values(self, state):
        return [0.0] * 5

    def counts(self, state):
        return [0] * 5

    def forget(self):
        if self.fails:
            self.fails = False
            raise RuntimeError("not now")
        self.known.clear()


@pytest.mark.parametrize("begin", BEGINNINGS)
@pytest.mark.parametrize("n", [None, 3])
@pytest.mark.parametrize("which", [0, 1])
def test_each_of_several_learners_forgets_at_last_though_one_fails_at_first(begin, n, which):
    learners = [FailsOnce() for _ in range(n or 1)]
    env = single(learners[0]) if n is None else engine(n, learners)
    env.reset(seed=0)
    env.step(0 if n is None else np.zeros(n, int))
    assert all(learner.known for learner in learners)
    learners[which % len(learners)].fails = True
    with pytest.raises(RuntimeError, match="not now"):
        BEGINNINGS[begin](env)
    env.reset()
    assert not any(learner.known for learner in learners)
    env.step(0 if n is None else np.zeros(n, int))
    env.reset()
    assert all(learner.known for learner in learners), "once is enough"


# What it does to its arguments


@pytest.mark.parametrize("make", [single, lambda learner: engine(2, learner)])
def test_a_learner_that_changes_the_rows_it_is_given_changes_no_other(make):
    class Changes(Notes):
        def begin_tasks(self, rows, seeds):
            super().begin_tasks(rows, seeds)
            rows[:] = False

        def begin_episodes(self, rows, states, action_masks):
            super().begin_episodes(rows, states, action_masks)
            rows[:] = False

    envs = [make(Changes), make(Notes)]
    for env in (*envs, *envs):
        env.reset(seed=0)
        env.reset_task()
        env.reset()
        env.forget()
    for env in envs:
        assert len(env.estimator.tasks) == 6
        assert all(all(rows) for rows, _ in env.estimator.tasks)
        assert len(env.estimator.episodes) == 4
        assert all(all(rows) for rows, _ in env.estimator.episodes)


def test_a_learner_that_changes_its_rows_leaves_the_callers_masks_alone():
    class Changes(Notes):
        def begin_tasks(self, rows, seeds):
            rows[:] = False

        def begin_episodes(self, rows, states, action_masks):
            rows[:] = False

    env = engine(2, Changes)
    env.reset(seed=0)
    rows = np.array([True, False])
    env.forget(rows)
    assert rows.tolist() == [True, False]
    env.reset(options={"reset_mask": rows})
    env.reset(seed=3, options={"reset_mask": rows})
    assert rows.tolist() == [True, False]


def test_a_learner_that_changes_outcomes_changes_nothing_that_a_step_returns():
    class Changes(Notes):
        def update(self, states, actions, rewards, next_states, terminated, *rest):
            rewards[:], terminated[:] = 99.0, True

    envs = engine(3, Changes), engine(3, Notes)
    for env in envs:
        env.reset(seed=0)
    for t in range(12):
        ours, plain = (env.step(np.full(3, t % 5)) for env in envs)
        np.testing.assert_array_equal(ours[1], plain[1])
        np.testing.assert_array_equal(ours[2], plain[2])
        assert not ours[2].any()


# What is told to it only if it is possible


def test_a_start_that_allows_nothing_is_refused_for_every_learner(tools):
    for estimator in ("q-learning", Notes):
        env = vamdp.ValueAugment(
            tools.Script([], start_info=mask(0, 0, 0)), task_horizon=2, estimator=estimator
        )
        with pytest.raises(ValueError, match=r"`action_mask` must be a mask that allows an action"):
            env.reset()


@pytest.mark.parametrize("reward", [np.nan, np.inf])
def test_a_reward_that_is_not_finite_is_told_to_no_learner(tools, reward):
    env = vamdp.ValueAugment(
        tools.Script([(1, reward, False, False, {})]), task_horizon=2, estimator=Notes
    )
    env.reset()
    with pytest.raises(ValueError, match=r"`reward` must be finite, got (nan|inf)"):
        env.step(0)
    assert env.estimator.steps == []


def test_states_have_one_length_for_every_learner(tools):
    lengths = iter([2, 2, 2, 3])
    env = vamdp.ValueAugment(
        tools.Script([(1, 0.0, False, False, {})]), task_horizon=2, estimator=Notes,
        state_key=lambda observation: (observation,) * next(lengths),
    )  # fmt: skip
    env.reset()
    env.step(0)
    env.step(0)
    with pytest.raises(ValueError, match=r"`state_key\(observation\)` must have 2 numbers, got"):
        env.step(0)
    assert len(env.estimator.steps) == 2


# Pictures


@pytest.mark.parametrize(("initial_value", "is_known"), [(7.0, True), (0.0, False)])
def test_a_value_that_nobody_visited_is_pictured_unless_it_is_nothing(initial_value, is_known):
    env = vamdp.ValueAugment(
        gymnasium.make("vamdp/GridWorld-v0", render_mode="ansi"), task_horizon=9,
        estimator="q-learning", initial_value=initial_value,
    )  # fmt: skip
    env.reset(seed=0)
    assert (str(initial_value) in env.render()) == is_known
