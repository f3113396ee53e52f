import copy
import threading

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import RescaleObservation, TimeLimit

import vamdp
from vamdp.domains import SampledEnv


def frozen_lakes(rng, **options):
    """4x4 lakes with one hole."""
    hole = rng.integers(1, 15)
    tiles = list("SFFFFFFFFFFFFFFG")
    tiles[hole] = "H"
    rows = ["".join(tiles[i : i + 4]) for i in range(0, 16, 4)]
    return gymnasium.make("FrozenLake-v1", desc=rows, **options)


def lake(env):
    return env.task.unwrapped.desc.tobytes()


def walk(env, n):
    seen = []
    for k in range(n):
        seen.append(env.step(k % 4)[:4])
        if seen[-1][2] or seen[-1][3]:
            seen.append(env.reset()[0])
    return seen


@pytest.fixture
def env():
    return SampledEnv(frozen_lakes)


def test_a_seed_determines_the_task_and_the_walk(env):
    env.reset(seed=1)
    first = lake(env), walk(env, 50)
    env.reset(seed=2)
    assert lake(env) != first[0]
    env.reset(seed=1)
    assert (lake(env), walk(env, 50)) == first


def test_reset_goes_on_with_the_task_and_its_randomness(env):
    env.reset(seed=1)
    task, first = env.task, walk(env, 50)
    env.reset()
    assert env.task is task
    assert walk(env, 50) != first


def test_tasks_and_their_walks_do_not_depend_on_the_steps_before(env):
    def second(n):
        env.reset(seed=3)
        walk(env, n)
        env.reset(options={"new_task": True})
        return lake(env), walk(env, 50)

    assert second(0) == second(21)


def test_a_given_task_is_set_and_needs_a_reset(env):
    env.reset(seed=0)
    given = env.sample_tasks(1)[0]
    env.reset_task(given)
    assert env.get_task() is given
    with pytest.raises(ResetNeeded, match="No episode is running"):
        env.step(0)
    env.reset(seed=5, options={"task": given, "new_task": True})
    assert env.task is given


def test_what_is_no_fitting_environment_is_refused(env):
    with pytest.raises(TypeError, match=r"`task` must be a gymnasium\.Env, got int"):
        env.set_task(3)
    with pytest.raises(ValueError, match=r"`task.observation_space` must be Discrete\(16\)"):
        env.set_task(gymnasium.make("CliffWalking-v1"))
    with pytest.raises(TypeError, match=r"must return a gymnasium\.Env, got NoneType"):
        SampledEnv(lambda rng: None)
    with pytest.raises(ResetNeeded, match="no task yet"):
        env.get_task()


def test_gymnasium_finds_nothing_wrong():
    def seeded(rng: np.random.Generator):
        return frozen_lakes(rng).unwrapped

    check_env(SampledEnv(seeded), skip_render_check=True)


class Torus(gymnasium.Env):
    """Walks in a ring of `size` places; shown is an angle, of which the state is the place."""

    observation_space = spaces.Box(0, 1, (1,))
    action_space = spaces.Discrete(2)

    def __init__(self, size):
        self.size = size

    def state_key(self, observation):
        return round(float(observation[0]) * self.size)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.place = (self.place + 1) % self.size
        return np.array([self.place / self.size], np.float32), 1.0, False, False, {}


def rings(rng):
    return TimeLimit(Torus(int(rng.integers(3, 9))), 50)


def test_the_present_environments_state_key_is_asked():
    env = SampledEnv(rings)
    augmented = vamdp.ValueAugment(env, task_horizon=50)
    sizes = set()
    for seed in range(6):
        augmented.reset(seed=seed)
        for _ in range(20):
            augmented.step(0)
        size = env.task.unwrapped.size
        assert augmented.estimator.n_states == size
        assert env.state_key(np.array([0.5])) == round(size / 2)
        sizes.add(size)
    assert len(sizes) > 2


def test_a_state_key_that_is_not_of_the_observations_shown_is_not_forwarded():
    env = SampledEnv(lambda rng: RescaleObservation(rings(rng), np.float32(-1), np.float32(1)))
    assert not hasattr(env, "state_key")


def test_environments_without_a_state_key_give_none(env):
    assert not hasattr(env, "state_key")
    assert vamdp.ValueAugment(env, task_horizon=5).layout["state"] == slice(0, 16)


def test_the_time_limit_scales_the_episode_clock():
    assert vamdp.MetaEpisode(SampledEnv(frozen_lakes), 500).task_horizon == 100
    assert not hasattr(SampledEnv(lambda rng: Torus(5)), "task_horizon")
    assert vamdp.MetaEpisode(SampledEnv(lambda rng: Torus(5)), 500).task_horizon == 500


