import copy
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit

from vamdp.domains import Bandits, RandomMDPs, TaskEnv, TaskVectorEnv
from vamdp.mdp.tabular_mdp import TabularMDP

N = 5
ACTIONS = np.random.default_rng(0).integers(0, 5, (45, N))


def mixed(rng):
    """Some transitions end, starts differ, and tasks have different numbers of outcomes."""
    P = rng.dirichlet(np.ones(4), (4, 5)) * (rng.random((4, 5, 4)) < 0.6)
    P[:, :, 0] += 0.1
    P /= P.sum(axis=2, keepdims=True)
    noise = [None, "bernoulli", 0.5][rng.integers(3)]
    return TabularMDP.from_dense(
        P,
        rng.normal(size=(4, 5, 4)),
        terminal=rng.random((4, 5, 4)) < 0.2,
        start=rng.dirichlet(np.ones(4)),
        reward_noise=noise,
    )


CASES = [(Bandits(), None), (RandomMDPs(), 10), (mixed, None), (mixed, 3), (Bandits(ood=True), 1)]


def loop_of(distribution, limit, n=N):
    def one():
        env = TaskEnv(distribution)
        return env if limit is None else TimeLimit(env, limit)

    return SyncVectorEnv([one] * n, autoreset_mode=AutoresetMode.SAME_STEP)


