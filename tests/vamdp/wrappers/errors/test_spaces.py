import copy
import math
import re

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

import vamdp

from .lakes import KINDS


@pytest.mark.parametrize("package", [vamdp, vamdp.vector])
def test_more_real_numbers_than_bins_are_good_for_need_a_state_key(package, tools):
    env = tools.Script([], np.zeros(9, np.float32), spaces.Box(0, 1, (9,)))
    if package is vamdp.vector:
        env = tools.same_step(lambda: env, 1)
    with pytest.raises(ValueError, match=r"`state_key` must map .*Real numbers hardly ever"):
        package.ValueAugment(env, task_horizon=5)


def test_a_state_without_a_flat_form_is_refused_with_a_remedy(tools):
    env = tools.Script([], observation_space=spaces.Sequence(spaces.Discrete(3)))
    with pytest.raises(ValueError, match=r"flattenable.*show_state=False"):
        vamdp.ValueAugment(env, task_horizon=5, state_key=tuple)
    vamdp.ValueAugment(env, task_horizon=5, state_key=tuple, show_state=False)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (lambda x: "left", "must be an int or a tuple of numbers, got 'left'"),
        (lambda x: None, "got None"),
        (lambda x: (1, math.nan), "must be finite"),
        (lambda x: 2**60, r"below 2\*\*53"),
        (lambda x: (0,) * (1 + x), "must have 1 numbers"),
    ],
)
def test_a_state_key_of_another_kind_is_refused(tools, key, message):
    env = vamdp.ValueAugment(
        tools.Script([(1, 1.0, False, False, {})]), task_horizon=5, state_key=key
    )
    with pytest.raises((ValueError, TypeError), match=r"`state_key\(observation\)`.*" + message):
        env.reset()
        env.step(0)
    assert env.estimator.n_states == 0


@pytest.mark.parametrize("key", [lambda x: "left", lambda x: None, lambda x: (0,) * (1 + int(x))])
def test_a_state_key_of_another_kind_is_refused_in_a_batch(tools, key):
    starts = iter([0, 1])
    inner = tools.same_step(
        lambda: tools.Script([(1, 1.0, False, False, {})], start=next(starts)), 2
    )
    env = vamdp.vector.ValueAugment(inner, task_horizon=5, state_key=key)
    with pytest.raises(ValueError, match="`state_key` must return an int or a tuple of numbers"):
        env.reset()


PICTURE = spaces.Box(0, 255, (3, 3), np.uint8)


REAL = spaces.Box(0, 1, (2,))

WITHOUT_NUMBERS = [
    spaces.Text(5),
    spaces.Sequence(spaces.Discrete(3)),
    spaces.Graph(spaces.Discrete(3), None),
]
if hasattr(spaces, "OneOf"):  # in newer versions of Gymnasium only
    WITHOUT_NUMBERS.append(spaces.OneOf([spaces.Discrete(9), REAL]))


@pytest.mark.parametrize(
    "space",
    [
        PICTURE,
        spaces.Dict({"place": PICTURE}),
        spaces.Dict({"place": spaces.Discrete(3), "way": REAL}),
        spaces.Tuple((spaces.Discrete(3), REAL)),
        spaces.Tuple((PICTURE, REAL)),
        spaces.Dict({"room": spaces.Dict({"place": PICTURE})}),
        *WITHOUT_NUMBERS,
        spaces.Dict({"way": spaces.Text(3)}),
        spaces.Tuple((spaces.Graph(REAL, None), PICTURE)),
    ],
    ids=str,
)
def test_a_missing_state_key_comes_with_a_remedy_that_works_in_its_space(tools, space):
    space.seed(0)
    env = tools.Script([], space.sample(), space)
    with pytest.raises(ValueError) as error:
        vamdp.ValueAugment(env, task_horizon=10)
    remedy = re.search(r"state_key=(lambda observation.*?\)\))", str(error.value)).group(1)
    key = eval(remedy, {"np": np})
    shown = "show_state=False" not in str(error.value)
    vamdp.ValueAugment(env, task_horizon=10, state_key=key, show_state=shown).reset()
    samples = [space.sample() for _ in range(20)]
    if "numbers" in remedy:
        assert [key(one) for one in samples] == [key(copy.deepcopy(one)) for one in samples]
        assert len({key(one) for one in samples}) == len({repr(one) for one in samples}) > 2
    else:
        assert len(key(samples[0])) == (9 if PICTURE in spaces_in(space) else 1)


def spaces_in(space):
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        parts = space.values() if isinstance(space, spaces.Dict) else space
        return [inner for part in parts for inner in spaces_in(part)]
    return [space]


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 1, (0,)),
        spaces.Box(0, 5, (2, 0), np.int64),
        spaces.Dict({}),
        spaces.Tuple(()),
        spaces.Dict({"nothing": spaces.Tuple(())}),
    ],
    ids=str,
)
def test_observations_that_hold_nothing_come_with_a_remedy_that_works(tools, space):
    env = tools.Script([], space.sample())
    env.observation_space = space
    with pytest.raises(ValueError, match=r"holds nothing: pass state_key=lambda observation: 0 a"):
        vamdp.ValueAugment(env, task_horizon=10)
    key = {"state_key": lambda observation: 0, "show_state": False}
    vamdp.ValueAugment(env, task_horizon=10, **key).reset()
    if not isinstance(space, spaces.Box):  # an empty Box is shown by nothing
        with pytest.raises(ValueError, match=r"`env\.observation_space` must be flattenable"):
            vamdp.MetaEpisode(env, 10)


