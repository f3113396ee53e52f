"""What an environment gives is read alike alone and in a batch, or refused with the same words.

One table of spaces and of what environments return, played through the single wrappers and through
the batched ones over the same environments. Gymnasium's loop stands between the two: what it casts
itself (a reward of None becomes NaN) never reaches us, so a small batch of our own, `Given`, gives
what simulators give.
"""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

import vamdp
from vamdp import StateBins

X = spaces.Discrete(4)
#: name -> (space, place -> observation in it, observation -> place).
SPACES = {
    "discrete": (X, lambda x: np.int64(x), None),
    "shifted": (spaces.Discrete(4, start=-7), lambda x: np.int64(x - 7), None),
    "box": (spaces.Box(-9, 9, (2, 2)), lambda x: np.full((2, 2), x, np.float32), lambda o: o[0, 0]),
    "scalar": (spaces.Box(0, 9, ()), lambda x: np.array(x, np.float32), float),
    "bytes": (
        spaces.Box(0, 255, (2,), np.uint8),
        lambda x: np.full(2, x, np.uint8),
        lambda o: tuple(o),
    ),
    "binary": (
        spaces.MultiBinary(2),
        lambda x: np.array([x % 2, x // 2], np.int8),
        lambda o: o,  # an array
    ),
    "whole numbers": (
        spaces.MultiDiscrete([[2, 5], [3, 4]], start=[[0, 1], [-2, 0]]),
        lambda x: np.array([[0, 1 + x], [-1, x]]),
        lambda o: o.ravel().tolist(),  # a list
    ),
    "dict in dict": (
        spaces.Dict(agent=spaces.Dict(x=X, v=spaces.Box(0, 9, (1,))), t=spaces.Discrete(2)),
        lambda x: {"agent": {"x": np.int64(x), "v": np.ones(1, np.float32)}, "t": np.int64(x % 2)},
        lambda o: o["agent"]["x"],
    ),
    "tuple in tuple": (
        spaces.Tuple((spaces.Tuple((X, spaces.Discrete(2))), spaces.Box(0, 9, (1,)))),
        lambda x: ((np.int64(x), np.int64(x % 2)), np.full(1, x, np.float32)),
        lambda o: (int(o[0][0]), o[0][1] > 0),  # a NumPy bool
    ),
    "text": (
        spaces.Dict(x=X, mission=spaces.Text(9)),
        lambda x: {"x": np.int64(x), "mission": "go" + "o" * x},
        lambda o: len(o["mission"]),
    ),
    "text alone": (spaces.Text(9), lambda x: "a" * (x + 1), len),
    "one of": (
        spaces.OneOf((X, spaces.Box(0, 9, (1,)))),
        lambda x: (np.int64(0), np.int64(x)),
        lambda o: int(o[1]),
    ),
    "sequence": (spaces.Sequence(X), lambda x: (np.int64(x),) * (x + 1), len),
    "sequence in a dict": (
        spaces.Dict(path=spaces.Sequence(X), x=X),
        lambda x: {"path": tuple(np.int64(k) for k in range(x)), "x": np.int64(x)},
        lambda o: (int(o["x"]), len(o["path"])),
    ),
}
#: Those that no vector of a fixed length holds.
WITHOUT_FORM = ("sequence", "sequence in a dict")


class Walk(gymnasium.Env):
    """Goes on by 1 or 2 from 0, ends at 3; masks forbid the long step now and then."""

    def __init__(self, kind="discrete", mask=None) -> None:
        self.observation_space, self.show, _ = SPACES[kind]
        self.action_space, self.mask = spaces.Discrete(2), mask

    def _seen(self):
        info = {} if self.mask is None else {"action_mask": self.mask(self.x)}
        return self.show(self.x), info

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = 0
        return self._seen()

    def step(self, action):
        self.x = min(self.x + 1 + int(action), 3)
        observation, info = self._seen()
        return observation, float(self.x), self.x == 3, False, info


def assert_same_life(one, batch, n_steps=25):
    """The single environment, and number 1 of the batch, acted on alike."""
    rng = np.random.default_rng(3)
    shown, _ = one.reset(seed=1)
    np.testing.assert_array_equal(batch.reset(seed=0)[0][1], shown)
    n_ends = 0
    for action in rng.integers(2, size=n_steps):
        shown, reward, terminated, truncated, info = one.step(action)
        observations, rewards, terminations, truncations, infos = batch.step(np.full(2, action))
        assert (rewards[1], terminations[1], truncations[1]) == (reward, terminated, truncated)
        if "last_observation" in info:
            last = infos["last_observation"]
            if isinstance(last, dict):
                assert last.keys() == info["last_observation"].keys()
            else:
                np.testing.assert_equal(last[1], info["last_observation"])
        if terminated or truncated:
            np.testing.assert_array_equal(infos["final_obs"][1], shown)
            shown, _ = one.reset()
            n_ends += 1
        np.testing.assert_array_equal(observations[1], shown)
    assert n_ends > 1


@pytest.mark.parametrize("kind", SPACES)
def test_values_of_observations_in_any_space_are_equal_on_both_roads(tools, kind):
    key = SPACES[kind][2]
    how = {"task_horizon": 4, "state_key": key, "show_state": kind not in WITHOUT_FORM}
    one = vamdp.ValueAugment(Walk(kind), **how)
    batch = vamdp.vector.ValueAugment(tools.same_step(lambda: Walk(kind), 2), **how)
    assert_same_life(one, batch)
    assert one.estimator.n_states == 4
    assert batch.estimator.model(1).states == one.estimator.model().states


#: name -> (space, place -> observation in it, place -> its numbers).
WHOLE = {
    "one": (spaces.MultiDiscrete([4]), lambda x: np.array([x]), lambda x: (x,)),
    "whole numbers": (*SPACES["whole numbers"][:2], lambda x: (0, 1 + x, -1, x)),
    "binary": (*SPACES["binary"][:2], lambda x: (x % 2, x // 2)),
    "blackjack": (
        spaces.Tuple((X, spaces.Discrete(9, start=-2))),
        lambda x: (x, 2 * x - 2),
        lambda x: (x, 2 * x - 2),
    ),
    "dict in dict": (
        spaces.Dict(b=spaces.Dict(x=X, m=spaces.MultiBinary(2)), a=spaces.MultiDiscrete([9, 4])),
        lambda x: {"a": np.array([8, x]), "b": {"m": np.array([1, x % 2], np.int8), "x": x}},
        lambda x: (x, 1, x % 2, 8, x),
    ),
    # 100**30 states: one number for all of them would not fit into 64 bits.
    "huge": (
        spaces.MultiDiscrete([100] * 30),
        lambda x: np.array([x] + [99] * 28 + [x // 2]),
        lambda x: (x, *[99] * 28, x // 2),
    ),
}


@pytest.mark.parametrize("show_state", [True, False])
@pytest.mark.parametrize("kind", WHOLE)
def test_observations_of_whole_numbers_are_their_own_keys_on_both_roads(
    tools, kind, show_state, monkeypatch
):
    monkeypatch.setitem(SPACES, kind, WHOLE[kind])
    how = {"task_horizon": 4, "show_state": show_state}
    one = vamdp.ValueAugment(Walk(kind), **how)
    batch = vamdp.vector.ValueAugment(tools.same_step(lambda: Walk(kind), 2), **how)
    assert_same_life(one, batch)
    states = [one.estimator.model().states, batch.estimator.model(1).states]
    for found in states:
        keys = {key if isinstance(key, tuple) else (key,) for (key,), _ in found}
        assert keys == set(map(WHOLE[kind][2], range(4)))
    assert states[0] == states[1]


@pytest.mark.parametrize(
    ("space", "wrong"),
    [
        (spaces.MultiDiscrete([3, 2]), np.array([1, 2])),
        (spaces.MultiDiscrete([3, 2]), np.array([1.0, 1.0])),
        (spaces.MultiBinary(2), np.array([1, 1, 0])),
        (spaces.MultiBinary(2), np.array([2, 0])),
        (spaces.MultiBinary(2), np.array([257, 0])),  # 1 in the space's 8 bits
        (spaces.MultiBinary(2), [257, 0]),
        (spaces.MultiBinary(2), np.array([0.5, 0])),
        (spaces.Dict(x=X, y=X), {"x": 1}),
        (spaces.Dict(x=X, y=X), {"x": 1, "y": 4}),
        (spaces.Tuple((X, X)), (1,)),
    ],
)
def test_numbers_outside_their_space_are_no_key(space, wrong, monkeypatch):
    monkeypatch.setitem(SPACES, "wrong", (space, lambda x: wrong, None))
    env = vamdp.ValueAugment(Walk("wrong"), task_horizon=4, show_state=False)
    with pytest.raises(ValueError, match="The observation of `env` must be in"):
        env.reset(seed=0)


def test_a_batch_of_numbers_outside_their_space_is_refused_too(tools, monkeypatch):
    for wrong in (2, -1):
        observation = np.array([1, wrong], np.int8)
        monkeypatch.setitem(
            SPACES, "wrong", (spaces.MultiBinary(2), lambda x, o=observation: o, None)
        )
        envs = vamdp.vector.ValueAugment(tools.same_step(lambda: Walk("wrong"), 2), task_horizon=4)
        with pytest.raises(ValueError, match=rf"MultiBinary\(2\), got \[ *1 +{wrong}\] from env"):
            envs.reset(seed=0)


@pytest.mark.parametrize("kind", [kind for kind in SPACES if kind not in WITHOUT_FORM])
def test_meta_episodes_of_observations_in_any_space_are_equal_on_both_roads(tools, kind):
    one = vamdp.MetaEpisode(Walk(kind), 7)
    batch = vamdp.vector.MetaEpisode(tools.same_step(lambda: Walk(kind), 2), 7)
    assert_same_life(one, batch)
    # And the state is what Gymnasium makes of it.
    space, show, _ = SPACES[kind]
    for x in range(4):
        vector = np.zeros(spaces.flatdim(space), np.float32)
        one._inner.encoder.write(show(x), vector)
        np.testing.assert_array_equal(vector, spaces.flatten(space, show(x)).astype(np.float32))


MASKS = {
    "arrays": lambda x: np.array([True, x % 2 == 0]),
    "numbers": lambda x: np.array([1, x % 2], np.int8),
    "lists": lambda x: [True, x == 0],
    "none": lambda x: np.array([True, False]) if x % 2 else None,
}


@pytest.mark.parametrize("mask", MASKS)
def test_masks_are_equal_on_both_roads(tools, mask):
    def make():
        return Walk(mask=MASKS[mask])

    one = vamdp.ValueAugment(make(), task_horizon=4)
    batch = vamdp.vector.ValueAugment(tools.same_step(make, 2), task_horizon=4)
    assert_same_life(one, batch)


class Given(VectorEnv):
    """Gives `moment` after its first reset: what a simulator returns, whatever that is."""

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(self, space, start, moment=None) -> None:
        self.num_envs = 2
        self.single_observation_space, self.single_action_space = space, spaces.Discrete(2)
        self.observation_space = batch_space(space, 2)
        self.action_space = batch_space(self.single_action_space, 2)
        self.start, self.moment = start, moment

    def reset(self, *, seed=None, options=None):
        return self.start, {}

    def step(self, actions):
        return self.moment


def given(**changes):
    """A step of `Given` with one thing changed."""
    moment = {
        "observations": np.array([1, 2]),
        "rewards": np.array([1.0, 2.0]),
        "terminated": np.array([False, True]),
        "truncated": np.zeros(2, bool),
        "infos": {"final_obs": np.array([0, 3]), "_final_obs": np.array([False, True])},
    }
    return tuple({**moment, **changes}.values())


def wrapped(env):
    yield vamdp.vector.ValueAugment(env, task_horizon=4)
    yield vamdp.vector.MetaEpisode(env, 9)


def column(values):
    return np.array(values)[:, None]


READ = {
    "lists": {"rewards": [1, 2], "terminated": [False, True], "observations": [1, 2]},
    "numbers": {"terminated": np.array([0, 1]), "truncated": np.zeros(2)},
    "small types": {"rewards": np.array([1, 2], np.int8), "observations": np.array([1, 2], "u1")},
    "objects": {"infos": {"final_obs": np.array([None, 3], object)}},
    "a list of last observations": {"infos": {"final_obs": [None, 3]}},
}


@pytest.mark.parametrize("what", READ)
def test_what_is_no_plain_array_is_read_as_one(what):
    results = []
    for changes in ({}, READ[what]):
        for env in wrapped(Given(X, np.array([0, 0]), given(**changes))):
            env.reset(seed=0)
            shown, *outcome, infos = env.step(np.array([0, 1]))
            last = infos.get("final_obs", infos.get("last_observation"))[1]
            results.append([shown, *outcome, last])
            assert [array.dtype for array in outcome] == [np.float64, bool, bool]
    np.testing.assert_equal(results[2:], results[:2])


def test_tensors_in_ordinary_memory_are_read_as_arrays():
    torch = pytest.importorskip("torch")
    changes = {"rewards": torch.tensor([1.0, 2.0]), "terminated": torch.tensor([False, True])}
    changes["observations"] = torch.tensor([1, 2])
    for env, plain in zip(
        wrapped(Given(X, torch.tensor([0, 0]), given(**changes))),
        wrapped(Given(X, np.array([0, 0]), given())),
        strict=True,
    ):
        np.testing.assert_array_equal(env.reset(seed=0)[0], plain.reset(seed=0)[0])
        ours, theirs = (e.step(np.array([0, 1]))[:4] for e in (env, plain))
        np.testing.assert_equal(ours, theirs)


REFUSED = {
    "a column of rewards": ({"rewards": column([1.0, 2])}, r"`rewards`.*\(2, 1\)"),
    "no rewards": ({"rewards": None}, r"`rewards`.*object of shape \(\)"),
    "words": ({"rewards": ["a", "b"]}, "`rewards` must be numbers"),
    "a column of ends": ({"terminated": column([False, True])}, r"`terminated`.*\(2, 1\)"),
    "no ends": ({"truncated": None}, r"`truncated` must be bools"),
    "other ends": ({"terminated": np.array([0, 2])}, r"`terminated\[1\]`.* got 2"),
    "a column": ({"observations": column([1, 2])}, r"The observations of.*int64.*\(2, 1\)"),
    "real numbers": ({"observations": np.array([1.0, 2.0])}, "observations.*integers.*float64"),
    "below": ({"observations": np.array([1, -1])}, r"in Discrete\(4\), got -1 from environment 1"),
    "above": (
        {"observations": np.array([4, 1], "u1")},
        r"in Discrete\(4\), got 4 from environment 0",
    ),
    "no last one": ({"infos": {}}, '"final_obs" where episodes end, got none'),
    "none at the end": ({"infos": {"final_obs": np.array([3, None], object)}}, "got none"),
    "last outside": ({"infos": {"final_obs": np.array([0, 4])}}, "got 4 from environment 1"),
    "last of another kind": ({"infos": {"final_obs": [0, "goal"]}}, r'"final_obs".*Discrete\(4\)'),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_read_is_refused_by_name_and_the_episodes_are_over(what):
    changes, message = REFUSED[what]
    for env in wrapped(Given(X, np.array([0, 0]), given(**changes))):
        env.reset(seed=0)
        with pytest.raises((ValueError, TypeError), match=message):
            env.step(np.array([0, 1]))
        if isinstance(env, vamdp.vector.ValueAugment):
            assert env.estimator.n_states.tolist() == [0, 0]
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step(np.array([0, 1]))


NESTED = spaces.Dict(a=spaces.Dict(x=spaces.MultiDiscrete([2, 3])), t=spaces.Tuple((X,)))
OUTSIDE = {
    "a whole number": {"a": {"x": np.array([0, 3])}, "t": (np.int64(0),)},
    "below": {"a": {"x": np.array([-1, 1])}, "t": (np.int64(0),)},
    "in a tuple": {"a": {"x": np.array([0, 1])}, "t": (np.int64(4),)},
    "a part is missing": {"a": {}, "t": (np.int64(0),)},
    "another shape": {"a": {"x": np.array([0, 1, 1])}, "t": (np.int64(0),)},
}


@pytest.mark.parametrize("what", OUTSIDE)
def test_a_nested_observation_outside_its_space_is_refused_on_both_roads(tools, what):
    good = {"a": {"x": np.array([0, 1])}, "t": (np.int64(0),)}
    bad = OUTSIDE[what]
    script = tools.Script([(bad, 1.0, False, False, {})], good, NESTED, spaces.Discrete(2))
    try:
        rows = {
            "a": {"x": np.stack([good["a"]["x"], bad["a"]["x"]])},
            "t": (np.array([0, bad["t"][0]]),),
        }
    except (KeyError, ValueError):
        rows = {"a": {name: value[None] for name, value in bad["a"].items()}, "t": (np.zeros(2),)}
    start = {"a": {"x": np.array([[0, 1]] * 2)}, "t": (np.array([0, 0]),)}
    batch = Given(NESTED, start, given(observations=rows, terminated=np.zeros(2, bool)))
    for env, action in (
        (vamdp.MetaEpisode(script, 9), 0),
        (vamdp.vector.MetaEpisode(batch, 9), np.zeros(2, int)),
    ):
        env.reset()
        with pytest.raises(ValueError, match=r"The observation.* of `env` must be"):
            env.step(action)
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step(action)


SEEDS = [3, np.int64(3), np.array(3), [3, 4], (3, 4), np.array([3, 4], np.uint8), range(3, 5)]


@pytest.mark.parametrize("seed", SEEDS, ids=repr)
def test_every_integer_is_a_seed(tools, seed):
    def starts(seed):
        batch = tools.same_step(lambda: gymnasium.make("CartPole-v1"), 2)
        return vamdp.vector.MetaEpisode(batch, 5).reset(seed=seed)[0]

    np.testing.assert_array_equal(starts(seed), starts([3, 4]))
    if np.ndim(seed) == 0:
        one = vamdp.MetaEpisode(gymnasium.make("CartPole-v1"), 5)
        np.testing.assert_array_equal(one.reset(seed=seed)[0], starts(seed)[0])
    assert not np.array_equal(starts([3, None])[1], starts(seed)[1])


@pytest.mark.parametrize("seed", [1.0, "1", -1, np.float64(2)], ids=repr)
def test_what_is_no_seed_is_refused_before_anything_changes(tools, seed):
    single = vamdp.ValueAugment(Walk(), task_horizon=4)
    batch = vamdp.vector.ValueAugment(tools.same_step(Walk, 2), task_horizon=4)
    for env, action, seeds in ((single, 0, (seed,)), (batch, np.zeros(2, int), (seed, [0, seed]))):
        env.reset(seed=0)
        env.step(action)
        for each in seeds:
            with pytest.raises((TypeError, ValueError), match=r"`seed(\[1\])?` must be"):
                env.reset(seed=each)
        env.step(action)  # the episode goes on


@pytest.mark.parametrize(
    "key",
    [
        lambda o: (int(o), o > 1),
        lambda o: [int(o), 0],
        lambda o: np.array([o, 0]),
        lambda o: np.bool_(o > 1),
        lambda o: np.array(o),
    ],
)
@pytest.mark.parametrize("takes_keys", [False, True])
def test_keys_are_equal_on_both_roads(tools, key, takes_keys):
    def learners(n, n_actions):
        return [Stranger(n_actions, task_horizon=4) for _ in range(n)]

    how = {"task_horizon": 4, "state_key": key}
    one = vamdp.ValueAugment(Walk(), **how, estimator=learners(1, 2)[0] if takes_keys else None)
    batch = vamdp.vector.ValueAugment(
        tools.same_step(Walk, 2), **how, estimator=learners if takes_keys else None
    )
    assert_same_life(one, batch)


class Stranger(vamdp.ValueEstimator):
    """Not the very class, so taken as a learner of keys."""


@pytest.mark.parametrize(
    ("reward", "scale", "fits"),
    [
        (3e38, 1.0, True),
        (4e38, 1.0, False),
        (-4e38, 1.0, False),
        (4e38, 100.0, True),
        (1e300, 1e-300, False),
        (np.inf, 1.0, False),
        (np.nan, 1.0, False),
    ],
)
def test_a_meta_episode_shows_a_reward_as_a_number_or_names_it(tools, reward, scale, fits):
    def script():
        return tools.Script([(1, reward, False, False, {})])

    envs = (
        vamdp.MetaEpisode(script(), 5, reward_scale=scale),
        vamdp.vector.MetaEpisode(tools.same_step(script, 2), 5, reward_scale=scale),
    )
    for env, action, name in zip(envs, (0, [0, 0]), ("reward", r"rewards\[0\]"), strict=True):
        env.reset(seed=0)
        if fits:
            shown = np.atleast_2d(env.step(action)[0])[0, env.layout["previous_reward"]]
            np.testing.assert_allclose(shown, reward / scale, rtol=1e-6)
        else:
            with pytest.raises(
                ValueError, match=f"`{name}` must be at most .* times `reward_scale"
            ):
                env.step(action)
            with pytest.raises(gymnasium.error.ResetNeeded):
                env.step(action)


class Careless(Walk):
    """Returns 64 bits where its space promises 32, in which 0.7 is less."""

    def __init__(self):
        super().__init__()
        self.observation_space = spaces.Box(0, 1, (1,), np.float32)
        self.show = lambda x: np.array([(0.1, 0.7, 0.3, 0.9)[x]])


@pytest.mark.parametrize("key", [StateBins(10, 0, 1), lambda o: int(float(o[0]) * 10), tuple])
@pytest.mark.parametrize("show_state", [True, False])
def test_keys_are_those_of_the_spaces_type_on_both_roads(tools, key, show_state):
    how = {"task_horizon": 4, "state_key": key, "show_state": show_state}
    one = vamdp.ValueAugment(Careless(), **how)
    batch = vamdp.vector.ValueAugment(tools.same_step(Careless, 2), **how)
    assert_same_life(one, batch)
    assert batch.estimator.model(1).states == one.estimator.model().states


def test_a_batch_of_another_type_has_the_keys_of_its_spaces_type():
    seen = np.full((2, 1), 0.7)
    moment = given(observations=seen, terminated=np.zeros(2, bool), infos={})
    batch = Given(Careless().observation_space, seen, moment)
    env = vamdp.vector.ValueAugment(batch, task_horizon=4, state_key=StateBins(10, 0, 1))
    env.reset(seed=0)
    env.step(np.array([0, 1]))
    assert [state.members for state in env.estimator.model(1).states] == [(6,)]
