"""Nothing is learned across a gap: after what fails half-way, the next step needs a reset."""

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

import vamdp

ERRORS = [KeyboardInterrupt, RuntimeError, ValueError, TypeError]


class Fragile(gymnasium.Env):
    """Counts up to 4 and begins again; when armed, fails once it has moved."""

    observation_space, action_space = gymnasium.spaces.Discrete(5), gymnasium.spaces.Discrete(2)

    def __init__(self) -> None:
        self.in_step = self.in_reset = None
        self.reward, self.x = 1.0, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = 0
        if self.in_reset:
            error, self.in_reset = self.in_reset, None
            raise error("half-way")
        return self.x, {}

    def step(self, action):
        self.x += 1
        if self.in_step:
            error, self.in_step = self.in_step, None
            raise error("half-way")
        return self.x, self.reward, self.x == 4, False, {}


def values(tools):
    fragile = Fragile()
    return vamdp.ValueAugment(fragile, task_horizon=5), fragile, 1


def meta(tools):
    fragile = Fragile()
    return vamdp.MetaEpisode(fragile, 9), fragile, 1


def batched_values(tools):
    envs = tools.same_step(Fragile, 2)
    return vamdp.vector.ValueAugment(envs, task_horizon=5), envs.envs[1], np.ones(2, int)


def batched_meta(tools):
    envs = tools.same_step(Fragile, 2)
    return vamdp.vector.MetaEpisode(envs, 9), envs.envs[1], np.ones(2, int)


WRAPPERS = [values, meta, batched_values, batched_meta]


def learned(env):
    """What the learner has of the task, to be compared."""
    return env.estimator.get_state() if hasattr(env, "estimator") else None


def assert_needs_a_reset(env, action, before):
    np.testing.assert_equal(learned(env), before)
    with pytest.raises(ResetNeeded):
        env.step(action)
    np.testing.assert_equal(learned(env), before)
    env.reset()
    env.step(action)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("wrap", WRAPPERS)
def test_after_a_step_that_failed_the_model_is_as_before_and_a_reset_is_needed(tools, wrap, error):
    env, fragile, action = wrap(tools)
    env.reset(seed=0)
    env.step(action)
    before, fragile.in_step = learned(env), error
    with pytest.raises(error, match="half-way"):
        env.step(action)
    assert_needs_a_reset(env, action, before)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("wrap", WRAPPERS)
def test_after_a_reset_that_failed_a_reset_is_needed(tools, wrap, error):
    env, fragile, action = wrap(tools)
    for how in ({}, {"seed": 3}, {"options": {"new_task": True}}):
        env.reset(seed=0)
        env.step(action)
        before, fragile.in_reset = learned(env), error
        with pytest.raises(error, match="half-way"):
            env.reset(**how)
        assert_needs_a_reset(env, action, before)


@pytest.mark.parametrize("wrap", [values, batched_values])
def test_a_new_task_whose_reset_failed_is_learned_from_nothing(tools, wrap):
    env, fragile, action = wrap(tools)
    env.reset(seed=0)
    env.step(action)
    fragile.in_reset = ValueError
    with pytest.raises(ValueError, match="half-way"):
        env.reset(seed=1)
    env.reset()
    assert np.max(env.estimator.n_states) == 0


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("wrap", [meta, batched_meta])
def test_after_a_restart_within_a_meta_episode_that_failed_a_reset_is_needed(tools, wrap, error):
    env, fragile, action = wrap(tools)
    env.reset(seed=0)
    for _ in range(3):
        env.step(action)
    fragile.in_reset = error
    with pytest.raises(error, match="half-way"):
        env.step(action)
    assert_needs_a_reset(env, action, None)


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_refused_options_leave_the_episode_as_it_was(tools, wrap):
    env, fragile, action = wrap(tools)
    env.reset(seed=0)
    env.step(action)
    fragile.in_reset = TypeError
    with pytest.raises(TypeError, match="half-way"):
        env.reset(options={"colour": "impossible"})
    env.step(action)


