"""What a learner draws at random depends on the task, not on what was drawn before."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

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


def same_step(n):
    return SyncVectorEnv(
        [lambda: gymnasium.make("vamdp/RandomMDP-v0")] * n, autoreset_mode=AutoresetMode.SAME_STEP
    )


@pytest.mark.parametrize(
    "make", [lambda n: vamdp.TaskVectorEnv(RandomMDPs(), n, max_episode_steps=10), same_step]
)
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
