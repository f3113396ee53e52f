import copy
import pickle
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from vamdp.domains import Bandits, RandomMDPs, SampledEnv, TaskEnv
from vamdp.mdp.tabular_mdp import TabularMDP

IDS = ["vamdp/Bandit-v0", "vamdp/RandomMDP-v0"]


def play(env, actions):
    """Observations, rewards and ends of a walk that restarts by a bare reset()."""
    seen = []
    for action in actions:
        *step, _ = env.step(action)
        if step[2] or step[3]:
            step.append(env.reset()[0])
        seen.append(step)
    return seen


def rewards_of(task):
    return task.reward.tolist()


ACTIONS = np.random.default_rng(0).integers(0, 5, 60)


@pytest.fixture(params=[Bandits(), RandomMDPs(), RandomMDPs(ood=True)], ids=repr)
def env(request):
    return TaskEnv(request.param)


def test_an_explicit_seed_begins_anew(env):
    first, _ = env.reset(seed=3)
    walk, task = play(env, ACTIONS), env.task
    env.reset(options={"new_task": True})
    play(env, ACTIONS[:7])
    assert env.reset(seed=3)[0] == first
    assert rewards_of(env.task) == rewards_of(task)
    assert play(env, ACTIONS) == walk


def test_other_seeds_draw_other_tasks(env):
    env.reset(seed=3)
    task = env.task
    env.reset(seed=4)
    assert rewards_of(env.task) != rewards_of(task)


def test_reset_without_a_seed_goes_on_with_the_task(env):
    env.reset(seed=3)
    task = env.task
    env.step(0)
    env.reset()
    assert env.task is task


def test_the_first_reset_without_a_seed_draws_a_task(env):
    with pytest.raises(ResetNeeded, match="no task yet"):
        env.get_task()
    env.reset()
    assert isinstance(env.get_task(), TabularMDP)


def test_tasks_do_not_depend_on_what_was_done(env):
    def tasks(n_steps):
        env.reset(seed=5)
        drawn = []
        for n in n_steps:
            play(env, ACTIONS[:n])
            env.reset(options={"new_task": True})
            drawn.append(rewards_of(env.task))
        return drawn

    assert tasks([0, 0, 0]) == tasks([9, 1, 30])


def test_dynamics_of_a_new_task_do_not_depend_on_the_steps_before(env):
    def walk(n_steps):
        env.reset(seed=5)
        play(env, ACTIONS[:n_steps])
        env.reset(options={"new_task": True})
        return play(env, ACTIONS)

    assert walk(0) == walk(17)


def test_dynamics_are_keyed_anew_at_every_new_task(env):
    env.reset(seed=5)
    task, walk = env.task, play(env, ACTIONS)
    env.reset(options={"task": task})
    assert play(env, ACTIONS) != walk


def test_a_given_task_wins_over_seed_and_new_task(env):
    env.reset(seed=1)
    task = env.task
    env.reset(seed=2, options={"task": task, "new_task": True})
    assert env.task is task


def test_seed_and_task_together_determine_the_walk(env):
    task = env.sample_tasks(1)[0]
    env.reset(seed=8, options={"task": task})
    walk = play(env, ACTIONS)
    env.reset(seed=8, options={"task": task})
    assert play(env, ACTIONS) == walk


@pytest.mark.parametrize("by", ["reset_task", "set_task"])
def test_changing_the_task_ends_the_episode(by):
    env = TaskEnv(RandomMDPs())
    env.reset(seed=0)
    task = env.sample_tasks(1)[0]
    getattr(env, by)(task)
    assert env.task is task
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step(0)
    env.reset()
    env.step(0)
    assert env.task is task


def test_reset_task_draws_what_new_task_draws(env):
    env.reset(seed=2)
    env.reset(options={"new_task": True})
    drawn = rewards_of(env.task)
    env.reset(seed=2)
    env.reset_task()
    assert rewards_of(env.task) == drawn


def test_sampled_tasks_leave_the_present_one(env):
    env.reset(seed=2)
    task = env.task
    sampled = env.sample_tasks(3)
    assert env.task is task
    assert len({tuple(rewards_of(each)) for each in sampled}) == 3


def test_a_step_after_the_end_is_refused():
    env = TaskEnv(Bandits())
    with pytest.raises(ResetNeeded):
        env.step(0)
    env.reset(seed=0)
    env.step(0)
    with pytest.raises(ResetNeeded):
        env.step(0)


@pytest.mark.parametrize("action", [5, -1])
def test_actions_out_of_range_are_refused(env, action):
    env.reset(seed=0)
    with pytest.raises(ValueError, match=rf"`action` must be in \[0, 4\], got {action}\."):
        env.step(action)


