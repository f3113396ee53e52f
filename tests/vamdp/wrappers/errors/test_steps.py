import math

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import vamdp

from .lakes import lake, lakes


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
    with pytest.raises(ValueError, match=r"`rewards\[1\]` must be finite, got nan"):
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


@pytest.mark.parametrize("name", ["value_scale", "count_scale"])
@pytest.mark.parametrize("estimator", [None, "q-learning", "posterior-sampling"])
@pytest.mark.parametrize("batched", [False, True])
def test_scales_that_would_show_infinite_numbers_are_refused(batched, estimator, name):
    if batched:
        envs = vamdp.TaskVectorEnv(vamdp.domains.RandomMDPs(), 2)
        package, actions = vamdp.vector, np.zeros(2, int)
    else:
        envs, package, actions = vamdp.TaskEnv(vamdp.domains.RandomMDPs()), vamdp, 0
    env = package.ValueAugment(envs, task_horizon=5, estimator=estimator, **{name: 1e-39})
    with pytest.raises(ValueError, match=r"finite numbers, got .*inf in .* Pass a larger `value_"):
        for seed in range(2):
            env.reset(seed=seed)
            for _ in range(5):
                env.step(actions)