def test_pictures_are_the_present_environments():
    env = SampledEnv(lambda rng: frozen_lakes(rng, render_mode="ansi"))
    assert env.render_mode == "ansi"
    pictures = set()
    for seed in range(5):
        env.reset(seed=seed)
        assert env.render() == env.task.render()
        pictures.add(env.render())
    assert len(pictures) > 2


def test_action_masks_pass():
    taxi = "Taxi-v4" if "Taxi-v4" in gymnasium.registry else "Taxi-v3"
    env = SampledEnv(lambda rng: gymnasium.make(taxi))
    _, info = env.reset(seed=1)
    for action in (0, 1, 2, 3, 4, 5):
        mask = env.task.unwrapped.action_mask(env.task.unwrapped.s)
        np.testing.assert_array_equal(info["action_mask"], mask)
        info = env.step(action)[4]
    augmented = vamdp.ValueAugment(env, task_horizon=200)
    shown, info = augmented.reset(seed=1)
    for _ in range(40):  # a forbidden action reads as the worst allowed one
        mask = np.asarray(info["action_mask"], bool)
        advantage = shown[augmented.layout["advantage"]]
        np.testing.assert_array_equal(advantage[~mask], advantage[mask].min())
        shown, _, _, _, info = augmented.step(int(np.flatnonzero(mask)[-1]))


def test_a_reset_that_fails_can_be_done_again_with_the_tasks_seed():
    seeds = []

    class Strict(gymnasium.Wrapper):
        def reset(self, *, seed=None, options=None):
            seeds.append(seed)
            if options:
                raise KeyError("no such option")
            return self.env.reset(seed=seed)

    env = SampledEnv(lambda rng: Strict(gymnasium.make("FrozenLake-v1")))
    with pytest.raises(KeyError):
        env.reset(seed=1, options={"bad": 1})
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)
    env.reset()
    assert seeds[0] is not None
    assert seeds[1] == seeds[0]


class Closing(gymnasium.Wrapper):
    """Cannot be used once it is closed."""

    n_closed = 0

    def close(self):
        self.n_closed += 1

    def reset(self, **kwargs):
        assert not self.n_closed, "it is closed"
        return self.env.reset(**kwargs)


def test_a_single_environment_is_closed_at_the_end_alone():
    lake = Closing(gymnasium.make("FrozenLake-v1"))
    env = vamdp.SampledEnv(lambda rng: lake)
    env.reset(seed=0)
    assert lake.n_closed == 0
    env.close()
    assert lake.n_closed == 1
    drawn = []

    def draw(rng):
        drawn.append(Closing(gymnasium.make("FrozenLake-v1")))
        return drawn[-1]

    env = vamdp.SampledEnv(draw)
    env.reset(seed=0)
    assert [one.n_closed for one in drawn] == [1, 0]
    vamdp.SampledEnv(draw).close()  # before anything is drawn
    assert drawn[-1].n_closed == 1


def test_what_the_spaces_came_from_is_no_part_of_a_copy_nor_kept_by_a_batch():
    drawn = []

    def draw(rng):
        drawn.append(Closing(gymnasium.make("FrozenLake-v1")))
        drawn[-1].lock = threading.Lock()
        return drawn[-1]

    copy.deepcopy(vamdp.SampledEnv(draw)).reset(seed=0)
    drawn.clear()
    vamdp.SampledVectorEnv(draw, 3)
    assert all(one.n_closed for one in drawn)


def test_a_refused_task_changes_no_stream():
    env = SampledEnv(lambda rng: gymnasium.make("FrozenLake-v1"))
    env.reset(seed=1)
    before = env.np_random.bit_generator.state
    with pytest.raises(TypeError, match=r"`task` must be a gymnasium\.Env"):
        env.reset(seed=2, options={"task": "nonsense"})
    assert env.np_random.bit_generator.state == before
    env.step(0)


def test_a_task_without_the_others_state_key_is_refused():
    env = SampledEnv(lambda rng: gymnasium.make("vamdp/GridWorld-v0", size=11))
    plain = gymnasium.wrappers.TransformObservation(
        gymnasium.make("FrozenLake-v1"), lambda _: None, env.observation_space
    )
    plain.action_space = env.action_space
    with pytest.raises(ValueError, match="`task` must have a `state_key`"):
        env.set_task(plain)


class Named(gymnasium.Env):
    """Has attributes of these names that are no functions."""

    observation_space = action_space = spaces.Discrete(2)
    state_key, action_masks = "name", np.ones(2, bool)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return int(action), 0.0, False, False, {}


def test_attributes_that_are_no_functions_are_not_forwarded():
    env = vamdp.SampledEnv(lambda rng: Named())
    assert not hasattr(env, "state_key") and not hasattr(env, "action_masks")
    env = vamdp.ValueAugment(env, task_horizon=3)
    env.reset(seed=0)
    env.step(1)
    assert env.estimator.n_states == 2