def test_an_action_must_be_an_integer(env):
    env.reset(seed=0)
    with pytest.raises(TypeError):
        env.step(1.5)
    env.step(np.array(1, dtype=np.int32))


def test_tasks_of_another_size_are_refused(env):
    env.reset(seed=0)
    other = RandomMDPs(n_states=10, n_actions=3)(np.random.default_rng(0))
    for change in (
        lambda: env.set_task(other),
        lambda: env.reset_task(other),
        lambda: env.reset(options={"task": other}),
    ):
        with pytest.raises(ValueError, match=r"`task` must have .* got 10 and 3"):
            change()
    with pytest.raises(TypeError, match="`task` must be a TabularMDP, got int"):
        env.reset(options={"task": 3})


def test_a_distribution_must_return_tasks():
    with pytest.raises(TypeError, match="must return a TabularMDP, got NoneType"):
        TaskEnv(lambda rng: None)


def test_tasks_without_a_grid_have_no_picture():
    with pytest.raises(TypeError, match="`render_mode` must be None"):
        TaskEnv(Bandits(), render_mode="human")


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))],
    ids=["copy", "pickle"],
)
def test_a_copy_goes_on_exactly_alike(env, duplicate):
    env.reset(seed=1)
    play(env, ACTIONS[:13])
    twin = duplicate(env)
    for each in (env, twin):
        each.results = [play(each, ACTIONS), each.reset(options={"new_task": True})]
        each.results.append(play(each, ACTIONS))
    assert env.results == twin.results


def test_a_known_task_shows_its_own_numbers():
    P = np.zeros((3, 2, 3))
    P[0, 0, 1] = P[0, 1, 2] = P[1, :, 0] = P[2, :, 2] = 1.0
    task = TabularMDP.from_dense(
        P, [[1.0, 5.0], [2.0, 3.0], [0.0, 0.0]], terminal=[0 > 1, 0 > 1, 1 > 0]
    )
    env = TaskEnv(lambda rng: task)
    assert env.reset() == (0, {})
    assert env.step(0) == (1, 1.0, False, False, {})
    assert env.step(1) == (0, 3.0, False, False, {})
    assert env.step(1) == (2, 5.0, True, False, {})


def test_taxi_is_stepped_as_gymnasium_steps_it():
    original = gymnasium.make("Taxi-v4" if "Taxi-v4" in gymnasium.registry else "Taxi-v3")
    task = TabularMDP.from_gymnasium(original)
    env = TaskEnv(lambda rng: task)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    original.reset(seed=0)
    for _ in range(2000):
        state = int(rng.choice(500, p=task.start_distribution))
        action = int(rng.integers(6))
        original.unwrapped.s = env._state = state
        assert env.step(action)[:3] == original.step(action)[:3]
        original.reset()
        env.reset()


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("ood", [False, True])
def test_gymnasium_finds_nothing_wrong(name, ood):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(name, ood=ood).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("name", IDS)
def test_stable_baselines3_finds_nothing_wrong(name):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        checker.check_env(gymnasium.make(name))


@pytest.mark.parametrize("name", IDS)
def test_an_environment_is_made_again_from_its_spec(name):
    env = gymnasium.make(name, n_actions=3) if "MDP" in name else gymnasium.make(name, n_arms=3)
    twin = gymnasium.make(env.spec)
    assert twin.action_space.n == 3
    env.reset(seed=1), twin.reset(seed=1)
    assert play(env, ACTIONS % 3) == play(twin, ACTIONS % 3)


def test_episodes_of_random_mdps_are_truncated_after_10_steps():
    env = gymnasium.make("vamdp/RandomMDP-v0")
    env.reset(seed=0)
    ends = [env.step(0)[2:4] for _ in range(10)]
    assert ends == [(False, False)] * 9 + [(False, True)]


@pytest.mark.parametrize(
    ("make", "name"),
    [(TaskEnv, "task_distribution"), (SampledEnv, "env_distribution")],
)
def test_a_task_where_a_distribution_is_wanted_is_named(make, name):
    with pytest.raises(TypeError, match=f"`{name}` must be a function .* pass lambda rng: "):
        make("FrozenLake-v1")


def test_a_refused_task_changes_no_stream():
    env = TaskEnv(Bandits())
    env.reset(seed=1)
    before = env.np_random.bit_generator.state
    with pytest.raises(TypeError, match="`task` must be a TabularMDP"):
        env.reset(seed=2, options={"task": "nonsense"})
    assert env.np_random.bit_generator.state == before
    env.step(0)