def assert_same_step(batch, loop):
    for ours, theirs in zip(batch[:4], loop[:4], strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert batch[4].keys() == {key for key in loop[4]}
    if batch[4]:
        mask = batch[4]["_final_obs"]
        np.testing.assert_array_equal(mask, loop[4]["_final_obs"])
        np.testing.assert_array_equal(mask, batch[4]["_final_info"])
        np.testing.assert_array_equal(mask, loop[4]["_final_info"])
        np.testing.assert_array_equal(batch[4]["final_obs"][mask], loop[4]["final_obs"][mask])
        assert batch[4]["final_info"] == loop[4]["final_info"] == {}


@pytest.mark.parametrize(("distribution", "limit"), CASES)
def test_a_batch_equals_the_loop_over_single_environments(distribution, limit):
    batch = TaskVectorEnv(distribution, N, max_episode_steps=limit)
    loop = loop_of(distribution, limit)

    def both(method, *args, **kwargs):
        ours, theirs = (
            getattr(batch, method)(*args, **kwargs),
            getattr(loop, method)(*args, **kwargs),
        )
        np.testing.assert_array_equal(ours[0], theirs[0])
        return ours, theirs

    both("reset", seed=7)
    for actions in ACTIONS:
        assert_same_step(*both("step", actions))
    mask = np.array([True, False, True, False, False])
    for seed, options in [
        (None, {"new_task": True}),
        (None, None),
        ([3, None, 4, None, 3], None),
        (None, {"reset_mask": mask}),
        (5, {"reset_mask": mask}),
        ([None, None, 9, None, None], {"reset_mask": mask, "new_task": True}),
    ]:
        ours, theirs = (
            env.reset(seed=seed, options=options and dict(options)) for env in (batch, loop)
        )
        np.testing.assert_array_equal(ours[0], theirs[0])
        for actions in ACTIONS[:7]:
            assert_same_step(*both("step", actions))


def test_a_batch_agrees_though_it_restarts_after_the_last_step_of_a_task():
    """The single environment draws no restart at the end of a task, the batch does."""
    batch, single = TaskVectorEnv(RandomMDPs(), 1, max_episode_steps=3), TaskEnv(RandomMDPs())
    batch.reset(seed=2), single.reset(seed=2)
    for _ in range(3):
        last = [(batch.step(np.array([a])), single.step(a)) for a in (1, 2, 3)]
        assert last[-1][0][4]["final_obs"][0] == last[-1][1][0]
        batch.reset(options={"new_task": True}), single.reset(options={"new_task": True})
        (states, rewards, *_), (state, reward, *_) = batch.step(np.array([0])), single.step(0)
        assert (states[0], rewards[0]) == (state, reward)
        batch.reset(), single.reset()


def test_environment_i_has_the_seed_s_plus_i():
    batch, other = TaskVectorEnv(mixed, 3), TaskVectorEnv(mixed, 1)
    batch.reset(seed=4)
    other.reset(seed=6)
    np.testing.assert_array_equal(batch.tasks[2].reward, other.tasks[0].reward)
    assert batch.np_random_seed == (4, 5, 6)
    assert len(batch.np_random) == 3


def test_unseeded_environments_differ():
    batch = TaskVectorEnv(Bandits(), 8)
    batch.reset()
    assert len({tuple(task.reward) for task in batch.tasks}) == 8


def test_given_tasks_are_set_and_win():
    batch = TaskVectorEnv(mixed, 3)
    tasks = batch.sample_tasks(3)
    batch.reset(seed=0, options={"task": tasks, "new_task": True})
    assert all(ours is given for ours, given in zip(batch.get_task(), tasks, strict=True))


def test_a_mask_leaves_the_others_tasks_and_clocks():
    batch = TaskVectorEnv(RandomMDPs(), 2, max_episode_steps=4)
    batch.reset(seed=0)
    batch.step(np.array([0, 0]))
    kept = batch.tasks[1]
    batch.reset(seed=9, options={"reset_mask": np.array([True, False])})
    assert batch.tasks[1] is kept
    for _ in range(2):
        assert not batch.step(np.array([0, 0]))[3].any()
    assert batch.step(np.array([0, 0]))[3].tolist() == [False, True]


def test_callers_options_are_left_alone():
    options = {"reset_mask": np.array([True, True]), "new_task": True}
    batch = TaskVectorEnv(Bandits(), 2)
    batch.reset(options=options)
    assert set(options) == {"reset_mask", "new_task"}


def test_returned_arrays_are_never_written_again():
    batch = TaskVectorEnv(mixed, N, max_episode_steps=3)
    first = batch.reset(seed=0)[0]
    results = [batch.step(actions) for actions in ACTIONS[:10]]
    copies = copy.deepcopy((first, results))
    first[:] = 99
    for actions in ACTIONS:
        batch.step(actions)
    np.testing.assert_equal(results, copies[1])
    assert (batch.reset()[0] < 4).all()


def test_writing_into_a_result_changes_no_episode():
    batch, twin = TaskVectorEnv(mixed, N), TaskVectorEnv(mixed, N)
    batch.reset(seed=0)[0][:] = 0
    twin.reset(seed=0)
    for actions in ACTIONS:
        ours, theirs = batch.step(actions), twin.step(actions)
        np.testing.assert_array_equal(ours[0], theirs[0])
        ours[0][:] = 0


@pytest.mark.parametrize("by", ["reset_task", "set_task"])
def test_changing_the_tasks_ends_the_episodes(by):
    batch = TaskVectorEnv(RandomMDPs(), 2)
    batch.reset(seed=0)
    tasks = batch.sample_tasks(2)
    getattr(batch, by)(tasks)
    with pytest.raises(ResetNeeded, match="Environment 0 has no running episode"):
        batch.step(np.zeros(2, int))
    with pytest.raises(ResetNeeded, match="Environment 1 must be reset too"):
        batch.reset(options={"reset_mask": np.array([True, False])})
    batch.reset()
    batch.step(np.zeros(2, int))
    assert batch.tasks[0] is tasks[0]


def test_reset_task_draws_as_the_single_environments_do():
    batch, single = TaskVectorEnv(mixed, 3), TaskEnv(mixed)
    batch.reset(seed=0)
    batch.reset_task()
    single.reset(seed=2)
    single.reset_task()
    np.testing.assert_array_equal(batch.tasks[2].reward, single.task.reward)


def test_there_are_no_tasks_before_the_first_reset():
    batch = TaskVectorEnv(Bandits(), 2)
    with pytest.raises(ResetNeeded, match="no tasks yet"):
        _ = batch.tasks
    with pytest.raises(ResetNeeded):
        batch.step(np.zeros(2, int))


@pytest.mark.parametrize("bad", [5, -1])
def test_a_refused_action_is_named_and_changes_nothing(bad):
    batch, twin = TaskVectorEnv(mixed, 3), TaskVectorEnv(mixed, 3)
    batch.reset(seed=0), twin.reset(seed=0)
    with pytest.raises(ValueError, match=rf"`actions\[1\]` must be in \[0, 4\], got {bad}\."):
        batch.step(np.array([0, bad, 0]))
    np.testing.assert_equal(batch.step(np.zeros(3, int)), twin.step(np.zeros(3, int)))


@pytest.mark.parametrize(
    ("actions", "error", "message"),
    [
        ([0, 0], ValueError, r"must have shape \(3,\)"),
        ([[0, 0, 0]], ValueError, r"must have shape \(3,\)"),
        ([0.0, 0.0, 0.0], TypeError, "must be integers"),
        ([True, False, True], TypeError, "must be integers"),
        (
            np.array([0, 2**63, 0], np.uint64),
            ValueError,
            r"`actions\[1\]` .* got 9223372036854775808",
        ),
    ],
)
def test_malformed_actions_are_refused(actions, error, message):
    batch = TaskVectorEnv(mixed, 3)
    batch.reset(seed=0)
    with pytest.raises(error, match=message):
        batch.step(actions)


def test_an_array_of_one_seed_is_that_seed():
    one, other = TaskVectorEnv(mixed, 3), TaskVectorEnv(mixed, 3)
    one.reset(seed=np.array(3))
    other.reset(seed=3)
    assert one.task_seeds == other.task_seeds


def test_narrow_integers_are_actions_too():
    batch = TaskVectorEnv(mixed, 3)
    batch.reset(seed=0)
    batch.step(np.zeros(3, np.uint8))


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        (dict(seed=[1, 2]), ValueError, "`seed` must give 3 seeds, got 2"),
        (dict(seed=1.5), TypeError, "`seed` must be an int or None, got 1.5"),
        (dict(seed="one"), TypeError, "`seed` must be an int or None, got 'one'"),
        (dict(seed=-1), ValueError, "`seed` must be at least 0, got -1"),
        (dict(seed=[1, 1.5, 2]), TypeError, r"`seed\[1\]` must be an int or None, got 1.5"),
        (dict(options={"task": []}), ValueError, "`task` must hold 3 tasks, got 0"),
        (dict(options={"task": 1}), TypeError, "`task` must be a sequence of 3 tasks"),
        (dict(options={"task": [1, 2, 3]}), TypeError, r"`task\[0\]` must be a TabularMDP"),
        (
            dict(options={"task": [Bandits()(np.random.default_rng())] * 3}),
            ValueError,
            r"`task\[0\]` must have 4 states",
        ),
        (dict(options={"reset_mask": [True] * 3}), TypeError, "must be a bool array"),
        (dict(options={"reset_mask": np.ones(3)}), TypeError, "must be a bool array"),
        (dict(options={"reset_mask": np.ones(2, bool)}), ValueError, r"must have shape \(3,\)"),
        (dict(options={"reset_mask": np.zeros(3, bool)}), ValueError, "at least one"),
    ],
)
def test_malformed_resets_are_refused(kwargs, error, message):
    batch = TaskVectorEnv(mixed, 3)
    with pytest.raises(error, match=message):
        batch.reset(**kwargs)