def lakes_that_run_dry(rng):
    """A distribution that fails while `rng` is the generator of its list."""
    if rng is lakes_that_run_dry.of:
        raise ValueError("no lake today")
    return vamdp.domains.RandomMDPs(n_states=4)(rng)


def cart_pole(wrap):
    return wrap(gymnasium.make("vamdp/CartPole-v0"), vamdp), 0


def cart_poles(wrap):
    envs = vamdp.SampledVectorEnv(vamdp.domains.CartPoles(), 2)
    return wrap(envs, vamdp.vector), np.zeros(2, int)


def each_cart_pole(wrap):
    mode = gymnasium.vector.AutoresetMode.SAME_STEP
    make = vamdp.domains.CartPoles()
    envs = [lambda: vamdp.SampledEnv(make), lambda: vamdp.SampledEnv(make)]
    return wrap(gymnasium.vector.SyncVectorEnv(envs, autoreset_mode=mode), vamdp.vector), np.zeros(
        2, int
    )


def values_of(env, package):
    return package.ValueAugment(env, task_horizon=100, state_key=lambda observation: 0)


def meta_of(env, package):
    return package.MetaEpisode(env, 50)


def both_of(env, package):
    return meta_of(values_of(env, package), package)


def n_states_known(env):
    learner = env if hasattr(env, "estimator") else env.env
    return np.max(learner.estimator.n_states) if hasattr(learner, "estimator") else 0


AROUND = pytest.mark.parametrize("wrap", [values_of, meta_of, both_of])


@pytest.mark.parametrize("how", [{"seed": 2}, {"options": {"new_task": True}}], ids=str)
@pytest.mark.parametrize("make", [cart_pole, cart_poles, each_cart_pole])
@AROUND
def test_options_refused_after_the_task_changed_leave_nothing_of_the_old_task(wrap, make, how):
    env, action = make(wrap)
    env.reset(seed=1)
    for _ in range(3):
        env.step(action)
    with pytest.raises(ValueError, match="low"):
        env.reset(**{**how, "options": {**how.get("options", {}), "low": 3.0, "high": 1.0}})
    with pytest.raises(ResetNeeded):
        env.step(action)
    env.reset()
    assert n_states_known(env) == 0


@pytest.mark.parametrize("how", ["reset_task", "options"])
@AROUND
def test_a_new_task_in_one_row_alone_leaves_nothing_of_the_old_tasks(monkeypatch, wrap, how):
    monkeypatch.setattr(lakes_that_run_dry, "of", None, raising=False)
    batch = vamdp.TaskVectorEnv(lakes_that_run_dry, 2)
    env = wrap(batch, vamdp.vector)
    env.reset(seed=0)
    old = batch.tasks
    for _ in range(3):
        env.step(np.zeros(2, int))
    monkeypatch.setattr(lakes_that_run_dry, "of", batch.np_random[1])
    with pytest.raises(ValueError, match="no lake"):
        if how == "reset_task":
            env.reset_task()
        else:
            env.reset(options={"new_task": True, "mine": 1})
    assert [a is b for a, b in zip(batch.tasks, old, strict=True)] == [False, True]
    monkeypatch.setattr(lakes_that_run_dry, "of", None)
    with pytest.raises(ResetNeeded, match="running: call reset"):
        env.step(np.zeros(2, int))
    env.reset()
    assert n_states_known(env) == 0


@pytest.mark.parametrize("make", [cart_pole, cart_poles, each_cart_pole])
@AROUND
def test_a_task_refused_before_anything_changed_leaves_the_episode_as_it_was(wrap, make):
    env, action = make(wrap)
    env.reset(seed=1)
    env.step(action)
    each = action if isinstance(action, np.ndarray) else None
    task = "easy" if each is None else ["easy", "hard"]
    for attempt in (env.reset_task, lambda t: env.reset(options={"task": t})):
        with pytest.raises((TypeError, ValueError), match="must be"):
            attempt(task)
    env.step(action)


class Secretive(Fragile):
    """Does not tell its task."""

    task_seed = 0

    @property
    def task(self):
        raise RuntimeError("no task yet")


