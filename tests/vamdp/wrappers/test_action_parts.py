"""Wrappers say which parts of an observation have one entry per action."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import vamdp
from vamdp.domains import RandomMDPs, TaskEnv, TaskVectorEnv
from vamdp.estimators import BUILT_INS
from vamdp.estimators.q_learning import QLearning

TASKS = RandomMDPs(n_states=3, n_actions=2)


def single():
    return TaskEnv(TASKS)


def batch():
    return TaskVectorEnv(TASKS, 3)


@pytest.mark.filterwarnings("ignore:`estimator` measures distances")
@pytest.mark.parametrize("estimator", [None, *BUILT_INS])
@pytest.mark.parametrize("flatten", [True, False])
def test_q_estimates_have_two_or_three_and_meta_episodes_one(estimator, flatten):
    more = ("spread",) if estimator == "posterior-sampling" else ()
    for package, env in ((vamdp, single()), (vamdp.vector, batch())):
        values = package.ValueAugment(env, task_horizon=4, flatten=flatten, estimator=estimator)
        assert values.action_parts == ("advantage", "count", *more)
        meta = package.MetaEpisode(values, 8)
        assert meta.action_parts == ("advantage", "count", *more, "previous_action")
        for name in meta.action_parts:
            part = meta.layout[name]
            assert part.stop - part.start == 2


def test_a_plain_observation_has_none():
    assert vamdp.MetaEpisode(single(), 8).action_parts == ("previous_action",)
    assert vamdp.vector.MetaEpisode(batch(), 8).action_parts == ("previous_action",)


def test_they_are_found_inside_a_loop_of_environments():
    loop = SyncVectorEnv(
        [lambda: vamdp.ValueAugment(single(), task_horizon=4)] * 2,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    meta = vamdp.vector.MetaEpisode(loop, 8)
    assert meta.action_parts == ("advantage", "count", "previous_action")


def test_a_learner_with_four_methods_has_those_of_q_estimates():
    learner = vamdp.ValueEstimator(2, task_horizon=4)

    class Mine:
        def __getattr__(self, name):
            return getattr(learner, name)

    env = vamdp.ValueAugment(single(), task_horizon=4, estimator=Mine())
    assert env.action_parts == ("advantage", "count")


class Silent(QLearning):
    """Does not say which parts belong to actions."""

    @property
    def action_parts(self):
        raise AttributeError


class Own(QLearning):
    """Has a part of its own."""

    action_parts = ("surprise",)

    def parts(self):
        return {**super().parts(), "surprise": spaces.Box(-np.inf, np.inf, (2,), np.float32)}

    def write(self, states, scales, out):
        super().write(states, scales, out[:, :-2])


def test_those_of_a_learner_that_does_not_say_are_unknown():
    env = vamdp.ValueAugment(single(), task_horizon=4, estimator=Silent(1, 2))
    assert env.action_parts is None
    assert vamdp.MetaEpisode(env, 8).action_parts is None


def test_a_learner_says_its_own():
    env = vamdp.ValueAugment(single(), task_horizon=4, estimator=Own(1, 2))
    assert vamdp.MetaEpisode(env, 8).action_parts == ("surprise", "previous_action")


@pytest.mark.parametrize("names", [("value",), ("surprise",)])
def test_a_part_without_an_entry_for_each_action_is_refused(names):
    learner = QLearning(1, 2)
    learner.action_parts = names
    with pytest.raises(ValueError, match=f"`estimator.action_parts` must name.* got {names[0]!r}"):
        vamdp.ValueAugment(single(), task_horizon=4, estimator=learner)


def test_parts_that_a_wrapper_in_between_hides_are_unknown():
    values = vamdp.ValueAugment(single(), task_horizon=4)
    hidden = gymnasium.wrappers.FrameStackObservation(values, 2)
    assert vamdp.MetaEpisode(hidden, 8).action_parts is None
    scaled = gymnasium.wrappers.TransformObservation(
        values, lambda x: x / 2, values.observation_space
    )
    assert vamdp.MetaEpisode(scaled, 8).action_parts == ("advantage", "count", "previous_action")
