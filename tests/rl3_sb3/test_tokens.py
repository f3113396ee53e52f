"""Which observations become tokens, and how."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv

from rl3_sb3 import MarkovPolicy, TransformerPPO, load_policy
from rl3_sb3.tokens import Tokens

SPACES = {
    "one number": spaces.Box(0, 9, (), np.float32),
    "matrix": spaces.Box(-1, 1, (2, 3), np.float64),
    "integers": spaces.Box(-5, 5, (3,), np.int16),
    "from 0": spaces.Discrete(4),
    "from 1": spaces.Discrete(4, start=1),
    "from below": spaces.Discrete(3, start=-7),
    "several": spaces.MultiDiscrete([2, 3]),
    "several from": spaces.MultiDiscrete([2, 3, 4], start=[5, -1, 0]),
    "bits": spaces.MultiBinary(3),
    "rows of bits": spaces.MultiBinary([2, 3]),
}
DICT = spaces.Dict(SPACES)
ALL = pytest.mark.parametrize("space", [*SPACES.values(), DICT], ids=[*SPACES, "Dict"])
REFUSED = {
    "Text": spaces.Text(3),
    "Tuple": spaces.Tuple([spaces.Discrete(2), spaces.Discrete(3)]),
    "Sequence": spaces.Sequence(spaces.Discrete(2)),
    "Graph": spaces.Graph(spaces.Discrete(2), None),
    "OneOf": spaces.OneOf([spaces.Discrete(2), spaces.Discrete(3)]),
}


class Shows(gym.Env):
    """Shows random elements of a space, in episodes of four steps."""

    action_space = spaces.Discrete(2)

    def __init__(self, space):
        self.observation_space = space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.t = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        self.t += 1
        return self.observation_space.sample(), float(action), False, self.t == 4, {}


def batch(samples):
    if isinstance(samples[0], dict):
        return {key: th.as_tensor(np.stack([s[key] for s in samples])) for key in samples[0]}
    return th.as_tensor(np.stack(samples))


@ALL
def test_tokens_are_what_gymnasium_flattens(space):
    space.seed(1)
    samples = [space.sample() for _ in range(20)]
    tokens = Tokens(space)
    found = tokens.of(batch(samples))
    expected = np.stack([spaces.flatten(space, sample) for sample in samples])
    assert found.dtype == th.float32
    assert found.shape == (20, tokens.size)
    np.testing.assert_array_equal(found, expected.astype(np.float32))


@pytest.mark.parametrize("start", [1, -3, 100])
def test_states_counted_from_elsewhere_are_the_same_states(start):
    states = th.tensor([[0, 2], [1, 0], [1, 1]])
    here, there = (spaces.MultiDiscrete([2, 3], start=[s, s]) for s in (0, start))
    assert Tokens(there).of(states + start).equal(Tokens(here).of(states))
    here, there = (spaces.Discrete(3, start=s) for s in (0, start))
    assert Tokens(there).of(states[:, 1] + start).equal(Tokens(here).of(states[:, 1]))


@ALL
def test_all_spaces_of_sb3_train_act_and_travel(space, tmp_path):
    model = TransformerPPO("MarkovPolicy", Shows(space), n_steps=8, batch_size=8, n_epochs=1)
    model.learn(16)
    model.export(tmp_path / "policy")
    policy = load_policy(tmp_path / "policy")
    space.seed(3)
    for observation in (space.sample() for _ in range(5)):
        action, _ = model.predict(observation, deterministic=True)
        assert action.shape == ()
        assert policy.predict(observation, deterministic=True)[0] == action


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("kind", REFUSED)
def test_other_spaces_are_refused_by_name_on_construction(kind, inside):
    space = spaces.Dict(x=REFUSED[kind], y=spaces.Discrete(2)) if inside else REFUSED[kind]
    message = rf"`observation_space` must be a Box, Discrete, .* got {kind}\(.*FlattenObservation"
    with pytest.raises(ValueError, match=message):
        TransformerPPO("MarkovPolicy", Shows(space), n_steps=8)
    with pytest.raises(ValueError, match=message):
        MarkovPolicy(space, spaces.Discrete(2), lambda _: 1e-3, context_length=2)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Dict(a=spaces.Dict(b=spaces.Discrete(2))), r"got Dict\(.* at 'a'"),
        (spaces.MultiDiscrete([[2, 2], [2, 2]]), "MultiDiscrete parts of one axis"),
        (spaces.Dict(), "at least one number"),
        (spaces.Box(0, 1, (0,)), "at least one number"),
    ],
)
def test_what_is_no_flat_list_of_numbers_is_refused_on_construction(space, message):
    with pytest.raises(ValueError, match=f"`observation_space` must .*{message}"):
        TransformerPPO("MarkovPolicy", Shows(space), n_steps=8)


def test_flattened_as_the_error_says_they_train():
    env = gym.wrappers.FlattenObservation(Shows(REFUSED["Tuple"]))
    TransformerPPO("MarkovPolicy", env, n_steps=8, batch_size=8, n_epochs=1).learn(8)


def test_another_environment_is_checked_as_the_first_was():
    model = TransformerPPO("MarkovPolicy", Shows(DICT), n_steps=8)
    with pytest.raises(ValueError, match="`observation_space` must be a Box"):
        model.set_env(Shows(REFUSED["Text"]))
    with pytest.raises(ValueError, match=r"Pass GymnasiumVecEnv\(env\)"):
        model.set_env(gym.make_vec("CartPole-v1", 1))


@pytest.mark.parametrize(("seen", "start"), [(5, 1), (0, 1), (4, 0), (-1, 0)])
def test_a_state_outside_its_space_is_named(seen, start):
    class Strays(Shows):
        def step(self, action):
            _, *rest = super().step(action)
            return np.int64(seen), *rest

    space = spaces.Discrete(4, start=start)
    env = DummyVecEnv([lambda: Shows(space), lambda: Strays(space)])
    model = TransformerPPO("MarkovPolicy", env, n_steps=8)
    message = rf"`env` must give observations in its space, got {seen} in row 1 .*Discrete\(4"
    with pytest.raises(ValueError, match=message):
        model.learn(8)
