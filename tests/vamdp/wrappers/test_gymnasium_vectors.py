"""The single wrappers inside Gymnasium's vector environments, under both ways of restarting.

SAME_STEP restarts an ended episode within its last step, and tells the last observation in infos.
NEXT_STEP, the default, shows the last observation, and spends the next call on the restart: that
call takes no action, pays nothing and is no step of the environment, so that nothing may be learned
from it. Both must show what the single environments show, one by one.
"""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit

import vamdp
from vamdp.domains import RandomMDPs, SampledEnv

N, H = 2, 11  # H is no multiple of the episodes' length


def lake():
    return vamdp.ValueAugment(gymnasium.make("FrozenLake-v1"), task_horizon=20)


def lake_meta():
    return vamdp.MetaEpisode(lake(), H)


def random_mdp_meta():
    env = TimeLimit(vamdp.TaskEnv(RandomMDPs(n_states=4, n_actions=4)), 5)
    return vamdp.MetaEpisode(vamdp.ValueAugment(env, task_horizon=5), H)


def held_seed_meta():
    env = vamdp.HoldSeed(gymnasium.make("FrozenLake-v1", max_episode_steps=6))
    return vamdp.MetaEpisode(vamdp.ValueAugment(env, task_horizon=6), H)


def sampled_meta_apart():
    def lakes(rng):
        return gymnasium.make("FrozenLake-v1", is_slippery=bool(rng.integers(2)))

    env = vamdp.ValueAugment(SampledEnv(lakes), task_horizon=20, flatten=False)
    return vamdp.MetaEpisode(env, H, flatten=False)


def rows(observations, i):
    """Observation i of a batch."""
    if isinstance(observations, dict):
        return {name: part[i].copy() for name, part in observations.items()}
    return observations[i].copy()


def lives_of_singles(make, actions):
    """What each single environment shows, reset where it ends: reset observations and steps."""
    lives = []
    for i in range(N):
        env = make()
        life = [env.reset(seed=7 + i)[0]]
        for action in actions[:, i]:
            observation, reward, terminated, truncated, info = env.step(int(action))
            life.append((observation, reward, terminated, truncated, info.get("episode_end")))
            if terminated or truncated:
                life.append(env.reset()[0])
        lives.append(life)
    return lives


def lives_of_same_step(envs, actions):
    lives = [[rows(envs.reset(seed=7)[0], i)] for i in range(N)]
    for row in actions:
        observations, rewards, terminated, truncated, infos = envs.step(row)
        for i in range(N):
            ended = terminated[i] or truncated[i]
            told = infos["final_info"] if ended else infos
            inner = told["episode_end"][i] if "episode_end" in told else None
            shown = infos["final_obs"][i] if ended else rows(observations, i)
            lives[i].append((shown, rewards[i], terminated[i], truncated[i], inner))
            if ended:
                lives[i].append(rows(observations, i))
    return lives


def lives_of_next_step(envs, actions):
    lives = [[rows(envs.reset(seed=7)[0], i)] for i in range(N)]
    taken = [0] * N  # actions of each environment that were no dead steps
    ended = np.zeros(N, bool)
    while min(taken) < len(actions):
        # The action of a dead step is ignored: give a bad one.
        row = [99 if ended[i] else actions[min(taken[i], len(actions) - 1), i] for i in range(N)]
        observations, rewards, terminated, truncated, infos = envs.step(np.array(row))
        for i in range(N):
            if ended[i]:
                assert (rewards[i], terminated[i], truncated[i]) == (0, False, False)
                lives[i].append(rows(observations, i))
            else:
                inner = infos["episode_end"][i] if "episode_end" in infos else None
                step = rows(observations, i), rewards[i], terminated[i], truncated[i], inner
                lives[i].append(step)
                taken[i] += 1
        ended = terminated | truncated
    return lives


@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv], ids=["loop", "processes"])
@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
@pytest.mark.parametrize(
    "make", [lake, lake_meta, random_mdp_meta, held_seed_meta, sampled_meta_apart]
)
def test_single_wrappers_in_a_vector_live_as_they_live_alone(make, mode, kind):
    actions = np.random.default_rng(1).integers(4, size=(3 * H + 4, N))
    expected = lives_of_singles(make, actions)
    envs = kind([make] * N, autoreset_mode=mode)
    lived = lives_of_same_step if mode is AutoresetMode.SAME_STEP else lives_of_next_step
    try:
        lives = lived(envs, actions)
    finally:
        envs.close()
    for life, single in zip(lives, expected, strict=True):
        # Under NEXT_STEP an environment may have gone on while another caught up.
        assert len(life) >= len(single) - 1
        np.testing.assert_equal(life[: len(single)], single[: len(life)])
    assert any(isinstance(moment, tuple) and moment[2] for moment in expected[0][:-2])
