import math
import re

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import vamdp
from vamdp.domains import Bandits


def lake():
    return gymnasium.make("FrozenLake-v1")


def lakes(mode=AutoresetMode.SAME_STEP):
    return SyncVectorEnv([lake] * 2, autoreset_mode=mode)


KINDS = [(vamdp, lake), (vamdp.vector, lakes)]


@pytest.mark.parametrize(("package", "make"), KINDS, ids=["single", "batch"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task_horizon": 0}, "`task_horizon` must be an integer of at least 1, got 0"),
        ({"task_horizon": 2.5}, "`task_horizon` must be an integer of at least 1, got 2.5"),
        ({"value_scale": 0.0}, "`value_scale` must be finite and above 0, got 0.0"),
        ({"value_scale": math.inf}, "`value_scale` must be finite and above 0, got inf"),
        ({"count_scale": -1}, "`count_scale` must be finite and above 0, got -1"),
        ({"count_scale": math.nan}, "`count_scale` must be finite and above 0, got nan"),
        ({"warm_start": True}, "`warm_start` must be False if `gamma` is 1"),
        ({"gamma": 1.2}, "`gamma` must be in"),
        ({"state_key": 3}, "`state_key` must be callable, got 3"),
        ({"reward_model": "mean"}, "`reward_model` must be"),
    ],
)
def test_options_of_value_augment_out_of_range_are_refused(package, make, options, message):
    with pytest.raises(ValueError, match=message):
        package.ValueAugment(make(), **{"task_horizon": 5, **options})


@pytest.mark.parametrize(("package", "make"), KINDS, ids=["single", "batch"])
def test_unknown_options_are_refused(package, make):
    with pytest.raises(TypeError, match="discount"):
        package.ValueAugment(make(), task_horizon=5, discount=0.9)


@pytest.mark.parametrize(("package", "make"), KINDS, ids=["single", "batch"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "`horizon` must be an integer of at least 1, got 0"),
        ({"horizon": 2.0}, "`horizon` must be an integer of at least 1, got 2.0"),
        ({"reward_scale": 0}, "`reward_scale` must be finite and above 0, got 0"),
        ({"task_horizon": 0}, "`task_horizon` must be an integer of at least 1, got 0"),
    ],
)
def test_options_of_meta_episode_out_of_range_are_refused(package, make, options, message):
    with pytest.raises(ValueError, match=message):
        package.MetaEpisode(make(), **{"horizon": 5, **options})


@pytest.mark.parametrize("wrap", ["ValueAugment", "MetaEpisode"])
@pytest.mark.parametrize("package", [vamdp, vamdp.vector])
def test_continuous_actions_are_refused_with_a_remedy(tools, wrap, package):
    env = tools.Script([], action_space=spaces.Box(-1, 1))
    env = env if package is vamdp else tools.same_step(lambda: env, 2)
    argument = {"task_horizon": 5} if wrap == "ValueAugment" else {"horizon": 5}
    with pytest.raises(ValueError, match=r"`env.action_space` must be Discrete.*DiscretizeAction"):
        getattr(package, wrap)(env, **argument)


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


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
@pytest.mark.parametrize("wrap", ["ValueAugment", "MetaEpisode"])
def test_restarts_one_step_later_are_refused_with_the_argument_to_pass(mode, wrap):
    argument = {"task_horizon": 5} if wrap == "ValueAugment" else {"horizon": 5}
    with pytest.raises(
        ValueError, match=r"autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP"
    ):
        getattr(vamdp.vector, wrap)(lakes(mode), **argument)


def test_stepping_needs_a_reset():
    for env in (
        vamdp.ValueAugment(lake(), task_horizon=5),
        vamdp.MetaEpisode(lake(), 5),
        vamdp.vector.ValueAugment(lakes(), task_horizon=5),
        vamdp.vector.MetaEpisode(lakes(), 5),
    ):
        with pytest.raises(ResetNeeded, match="reset"):
            env.step(np.zeros(2, int) if hasattr(env, "num_envs") else 0)


def test_a_terminated_episode_is_over_and_a_truncated_one_may_go_on(tools):
    """Or the learner would take what follows for transitions out of the living state."""
    for terminated in (True, False):
        script = tools.Script([(1, 1.0, terminated, not terminated, {})])
        env = vamdp.ValueAugment(script, task_horizon=5)
        env.reset()
        env.step(0)
        if terminated:
            with pytest.raises(ResetNeeded):
                env.step(0)
            assert len(script.actions) == 1
        else:
            env.step(0)