@pytest.mark.parametrize("kwargs", [dict(num_envs=0), dict(max_episode_steps=0)])
def test_counts_below_1_are_refused(kwargs):
    with pytest.raises(ValueError, match="at least 1, got 0"):
        TaskVectorEnv(Bandits(), **kwargs)


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))],
    ids=["copy", "pickle"],
)
def test_a_copy_goes_on_exactly_alike(duplicate):
    batch = TaskVectorEnv(RandomMDPs(), N, max_episode_steps=4)
    batch.reset(seed=1)
    batch.step(ACTIONS[0])
    twin = duplicate(batch)
    for actions in ACTIONS[:9]:
        np.testing.assert_equal(batch.step(actions), twin.step(actions))
    np.testing.assert_equal(*(env.reset(options={"new_task": True}) for env in (batch, twin)))
    np.testing.assert_equal(batch.step(ACTIONS[0]), twin.step(ACTIONS[0]))


@pytest.mark.parametrize("name", ["vamdp/Bandit-v0", "vamdp/RandomMDP-v0"])
def test_make_vec_gives_the_batch_that_equals_its_single_environments(name):
    batch = gymnasium.make_vec(name, num_envs=N, vectorization_mode="vector_entry_point", ood=True)
    loop = gymnasium.make_vec(
        name,
        num_envs=N,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        ood=True,
    )
    assert isinstance(batch, TaskVectorEnv)
    assert batch.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert batch.observation_space == loop.observation_space
    assert batch.action_space == loop.action_space
    batch.reset(seed=0), loop.reset(seed=0)
    for actions in ACTIONS:
        assert_same_step(batch.step(actions), loop.step(actions))
    again = gymnasium.make_vec(batch.spec)
    assert again.num_envs == N
    assert again.max_episode_steps == batch.max_episode_steps
