"""What environments say of themselves: each is asked, and their words may be other people's."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecNormalize

from rl3_sb3 import GymnasiumVecEnv, Symmetry, TransformerPPO
from rl3_sb3.env_attributes import as_length, declared, require_alike


class Plain(gym.Env):
    def __init__(self, seen=2, acts=2, start=0):
        self.observation_space = (
            seen if isinstance(seen, spaces.Space) else spaces.Discrete(seen, start=start)
        )
        self.action_space = acts if isinstance(acts, spaces.Space) else spaces.Discrete(acts)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, True, False, {}


class Named(gym.Wrapper):
    def __init__(self, env, **names):
        super().__init__(env)
        for name, value in names.items():
            setattr(self, name, value)


def sync(fns, kind=SyncVectorEnv, **kwargs):
    return GymnasiumVecEnv(kind(fns, autoreset_mode=AutoresetMode.SAME_STEP, **kwargs))


def processes(fns):
    # Forked ones need not import this module, which is not on their search path.
    return SubprocVecEnv(fns, start_method="fork")


def named(horizon):
    return lambda: Plain() if horizon is None else Named(Plain(), horizon=horizon)


@pytest.mark.parametrize("make", [DummyVecEnv, processes, sync])
@pytest.mark.parametrize("horizons", [[6, 6], [6, None], [None, 6], [None, None]])
def test_each_environment_is_asked(make, horizons):
    env = make([named(horizon) for horizon in horizons])
    assert declared(env, "horizon") == horizons
    env.close()


def test_environments_that_can_only_be_asked_together_are_asked_together():
    for horizons, found in (([6, 4], [6, 4]), ([None, 6], [None, None])):
        env = sync([named(horizon) for horizon in horizons], AsyncVectorEnv)
        assert declared(env, "horizon") == found
        env.reset()
        env.close()


@pytest.mark.parametrize(
    ("value", "length"),
    [
        (6, 6),
        (np.int32(6), 6),
        (np.array(6), 6),
        *((other, None) for other in (0, -6, 6.0, np.inf, None, True, "6", np.array([6]), len)),
    ],
)
def test_a_length_is_a_positive_integer(value, length):
    found = as_length(value)
    assert found == length and type(found) in (int, type(None))


BOX = spaces.Box(-1, 1, (2,))
LARGE, SMALL = spaces.MultiDiscrete([3, 3]), spaces.MultiDiscrete([2, 2], start=[0, 1])


@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [
        ({"seen": 4}, {"seen": 4}, True),
        ({"seen": 4}, {"seen": 5}, False),
        ({"seen": 5}, {"seen": 4}, True),
        ({"seen": 4}, {"seen": 4, "start": 1}, False),
        ({"seen": 4, "start": 1}, {"seen": 4}, False),
        ({"seen": 4}, {"seen": 3, "start": 1}, True),
        ({"seen": LARGE}, {"seen": SMALL}, True),
        ({"seen": SMALL}, {"seen": LARGE}, False),
        ({"seen": SMALL}, {"seen": spaces.MultiDiscrete([2])}, False),
        ({"seen": BOX}, {"seen": spaces.Box(-9, 9, (2,))}, True),
        ({"seen": BOX}, {"seen": spaces.Box(-1, 1, (3,))}, False),
        ({"seen": BOX}, {"seen": spaces.MultiBinary(2)}, False),
        ({"seen": spaces.Dict(a=BOX)}, {"seen": spaces.Dict(b=BOX)}, False),
        ({"seen": spaces.Dict(a=spaces.Discrete(2))}, {"seen": spaces.Dict(a=LARGE)}, False),
        ({"acts": 2}, {"acts": 3}, True),
        ({"acts": 3}, {"acts": 2}, False),
        ({"acts": BOX}, {"acts": spaces.Box(-9, 9, (2,))}, True),
    ],
)
def test_the_others_must_fit_the_spaces_of_the_first(first, second, alike):
    env = DummyVecEnv([lambda: Plain(**first), lambda: Plain(**first), lambda: Plain(**second)])
    if alike:
        require_alike(env)
        return
    name = "action_space" if "acts" in first else "observation_space"
    with pytest.raises(ValueError, match=rf"one `{name}`, got .* in environment 0 .* 2\. Give"):
        require_alike(env)


def test_differing_spaces_are_found_on_construction_and_by_set_env():
    alike, other = (DummyVecEnv([Plain, lambda n=n: Plain(n)]) for n in (2, 3))
    with pytest.raises(ValueError, match=r"one `observation_space`, got .* in environment 1"):
        TransformerPPO("MarkovPolicy", other, n_steps=8)
    model = TransformerPPO("MarkovPolicy", alike, n_steps=8)
    with pytest.raises(ValueError, match=r"one `observation_space`, got .* in environment 1"):
        model.set_env(other)
    assert model.get_env() is alike


def test_differing_spaces_are_found_through_gymnasiums_batch_and_wrappers():
    fns = [lambda: Plain(4), lambda: Plain(5)]
    env = sync(fns, observation_mode="different")
    assert [space.n for space in env.get_attr("observation_space")] == [4, 5]
    assert [space.n for space in env.get_attr("observation_space", 1)] == [5]
    with pytest.raises(ValueError, match=r"Discrete\(5\) in environment 1"):
        require_alike(env)
    boxes = [lambda: Plain(BOX), lambda: Plain(spaces.Box(-1, 1, (2, 1)))]
    with pytest.raises(ValueError, match="in environment 1"):
        require_alike(VecNormalize(DummyVecEnv(boxes)))


def test_the_symmetry_of_one_environment_is_not_taken_for_anothers():
    part = spaces.Box(0, 1, (4,))

    def make(*groups):
        layout = {name: slice(2 * i, 2 * i + 2) for i, name in enumerate(groups)}
        return lambda: Named(Plain(part), layout=layout, layout_space=part, action_parts=("a",))

    same = DummyVecEnv([make("a", "b"), make("a", "b")])
    assert Symmetry.of(same).entries.tolist() == [[0, 1]]
    with pytest.raises(ValueError, match="`env` must have one `layout` for all environments"):
        Symmetry.of(DummyVecEnv([make("a", "b"), make("b", "a")]))