def test_after_an_impossible_start_no_episode_runs(tools):
    script = tools.Script([(1, 1.0, False, False, {})])
    batch = vamdp.vector.ValueAugment(tools.same_step(lambda: script, 2), task_horizon=5)
    env = vamdp.ValueAugment(script, task_horizon=5)
    for each, action in ((env, 0), (batch, np.zeros(2, int))):
        script.start = 0
        each.reset()
        script.start = 7
        with pytest.raises(ValueError, match="must be in Discrete"):
            each.reset()
        with pytest.raises(ResetNeeded):
            each.step(action)


BAD_ACTIONS = [-1, 3, 1.0, 1.5, np.float64(1), [1], np.array([1]), None, "1"]


@pytest.mark.parametrize("action", BAD_ACTIONS, ids=repr)
@pytest.mark.parametrize("wrap", ["values", "meta"])
def test_a_refused_action_is_told_and_steps_nothing(tools, action, wrap):
    script = tools.Script([(1, 1.0, False, False, {})])
    env = (
        vamdp.ValueAugment(script, task_horizon=2)
        if wrap == "values"
        else vamdp.MetaEpisode(script, 9)
    )
    env.reset()
    with pytest.raises(ValueError, match=r"`action` must be in Discrete\(3\), got"):
        env.step(action)
    assert script.actions == []
    shown, *_ = env.step(1)
    if wrap == "values":
        assert env.estimator.counts(0).tolist() == [0, 1, 0]
    else:
        assert shown[env.layout["meta_time"]] == np.float32(1 / 9)


GOOD_ACTIONS = [1, np.int64(1), np.uint8(1), np.array(1), True]


@pytest.mark.parametrize("action", GOOD_ACTIONS, ids=repr)
def test_every_integer_is_an_action(tools, action):
    script = tools.Script([(1, 1.0, False, False, {})])
    env = vamdp.MetaEpisode(vamdp.ValueAugment(script, task_horizon=2, count_scale=1.0), 9)
    env.reset()
    shown = env.step(action)[0]
    assert shown[env.layout["previous_action"]].tolist() == [0, 1, 0]
    assert env.env.estimator.counts(0).tolist() == [0, 1, 0]