class Copying(Fragile):
    """Tells its task in a new object each time."""

    task_seed = 0

    @property
    def task(self):
        return np.zeros(2)


@pytest.mark.parametrize("make", [Secretive, Copying])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda env: vamdp.ValueAugment(env, task_horizon=5),
        lambda env: vamdp.MetaEpisode(env, 9),
    ],
)
def test_foreign_properties_of_these_names_break_no_reset(wrap, make):
    fragile = make()
    env = wrap(fragile)
    env.reset(options={"new_task": True, "colour": "red"})
    env.step(0)
    fragile.in_reset = ValueError
    with pytest.raises(ValueError, match="half-way"):
        env.reset(options={"colour": "red"})
    env.step(0)  # it may have refused before anything changed


@pytest.mark.parametrize(
    "reward", [None, "much", "1.0", np.array([1.0]), [1.0], 1j, np.zeros((1, 1))], ids=repr
)
@pytest.mark.parametrize("wrap", [values, meta])
def test_a_reward_that_is_no_number_is_named_and_ends_the_episode(tools, wrap, reward):
    env, fragile, action = wrap(tools)
    env.reset(seed=0)
    env.step(action)
    before, fragile.reward = learned(env), reward
    with pytest.raises(ValueError, match="`reward` must be a number, got"):
        env.step(action)
    fragile.reward = 1.0
    assert_needs_a_reset(env, action, before)


@pytest.mark.parametrize("reward", [True, 1, np.float32(1), np.int8(1), np.array(1.0)], ids=repr)
@pytest.mark.parametrize("wrap", [values, meta])
def test_every_number_is_a_reward(tools, wrap, reward):
    env, fragile, action = wrap(tools)
    fragile.reward = reward
    env.reset(seed=0)
    assert env.step(action)[1] == 1.0


@pytest.mark.parametrize(
    "ends", [(1, 0), (np.True_, np.int64(0)), (np.array(True), None), (1.0, 0)]
)
@pytest.mark.parametrize("wrap", [vamdp.ValueAugment, vamdp.MetaEpisode])
def test_ends_told_as_numbers_are_bools(tools, wrap, ends):
    script = tools.Script([(1, 1.0, *ends, {})])
    env = wrap(script, **({"horizon": 9} if wrap is vamdp.MetaEpisode else {"task_horizon": 5}))
    env.reset()
    _, _, terminated, truncated, info = env.step(0)
    assert truncated is False
    assert info["episode_end"] if wrap is vamdp.MetaEpisode else terminated is True


@pytest.mark.parametrize("end", ["done", 2, np.array([True]), [True], 0.5], ids=repr)
@pytest.mark.parametrize("name", ["terminated", "truncated"])
@pytest.mark.parametrize("wrap", [vamdp.ValueAugment, vamdp.MetaEpisode])
def test_an_end_that_is_no_bool_is_named(tools, wrap, name, end):
    ends = (end, False) if name == "terminated" else (False, end)
    script = tools.Script([(1, 1.0, *ends, {})])
    env = wrap(script, **({"horizon": 9} if wrap is vamdp.MetaEpisode else {"task_horizon": 5}))
    env.reset()
    for error, message in ((ValueError, f"`{name}` must be a bool, got"), (ResetNeeded, "reset")):
        with pytest.raises(error, match=message):
            env.step(0)


def test_after_a_gap_a_mask_must_not_leave_environments_out(tools):
    env, fragile, action = batched_values(tools)
    env.reset(seed=0)
    fragile.in_step = RuntimeError
    with pytest.raises(RuntimeError):
        env.step(action)
    with pytest.raises(ResetNeeded, match="Environment 1 must be reset too"):
        env.reset(options={"reset_mask": np.array([True, False])})
    env.reset(options={"reset_mask": np.array([True, True])})
    env.step(action)


def test_a_held_seed_whose_reset_failed_needs_one():
    fragile = Fragile()
    env = vamdp.HoldSeed(fragile)
    env.reset(seed=0)
    fragile.in_reset = RuntimeError
    with pytest.raises(RuntimeError):
        env.reset()
    with pytest.raises(ResetNeeded):
        env.step(0)
