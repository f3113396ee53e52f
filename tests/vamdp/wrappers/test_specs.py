"""What an environment's specification says, and what is made from it."""

import gymnasium
import numpy as np
import pytest

import vamdp


def meta(env, horizon=30):
    return vamdp.MetaEpisode(vamdp.ValueAugment(env, task_horizon=10), horizon)


def test_nothing_truncates_a_meta_episode_and_the_inner_limit_is_a_wrapper():
    inner = gymnasium.make("vamdp/RandomMDP-v0")
    env = meta(inner)
    assert env.spec.max_episode_steps is None
    assert [w.name for w in env.spec.additional_wrappers] == [
        "TimeLimit",
        "ValueAugment",
        "MetaEpisode",
    ]
    assert env.spec.additional_wrappers[0].kwargs == {"max_episode_steps": 10}
    assert inner.spec.max_episode_steps == 10  # whose own was not touched
    assert env.env.spec.max_episode_steps == 10
    outer = gymnasium.wrappers.TimeLimit(env, 7)
    assert outer.spec.max_episode_steps == 7


@pytest.mark.parametrize(
    "make",
    [
        lambda: gymnasium.make("vamdp/RandomMDP-v0"),
        lambda: gymnasium.make("vamdp/RandomMDP-v0", max_episode_steps=4),
        lambda: gymnasium.make("vamdp/GridWorld-v0"),  # without a limit
    ],
)
def test_the_environment_made_from_a_spec_is_the_same_again(make):
    env = meta(make())
    specs = [env.spec, gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json())]
    for spec in specs:
        again = gymnasium.make(spec)
        assert again.spec == env.spec
        one, other = env.reset(seed=3), again.reset(seed=3)
        np.testing.assert_array_equal(one[0], other[0])
        for t in range(30):
            one, other = env.step(t % 5), again.step(t % 5)
            np.testing.assert_array_equal(one[0], other[0])
            assert one[1:4] == other[1:4]
            assert one[4]["episode_end"] == other[4]["episode_end"]
