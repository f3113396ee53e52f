"""A seed as the task: what begins one, what keeps it, and what learns in it."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit

import vamdp

N_DOORS = 12


class Doors(gymnasium.Env):
    """One of 12 doors pays and ends the episode; every reset draws which, and every step a wind."""

    observation_space = spaces.Discrete(3)
    action_space = spaces.Discrete(N_DOORS)

    def __init__(self):
        self.resets = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.resets.append((seed, options))
        self.paying = int(self.np_random.integers(N_DOORS))
        return 0, {"paying": self.paying}

    def step(self, action):
        opened = action == self.paying
        return int(self.np_random.integers(3)), float(opened), bool(opened), False, {}


gymnasium.register("test/Doors-v0", Doors)


@pytest.fixture
def env():
    return vamdp.HoldSeed(Doors())


def paying(env):
    return env.unwrapped.paying


def anywhere(observation):
    """The state: the wind that is observed means nothing."""
    return 0


def walk(env, n=20):
    return [env.step((paying(env) + 1) % N_DOORS)[0] for _ in range(n)]


def test_without_it_every_episode_has_another_layout():
    bare = Doors()
    bare.reset(seed=1)
    assert len({bare.reset()[1]["paying"] for _ in range(30)}) > 5


def test_a_bare_reset_keeps_the_layout_and_replays_its_noise(env):
    env.reset(seed=1)
    task, layout, seen = env.task, paying(env), walk(env)
    for _ in range(5):
        env.reset()
        assert (env.task, paying(env)) == (task, layout)
        assert walk(env) == seen


def test_an_explicit_seed_begins_the_stream_of_tasks_anew(env):
    def tasks(seed):
        env.reset(seed=seed)
        first = env.task
        env.reset(options={"new_task": True})
        return first, env.task

    ours = tasks(1)
    assert ours[0] != ours[1]
    assert tasks(2) != ours
    assert tasks(1) == ours


def test_the_first_reset_draws_a_task_where_no_seed_is_given(env):
    with pytest.raises(ResetNeeded, match="no task yet"):
        env.get_task()
    env.reset()
    assert env.unwrapped.resets == [(env.task, None)]
    other = vamdp.HoldSeed(Doors())
    other.reset()
    assert other.task != env.task  # from the system's entropy


def test_tasks_do_not_depend_on_what_was_done(env):
    def second(n):
        env.reset(seed=3)
        walk(env, n)
        env.reset()
        walk(env, n)
        env.reset(options={"new_task": True})
        return env.task

    assert second(0) == second(21)


def test_a_given_task_wins_over_seed_and_new_task(env):
    env.reset(seed=5, options={"task": 0, "new_task": True})
    assert env.task == 0
    env.reset(options={"task": np.int64(17)})
    assert env.task == 17
    assert type(env.task) is int


def test_a_given_task_takes_nothing_from_the_stream(env):
    env.reset(seed=5)
    expected = env.sample_tasks(1)[0]
    env.reset(seed=5)
    env.reset(options={"task": 7})
    env.reset(options={"new_task": True})
    assert env.task == expected


@pytest.mark.parametrize("by", ["set_task", "reset_task"])
def test_changing_the_task_ends_the_episode(env, by):
    env.reset(seed=0)
    getattr(env, by)(11)
    with pytest.raises(ResetNeeded, match="No episode is running"):
        env.step(0)
    env.reset()
    assert env.get_task() == 11
    assert env.unwrapped.resets[-1] == (11, None)


def test_reset_task_draws_what_new_task_draws(env):
    env.reset(seed=0)
    env.reset(options={"new_task": True})
    expected = env.task
    env.reset(seed=0)
    env.reset_task()
    assert env.task == expected


def test_sampled_tasks_leave_the_present_one_and_are_seeds_of_31_bits(env):
    env.reset(seed=0)
    before = env.task
    tasks = env.sample_tasks(1000)
    assert env.task == before
    assert len(set(tasks)) == 1000
    assert 0 <= min(tasks) < 2**24
    assert 2**31 - 2**24 < max(tasks) < 2**31  # the whole range, and nothing beyond


def test_other_options_reach_the_environment_and_callers_keep_theirs(env):
    options = {"task": 3, "new_task": True, "size": 5}
    env.reset(options=options)
    assert env.unwrapped.resets == [(3, {"size": 5})]
    assert options == {"task": 3, "new_task": True, "size": 5}


def test_stepping_needs_a_reset(env):
    with pytest.raises(ResetNeeded, match="No episode is running: call reset"):
        env.step(0)


@pytest.mark.parametrize(
    ("task", "error", "message"),
    [
        ("7", TypeError, "`task` must be an int, used as a seed, got str"),
        (1.0, TypeError, "`task` must be an int, used as a seed, got float"),
        (True, TypeError, "`task` must be an int, used as a seed, got bool"),
        (-1, ValueError, r"`task` must be in \[0, 2\*\*31\), got -1"),
        (2**31, ValueError, r"`task` must be in \[0, 2\*\*31\), got 2147483648"),
    ],
)
@pytest.mark.parametrize("by", ["set_task", "reset_task", "options"])
def test_what_is_no_task_is_refused_and_the_episode_goes_on(env, task, error, message, by):
    env.reset(seed=1)
    present = env.task
    with pytest.raises(error, match=message):
        if by == "options":
            env.reset(seed=2, options={"task": task})
        else:
            getattr(env, by)(task)
    assert env.task == present
    assert len(walk(env, 2)) == 2
    assert env.sample_tasks(1) == vamdp_stream(1)[1:2]


def vamdp_stream(seed, n=3):
    """The tasks that the seed draws, its first included."""
    env = vamdp.HoldSeed(Doors())
    env.reset(seed=seed)
    return [env.task, *env.sample_tasks(n)]


def test_it_is_made_again_from_its_spec_and_its_json():
    env = vamdp.HoldSeed(gymnasium.make("CartPole-v1"))
    text = gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json())
    for twin in (gymnasium.make(env.spec), gymnasium.make(text)):
        assert isinstance(twin, vamdp.HoldSeed)
        np.testing.assert_array_equal(env.reset(seed=4)[0], twin.reset(seed=4)[0])
        assert twin.task == env.task


@pytest.mark.parametrize("by", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_goes_on_by_itself(env, by):
    env.reset(seed=4)
    walk(env, 3)
    twin = by(env)
    assert walk(twin) == walk(env)
    assert twin.sample_tasks(2) == env.sample_tasks(2)


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
def test_gymnasium_finds_nothing_wrong():
    check_env(vamdp.HoldSeed(gymnasium.make("test/Doors-v0").unwrapped), skip_render_check=True)


def wrapped(horizon=30):
    env = TimeLimit(vamdp.HoldSeed(Doors()), 8)
    env = vamdp.ValueAugment(env, task_horizon=8, gamma=0.5, state_key=anywhere)
    return vamdp.MetaEpisode(env, horizon)


def test_values_are_kept_between_episodes_and_forgotten_with_the_layout():
    env = vamdp.ValueAugment(vamdp.HoldSeed(Doors()), task_horizon=8, state_key=anywhere)
    env.reset(seed=1)
    for action in range(N_DOORS):
        if env.step(action)[2]:
            break
    shown, _ = env.reset()
    assert np.argmax(shown[env.layout["advantage"]]) == paying(env)
    assert env.estimator.n_states > 1
    env.reset(options={"new_task": True})
    assert env.estimator.n_states == 0


def test_a_meta_episode_stays_in_one_layout_and_the_next_one_has_another():
    env = wrapped()
    layouts = []
    for _ in range(4):
        env.reset(seed=None if layouts else 1)
        met, over = {(env.get_task(), paying(env))}, False
        while not over:
            _, _, over, _, _ = env.step(0)
            met.add((env.get_task(), paying(env)))
        assert len(met) == 1
        layouts.append(met.pop())
    assert len(set(layouts)) == 4


def test_a_meta_episode_runs_the_layout_that_was_set_and_no_other():
    env = wrapped()
    env.reset(seed=1)
    env.set_task(99)
    env.reset()
    assert env.get_task() == 99
    env.reset()
    assert env.get_task() != 99


def test_an_agent_that_follows_its_values_finds_the_door_once_and_then_at_every_try():
    env = wrapped(horizon=60)
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        rewards = []
        for _ in range(60):
            untried = np.flatnonzero(observation[env.layout["count"]] == 0)
            knows = observation[env.layout["advantage"]].min() < -0.2
            action = observation[env.layout["advantage"]].argmax() if knows else untried[0]
            observation, reward, *_ = env.step(int(action))
            rewards.append(reward)
        found = rewards.index(1.0)
        assert sum(rewards[found:]) >= 0.8 * len(rewards[found:])


@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
def test_a_loop_of_them_equals_single_ones_also_where_an_episode_ends_at_step_h(tools, kind):
    """Foreign environments draw once more there; tasks that are seeds do not."""
    n, H = 2, 16  # the time limit of 8 ends episodes in step H too
    make = lambda: TimeLimit(vamdp.HoldSeed(Doors()), 8)  # noqa: E731  travels to processes
    inner = kind([make] * n, autoreset_mode=AutoresetMode.SAME_STEP)
    options = {"task_horizon": 8, "gamma": 0.5, "state_key": anywhere}
    batch = vamdp.vector.MetaEpisode(vamdp.vector.ValueAugment(inner, **options), H)
    try:
        tools.assert_batch_equals_singles(batch, lambda: wrapped(H), n, (7, None), 3 * H)
        if kind is SyncVectorEnv:
            batch.set_task([5, 6])
            batch.reset()
            assert batch.get_task() == [5, 6]
    finally:
        batch.close()


@pytest.mark.parametrize("wrap", [vamdp.ValueAugment, vamdp.MetaEpisode])
def test_around_what_learns_a_task_it_is_refused(wrap):
    options = {"task_horizon": 5} if wrap is vamdp.ValueAugment else {"horizon": 5}
    inner = wrap(gymnasium.make("FrozenLake-v1"), **options)
    with pytest.raises(ValueError, match=f"`env` must have no {wrap.__name__} inside"):
        vamdp.HoldSeed(inner)


def test_the_seed_that_it_reports_is_the_one_that_it_was_given(env):
    drawn = env.np_random_seed  # nobody gave one yet
    first = env.reset()[1]
    assert env.np_random_seed == drawn
    env.reset(seed=drawn)
    assert env.reset(seed=drawn)[1] == first  # the stream of tasks began with it
    env.reset(seed=7)
    for _ in range(2):
        assert env.np_random_seed == 7
        assert env.unwrapped.np_random_seed == env.task
        env.reset(options={"new_task": True})