@pytest.mark.parametrize("actions", [[0, 4], [-1, 0], [0.0, 1.0], [0], [[0, 1]], 0, [True, False]])
@pytest.mark.parametrize("wrap", ["values", "meta"])
def test_refused_actions_of_a_batch_step_nothing(tools, actions, wrap):
    scripts = [tools.Script([(1, 1.0, False, False, {})]) for _ in range(2)]
    makes = iter(scripts)
    inner = SyncVectorEnv([lambda: next(makes)] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    env = (
        vamdp.vector.ValueAugment(inner, task_horizon=2)
        if wrap == "values"
        else vamdp.vector.MetaEpisode(inner, 9)
    )
    env.reset()
    with pytest.raises(ValueError, match="`actions"):
        env.step(actions)
    assert [script.actions for script in scripts] == [[], []]


@pytest.mark.parametrize("reward", [math.nan, math.inf, -math.inf, np.float32("nan")])
@pytest.mark.parametrize("injected", [False, True])
def test_after_a_reward_that_is_not_finite_the_learner_is_as_before(tools, reward, injected):
    class Stranger(vamdp.ValueEstimator):
        """Not the very class, so taken as injected."""

    steps = [(1, 1.0, False, False, {}), (2, reward, False, False, {}), (3, 2.0, True, False, {})]
    estimator = Stranger(3, task_horizon=5) if injected else None
    env = vamdp.ValueAugment(tools.Script(steps), task_horizon=5, estimator=estimator)
    env.reset()
    env.step(0)
    before = env.estimator.get_state()
    with pytest.raises(ValueError, match=r"`reward` must be finite, got"):
        env.step(1)
    np.testing.assert_equal(env.estimator.get_state(), before)
    with pytest.raises(ResetNeeded):  # a transition from the state before would be a false one
        env.step(1)
    env.reset()
    env.step(1)


def test_after_a_reward_of_a_batch_that_is_not_finite_the_learners_are_as_before(tools):
    def make(rewards):
        return lambda: tools.Script([(1, r, False, False, {}) for r in rewards])

    inner = SyncVectorEnv([make([1.0, 2.0]), make([1.0, math.nan])], autoreset_mode="SameStep")
    env = vamdp.vector.ValueAugment(inner, task_horizon=5)
    env.reset()
    env.step(np.zeros(2, int))
    before = env.estimator.get_state()
    with pytest.raises(ValueError, match=r"must be finite, got nan from environment 1"):
        env.step(np.zeros(2, int))
    np.testing.assert_equal(env.estimator.get_state(), before)
    with pytest.raises(ResetNeeded):
        env.step(np.zeros(2, int))
    env.reset()
    env.step(np.zeros(2, int))


@pytest.mark.parametrize("observation", [-1, 5, 1.0, None, np.array([1])], ids=repr)
def test_an_observation_outside_its_space_is_refused_and_not_learned(tools, observation):
    env = vamdp.ValueAugment(tools.Script([(observation, 1.0, False, False, {})]), task_horizon=5)
    env.reset()
    with pytest.raises(ValueError, match=r"observation of `env` must be in Discrete\(5\), got"):
        env.step(0)
    assert env.estimator.n_states == 0


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


def test_seeds_of_a_batch_are_one_each():
    env = vamdp.vector.MetaEpisode(
        vamdp.vector.ValueAugment(vamdp.TaskVectorEnv(Bandits(), 3), task_horizon=1), 5
    )
    with pytest.raises(ValueError, match="`seed` must give 3 seeds, got 2"):
        env.reset(seed=[1, 2])


def test_a_wrong_task_is_refused_and_the_present_one_goes_on():
    env = vamdp.MetaEpisode(vamdp.ValueAugment(vamdp.TaskEnv(Bandits()), task_horizon=1), 5)
    env.reset(seed=0)
    env.step(0)
    task = env.get_task()
    for attempt in (env.set_task, env.reset_task, lambda t: env.reset(options={"task": t})):
        with pytest.raises(TypeError, match="must be a TabularMDP, got str"):
            attempt("easy")
    assert env.get_task() is task
    assert env.get_wrapper_attr("estimator").counts(0).sum() == 1
    env.step(0)


@pytest.mark.parametrize(
    ("name", "options"), [("ValueAugment", {"task_horizon": 5}), ("MetaEpisode", {"horizon": 5})]
)
def test_single_and_batched_wrappers_are_not_confused(name, options):
    with pytest.raises(TypeError, match=rf"VectorEnv, got .* Use vamdp\.{name}\."):
        getattr(vamdp.vector, name)(lake(), **options)
    with pytest.raises(TypeError, match=rf"gymnasium\.Env, got .* Use vamdp\.vector\.{name}\."):
        getattr(vamdp, name)(lakes(), **options)


PICTURE = spaces.Box(0, 255, (3, 3), np.uint8)
REAL = spaces.Box(0, 1, (2,))


@pytest.mark.parametrize(
    "space",
    [
        PICTURE,
        spaces.Dict({"place": PICTURE}),
        spaces.Dict({"place": spaces.Discrete(3), "way": REAL}),
        spaces.Tuple((spaces.Discrete(3), REAL)),
        spaces.Tuple((PICTURE, REAL)),
    ],
)
def test_a_missing_state_key_comes_with_a_remedy_that_works_in_its_space(tools, space):
    space.seed(0)
    env = tools.Script([], space.sample(), space)
    with pytest.raises(ValueError) as error:
        vamdp.ValueAugment(env, task_horizon=10)
    remedy = re.search(r"state_key=(lambda observation: .*\)\))", str(error.value)).group(1)
    key = eval(remedy, {"np": np})
    vamdp.ValueAugment(env, task_horizon=10, state_key=key).reset()
    assert len(key(space.sample())) == (9 if PICTURE in spaces_in(space) else 1)


def spaces_in(space):
    if isinstance(space, spaces.Dict):
        return list(space.values())
    return list(space) if isinstance(space, spaces.Tuple) else [space]


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


class Rich(gymnasium.RewardWrapper):
    def reward(self, reward):
        return 1e38


@pytest.mark.filterwarnings("ignore:`estimator` measures distances")
@pytest.mark.parametrize("estimator", [None, "q-learning", "kernel"])
@pytest.mark.parametrize("batched", [False, True])
def test_rewards_that_would_be_shown_as_infinite_are_refused(batched, estimator):
    options = {"task_horizon": 5, "estimator": estimator}
    if batched:
        envs = SyncVectorEnv([lambda: Rich(lake()), lake], autoreset_mode=AutoresetMode.SAME_STEP)
        env, action = vamdp.vector.ValueAugment(envs, **options), np.zeros(2, int)
    else:
        env, action = vamdp.ValueAugment(Rich(lake()), **options), 0
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"must be at most 1e\+30 in size, got 1e\+38: .*Scale"):
        env.step(action)
