import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.wrappers import TimeLimit

import vamdp
from vamdp.domains import Bandits, RandomMDPs


def test_a_meta_episode_has_exactly_its_steps_and_restarts_cost_none(tools):
    """Ends after 3, 1, 4, ... steps; the environment sees H actions and one reset per end."""
    ends = [False, False, True, True, False, False, False, True]
    steps = [(1, float(i), end, False, {}) for i, end in enumerate(ends)]
    script = tools.Script(steps, start=2)
    env = vamdp.MetaEpisode(script, 12)
    env.reset(seed=0)
    results = [env.step(i % 3) for i in range(12)]
    assert [r[2] for r in results] == [False] * 11 + [True]
    assert not any(r[3] for r in results)
    assert [r[1] for r in results] == [float(i % 8) for i in range(12)]
    assert len(script.actions) == 12
    # Ends at steps 3, 4, 8, 11 restart; step 12 ends too, and does not.
    assert script.resets == [(0, None)] + [(None, None)] * 4
    assert [r[4]["episode_end"] for r in results] == [*ends, *ends[:4]]
    with pytest.raises(ResetNeeded, match="12 steps is over"):
        env.step(0)
    assert len(script.actions) == 12


@pytest.mark.parametrize(("terminated", "truncated"), [(True, False), (False, True), (True, True)])
def test_an_inner_end_shows_the_next_start_and_tells_the_last_observation(
    tools, terminated, truncated
):
    inner = {"key": 7, "episode": {"r": 1.0}}
    script = tools.Script(
        [(1, 2.5, terminated, truncated, inner)], 3, start_info={"fresh": 1, "episode": 4}
    )
    env = vamdp.MetaEpisode(script, 2, reward_scale=5.0)
    assert env.reset()[1] == {"fresh": 1}
    shown, reward, ended, cut, info = env.step(2)
    assert (reward, ended, cut) == (2.5, False, False)
    assert info == {
        "fresh": 1,
        "episode_end": True,
        "last_observation": 1,
        "last_info": {"key": 7},
    }
    assert shown.tolist() == [0, 0, 0, 1, 0, 0, 0, 1, 0.5, 0, 0.5]
    # At step H the observation is the true last one.
    shown, _, ended, cut, info = env.step(0)
    assert (ended, cut) == (True, False)
    assert info == {"key": 7, "episode_end": True}
    assert shown.tolist() == [0, 1, 0, 0, 0, 1, 0, 0, 0.5, 0.5, 1]
    assert inner == {"key": 7, "episode": {"r": 1.0}}  # the environment's own dict


def test_an_episode_cut_by_the_last_step_does_not_end(tools):
    env = vamdp.MetaEpisode(tools.Script([(1, 0.0, False, False, {})]), 1)
    env.reset()
    _, _, ended, _, info = env.step(0)
    assert ended
    assert info == {"episode_end": False}


def test_the_layout_continues_the_inner_one():
    env = vamdp.MetaEpisode(
        vamdp.ValueAugment(vamdp.TaskEnv(Bandits()), task_horizon=1, show_state=False), 10
    )
    assert list(env.layout.items()) == [
        ("advantage", slice(0, 5)),
        ("value", slice(5, 6)),
        ("count", slice(6, 11)),
        ("previous_action", slice(11, 16)),
        ("previous_reward", slice(16, 17)),
        ("episode_time", slice(17, 18)),
        ("meta_time", slice(18, 19)),
    ]
    low = [-np.inf] * 6 + [0] * 5 + [0] * 5 + [-np.inf, 0, 0]
    high = [0] * 5 + [np.inf] * 6 + [1] * 5 + [np.inf, np.inf, 1]
    np.testing.assert_array_equal(env.observation_space.low, np.array(low, np.float32))
    np.testing.assert_array_equal(env.observation_space.high, np.array(high, np.float32))


@pytest.mark.parametrize(
    ("space", "observation", "flat"),
    [
        (spaces.Discrete(3, start=1), 2, [0, 1, 0]),
        (spaces.Box(0, 255, (2, 2), np.uint8), np.array([[1, 2], [3, 4]], np.uint8), [1, 2, 3, 4]),
        (
            spaces.Tuple((spaces.Discrete(2), spaces.Box(-1, 1, (1,)))),
            (1, np.array([0.5], np.float32)),
            [0, 1, 0.5],
        ),
        (
            spaces.Dict({"b": spaces.Discrete(2), "a": spaces.MultiBinary(2)}),
            {"b": 0, "a": np.array([1, 0], np.int8)},
            [1, 0, 1, 0],
        ),
    ],
)
def test_a_plain_observation_is_the_part_state(tools, space, observation, flat):
    env = vamdp.MetaEpisode(tools.Script([], observation, space), 3)
    assert env.layout["state"] == slice(0, len(flat))
    shown = env.reset()[0]
    assert shown.dtype == np.float32
    assert shown.tolist() == [*flat, 0, 0, 0, 0, 0, 0]
    assert env.observation_space.contains(shown)


