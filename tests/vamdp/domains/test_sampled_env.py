import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from vamdp.domains import SampledEnv


def frozen_lakes(rng):
    """4x4 lakes with one hole."""
    hole = rng.integers(1, 15)
    tiles = list("SFFFFFFFFFFFFFFG")
    tiles[hole] = "H"
    rows = ["".join(tiles[i : i + 4]) for i in range(0, 16, 4)]
    return gymnasium.make("FrozenLake-v1", desc=rows)


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