@pytest.mark.parametrize("estimator", [None, "kernel"])
@pytest.mark.parametrize("package", [vamdp, vamdp.vector])
def test_an_observation_too_large_is_not_called_a_key(tools, package, estimator):
    def script():
        space = spaces.Box(-np.inf, np.inf, (1,), np.float64)
        return tools.Script([], np.array([1e17]), space)

    env = script() if package is vamdp else tools.same_step(script, 2)
    env = package.ValueAugment(env, task_horizon=10, estimator=estimator)
    message = r"^`observations?(\[0\])?` must be finite and below 2\*\*53 in size, got .*1e\+17"
    with pytest.raises(ValueError, match=message + r".* Choose other units\.$"):
        env.reset(seed=0)


@pytest.mark.parametrize("package", [vamdp, vamdp.vector])
def test_the_cells_that_the_remedy_for_real_numbers_makes_are_the_states(package, tools):
    seen = [np.full(9, x, np.float32) for x in (0.0, 0.15, 0.25)]
    steps = [(o, 0.0, False, False, {}) for o in seen[1:]]

    def make(**key):
        def script():
            return tools.Script(steps, seen[0], spaces.Box(-1, 1, (9,)))

        env = script() if package is vamdp else tools.same_step(script, 1)
        return package.ValueAugment(env, task_horizon=5, **key)

    with pytest.raises(ValueError) as error:
        make()
    remedy = re.search(r"lambda o: tuple\(.*?\.astype\(int\)\)", str(error.value)).group()
    env = make(state_key=eval(remedy, {"np": np}))
    env.reset(seed=0)
    shown = [np.ravel(env.step(0 if package is vamdp else [0])[0]) for _ in range(2)]
    states = (env.estimator.model() if package is vamdp else env.estimator.model(0)).states
    assert [key for (key,), _ in states] == [(0, 0), (1, 1)]
    np.testing.assert_array_equal([vector[:9] for vector in shown], seen[1:])


class Huge(gymnasium.Env):
    def __init__(self, observations=None, actions=None):
        self.observation_space = observations or spaces.Discrete(2)
        self.action_space = actions or spaces.Discrete(2)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(2**40),
        spaces.Discrete(3 * 10**8),
        spaces.Dict(a=spaces.Discrete(2), b=spaces.Discrete(2**40)),
        spaces.MultiDiscrete([2**30, 5]),
    ],
)
@pytest.mark.parametrize("package", [vamdp, vamdp.vector])
def test_a_state_too_large_to_show_is_refused_before_it_is_made(package, space):
    env = Huge(space)
    if package is vamdp.vector:
        env = gymnasium.vector.VectorEnv()
        env.num_envs, env.metadata = 2, {"autoreset_mode": AutoresetMode.SAME_STEP}
        env.single_observation_space, env.single_action_space = space, spaces.Discrete(2)
        env.observation_space, env.action_space = space, spaces.MultiDiscrete([2, 2])
    for wrap in (
        lambda: package.ValueAugment(env, task_horizon=5, state_key=hash),
        lambda: package.MetaEpisode(env, 5),
    ):
        with pytest.raises(ValueError, match=r"at most 16777216 entries .* Pass show_state=False"):
            wrap()


def test_actions_too_many_for_tables_are_refused():
    for wrap in (
        lambda: vamdp.ValueAugment(Huge(actions=spaces.Discrete(2**40)), task_horizon=5),
        lambda: vamdp.MetaEpisode(Huge(actions=spaces.Discrete(2**40)), 5),
    ):
        with pytest.raises(ValueError, match=r"`env.action_space` must have at most 1048576 actio"):
            wrap()


@pytest.mark.parametrize("key", [2**60, -(2**53), 2**64, (1, 2**60)])
@pytest.mark.parametrize(("package", "make"), KINDS, ids=["single", "batch"])
def test_a_key_too_large_says_how_to_split_it(package, make, key):
    env = package.ValueAugment(make(), task_horizon=5, state_key=lambda observation: key)
    with pytest.raises(ValueError, match=r"below 2\*\*53 in size, .*\(key >> 32, key & 0xFFFFFF"):
        env.reset(seed=0)


def test_halves_of_a_hash_are_a_key():
    key = hash((1, "x")) | 2**62
    halves = (key >> 32, key & 0xFFFFFFFF)
    assert halves[0] * 2**32 + halves[1] == key
    for package, make in KINDS:
        env = package.ValueAugment(make(), task_horizon=5, state_key=lambda observation: halves)
        env.reset(seed=0)