def test_episode_time_is_a_share_of_the_first_horizon_known(tools):
    plain = vamdp.TaskEnv(RandomMDPs())
    limited = gymnasium.make("vamdp/RandomMDP-v0")

    def scale(env, **options):
        env = vamdp.MetaEpisode(env, 50, **options)
        env.reset(seed=0)
        assert env.step(0)[0][env.layout["episode_time"]] == np.float32(1 / env.task_horizon)
        return env.task_horizon

    assert scale(plain) == 50
    assert scale(limited) == 10
    assert scale(vamdp.ValueAugment(limited, task_horizon=7)) == 7
    assert scale(vamdp.ValueAugment(limited, task_horizon=7), task_horizon=3) == 3
    batch = vamdp.TaskVectorEnv(RandomMDPs(), 2)
    assert vamdp.vector.MetaEpisode(batch, 50).task_horizon == 50
    batch = vamdp.vector.ValueAugment(batch, task_horizon=7)
    assert vamdp.vector.MetaEpisode(batch, 50).task_horizon == 7


def test_the_task_horizon_ends_no_episode():
    env = vamdp.MetaEpisode(vamdp.TaskEnv(RandomMDPs()), 30, task_horizon=5)
    env.reset(seed=0)
    results = [env.step(0) for _ in range(30)]
    assert not any(r[4]["episode_end"] for r in results)
    assert results[-1][0][env.layout["episode_time"]] == 6
    assert env.observation_space.contains(results[-1][0])


def test_the_reward_scale_changes_only_what_is_shown():
    envs = [vamdp.MetaEpisode(vamdp.TaskEnv(RandomMDPs()), 9, reward_scale=c) for c in (1.0, 8.0)]
    for env in envs:
        env.reset(seed=0)
    part = envs[0].layout["previous_reward"]
    for _ in range(9):
        (plain, reward, *_), (scaled, same, *_) = (env.step(1) for env in envs)
        assert reward == same != 0
        assert plain[part] == np.float32(reward)
        assert scaled[part] == np.float32(reward / 8)


@pytest.mark.parametrize("inner", [True, False])
@pytest.mark.parametrize("outer", [True, False])
def test_flat_and_dict_forms_hold_the_same_parts(tools, inner, outer):
    def build(inner, outer):
        env = TimeLimit(vamdp.TaskEnv(tools.blackjack_like), 4)
        env = vamdp.ValueAugment(env, task_horizon=5, flatten=inner)
        return vamdp.MetaEpisode(env, 12, flatten=outer)

    env, flat = build(inner, outer), build(True, True)
    assert env.layout == flat.layout
    for ours, theirs in zip(tools.play(env, 2, 30), tools.play(flat, 2, 30), strict=True):
        assert env.observation_space.contains(ours[0])
        for name, part in flat.layout.items():
            mine = ours[0][part] if outer else ours[0][name]
            np.testing.assert_array_equal(mine, theirs[0][part])
        assert ours[1:4] == theirs[1:4]


def test_a_meta_episode_changes_no_reward_and_no_dynamics(tools):
    """Bare and wrapped on one seed, up to the first task's end."""
    bare = TimeLimit(vamdp.TaskEnv(tools.blackjack_like), 6)
    env = vamdp.MetaEpisode(TimeLimit(vamdp.TaskEnv(tools.blackjack_like), 6), 40)
    (shown, _), (state, _) = env.reset(seed=8), bare.reset(seed=8)
    for t in range(40):
        assert shown[env.layout["state"]].argmax() == state
        shown, reward, _, _, info = env.step(t % 2)
        state, expected, terminated, truncated, _ = bare.step(t % 2)
        assert reward == expected
        assert info["episode_end"] == (terminated or truncated)
        if (terminated or truncated) and t < 39:
            assert info["last_observation"] == state
            state, _ = bare.reset()
    assert shown[env.layout["state"]].argmax() == state


class Reusing(gymnasium.Env):
    """Writes every observation into the same array."""

    observation_space = gymnasium.spaces.Box(-10, 10, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self):
        self.seen = np.zeros(2, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seen[:] = 0
        return self.seen, {}

    def step(self, action):
        self.seen += 1
        return self.seen, 0.0, bool(self.seen[0] == 3), False, {}


def test_the_last_observation_of_an_episode_is_not_overwritten_by_the_next():
    env = vamdp.MetaEpisode(Reusing(), 10)
    env.reset(seed=0)
    lasts = [env.step(0)[-1].get("last_observation") for _ in range(6)]
    np.testing.assert_array_equal([lasts[2], lasts[5]], [[3, 3], [3, 3]])
