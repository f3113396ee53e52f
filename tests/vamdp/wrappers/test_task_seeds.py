"""What a learner draws at random depends on the task, not on what was drawn before."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import vamdp
from vamdp.domains import RandomMDPs

REPLAY = {"task_horizon": 10, "estimator": "q-learning", "n_replayed": 5}
H = 20


def single(seed):
    env = vamdp.ValueAugment(gymnasium.make("vamdp/RandomMDP-v0"), **REPLAY)
    env = vamdp.MetaEpisode(env, H)
    env.reset(seed=seed)
    return env


def live(env, rng):
    """One meta-episode at random in the present task; returns all that was seen."""
    return np.array([env.step(int(rng.integers(5)))[0] for _ in range(H)])


def test_the_second_tasks_draws_do_not_depend_on_how_the_first_was_lived():
    seen = []
    for n_steps_before in (3, H):
        env = single(seed=4)
        for _ in range(n_steps_before):
            env.step(1)
        env.reset()
        seen.append(live(env, np.random.default_rng(0)))
    np.testing.assert_array_equal(seen[0], seen[1])


def test_replayed_transitions_differ_between_tasks_that_are_lived_alike():
    task = RandomMDPs()(np.random.default_rng(0))
    env = vamdp.ValueAugment(gymnasium.make("vamdp/RandomMDP-v0"), **REPLAY)
    keys = []
    for _ in range(2):
        env.reset(options={"task": task})
        keys.append(env.unwrapped.task_seed)
    assert keys[0] != keys[1]
    seeds = []
    env.estimator.begin_tasks = lambda rows, given: seeds.extend(given)
    env.reset(options={"task": task})
    env.reset_task()
    assert seeds == [*seeds[:1], env.unwrapped.task_seed] and seeds[0] not in keys
    env.reset(seed=7)
    assert seeds[-1] == 7, "a seed that is given counts more"
    env.forget()
    assert seeds[-1] is None, "the same task goes on drawing"


def engine(n):
    return vamdp.TaskVectorEnv(RandomMDPs(), n, max_episode_steps=10)


def loop(n):
    make = lambda: gymnasium.make("vamdp/RandomMDP-v0")  # noqa: E731
    return SyncVectorEnv([make] * n, autoreset_mode=AutoresetMode.SAME_STEP)


def processes(n):
    make = lambda: gymnasium.make("vamdp/RandomMDP-v0")  # noqa: E731
    return AsyncVectorEnv([make] * n, autoreset_mode=AutoresetMode.SAME_STEP)


@pytest.mark.parametrize("make", [engine, loop, processes])
def test_rows_of_a_batch_draw_what_single_environments_draw_in_every_task(make):
    envs = vamdp.vector.MetaEpisode(vamdp.vector.ValueAugment(make(3), **REPLAY), H)
    seen, _ = envs.reset(seed=4)
    singles = [single(4 + i) for i in range(3)]
    rng = np.random.default_rng(1)
    for t in range(3 * H):
        actions = rng.integers(5, size=3)
        seen, *_, infos = envs.step(actions)
        for i, env in enumerate(singles):
            alone, _, over, _, _ = env.step(int(actions[i]))
            if over:
                np.testing.assert_array_equal(infos["final_obs"][i], alone)
                alone, _ = env.reset()
            np.testing.assert_array_equal(seen[i], alone, err_msg=f"step {t}")
    envs.close()


def test_without_a_task_there_is_no_seed():
    env = vamdp.TaskEnv(RandomMDPs())
    assert env.task_seed is None
    envs = vamdp.TaskVectorEnv(RandomMDPs(), 2)
    assert envs.task_seeds == [None, None]
    envs.reset(seed=0)
    first = envs.task_seeds
    assert len(set(first)) == 2
    envs.reset()
    assert envs.task_seeds == first, "an episode keeps its task"


class Seeded(gymnasium.Wrapper):
    """Calls something else its task_seed."""

    def __init__(self, env, seed):
        super().__init__(env)
        self.task_seed = seed


def lake():
    return gymnasium.make("FrozenLake-v1", map_name="4x4")


def batch_of(makes):
    return SyncVectorEnv(makes, autoreset_mode=AutoresetMode.SAME_STEP)


def test_each_environment_of_a_loop_has_its_own_task_seed_or_none():
    makes = [lake, lambda: Seeded(lake(), 12)]
    for order in (makes, makes[::-1]):
        env = vamdp.vector.ValueAugment(batch_of(order), **REPLAY)
        env.reset(seed=0)
        told = []
        env.estimator.begin_tasks = lambda rows, seeds: told.append(list(seeds))  # noqa: B023
        env.reset_task()
        env.reset(seed=[None, 3])
        env.reset()
        assert len(told) == 2
        own = [None if make is lake else 12 for make in order]
        assert told == [own, [own[0], 3]]


@pytest.mark.parametrize("value", ["today", 1.5, None, -3, [1]], ids=repr)
def test_a_task_seed_that_is_no_number_is_ignored(value):
    alone = vamdp.ValueAugment(Seeded(lake(), value), **REPLAY)
    batch = vamdp.vector.ValueAugment(batch_of([lambda: Seeded(lake(), value)] * 2), **REPLAY)
    for env in (alone, batch):
        env.reset(seed=0)
        told = []
        env.estimator.begin_tasks = lambda rows, seeds: told.append(list(seeds))  # noqa: B023
        env.reset_task()
        assert told == [[None] * env.estimator.n_tasks]


def hold_seed():
    return vamdp.HoldSeed(gymnasium.make("FrozenLake-v1", map_name="4x4"))


def sampled():
    return vamdp.domains.SampledEnv(
        lambda rng: gymnasium.make(
            "FrozenLake-v1", desc=["SFFF", "FFFF", "FF" + "FH"[rng.integers(2)] + "F", "FFFG"]
        )
    )


@pytest.mark.parametrize("make", [hold_seed, sampled])
def test_tasks_of_every_kind_seed_the_draws_in_them(make):
    """The lives in the first task differ; those in the second are one, and are seen as one."""

    def second_task(n_steps_before, by):
        # Where every transition disappoints, each draw from the memory shows.
        env = vamdp.ValueAugment(make(), **REPLAY, initial_value=1.0)
        env = vamdp.MetaEpisode(env, 80)
        env.reset(seed=4)
        for t in range(n_steps_before):
            env.step(t % 4)
        if by == "reset_task":
            env.reset_task()
        env.reset()
        rng = np.random.default_rng(0)
        return [env.step(int(rng.integers(4)))[0] for _ in range(80)]

    for by in ("reset", "reset_task"):
        np.testing.assert_array_equal(second_task(3, by), second_task(41, by))


@pytest.mark.parametrize("make", [hold_seed, sampled])
def test_every_task_has_a_seed_of_its_own_and_episodes_keep_it(make):
    env, seeds = make(), []
    assert env.task_seed is None
    for t in range(4):
        env.reset(seed=None if t else 4, options={"new_task": t > 0})
        seeds.append(env.task_seed)
        env.step(1)
        env.reset()
        assert env.task_seed == seeds[-1]
    assert len(set(seeds)) == 4
    env.reset(seed=4)
    assert env.task_seed == seeds[0]
