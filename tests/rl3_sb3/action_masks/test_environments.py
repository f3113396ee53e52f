"""How environments tell which actions are allowed."""

import itertools
from typing import ClassVar

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor, VecNormalize

from rl3_sb3 import ActionMasks, GymnasiumVecEnv

from .masked import NO_OTHER, ROADS, THREE, Masked, mask_of, vec


@ROADS
@pytest.mark.parametrize("truncates", [False, True])
@pytest.mark.parametrize("kind", ["dummy", "same-step", "disabled"])
def test_masks_belong_to_the_observations_that_are_shown_also_where_episodes_end(
    kind, truncates, road
):
    env = vec(kind, [2, 3, 5], road=road, truncates=truncates)
    masks = ActionMasks(env)
    env.seed(0)
    observations = env.reset()
    found, n_ends = masks.after_reset(), 0
    for _ in range(12):
        np.testing.assert_array_equal(found, [mask_of(each) for each in observations])
        observations, _, dones, infos = env.step(found.argmax(axis=1))
        found = masks.after_step(dones, infos)
        n_ends += dones.sum()
    assert n_ends == 6 + 4 + 2
    assert found.dtype == np.bool_


def test_environments_in_processes_and_inside_wrappers_are_read_too():
    for road, kind in itertools.product(("info", "method"), ("sb3", "gymnasium")):
        fns = [lambda road=road: Masked(2, road) for _ in range(2)]
        if kind == "sb3":
            env = SubprocVecEnv(fns, "fork")
        else:
            mode = AutoresetMode.SAME_STEP
            env = GymnasiumVecEnv(AsyncVectorEnv(fns, context="fork", autoreset_mode=mode))
        env = VecNormalize(VecMonitor(env), norm_obs=False)
        masks = ActionMasks(env)
        observations = env.reset()
        found = masks.after_reset()
        for _ in range(5):
            np.testing.assert_array_equal(found, [mask_of(each) for each in observations])
            observations, _, dones, infos = env.step(found.argmax(axis=1))
            found = masks.after_step(dones, infos)
        env.close()


@ROADS
def test_an_environment_without_a_mask_allows_all_beside_one_that_gives_some(road):
    env = DummyVecEnv([lambda: Masked(4, road), lambda: Masked(4, "not")])
    env.seed(0)
    observations = env.reset()
    found = ActionMasks(env).after_reset()
    assert found.tolist() == [mask_of(observations[0]).tolist(), NO_OTHER]


@ROADS
def test_a_mask_that_is_none_at_a_step_allows_all(road):
    gives = lambda observation: None if observation[0] > 0 else mask_of(observation)  # noqa: E731
    env = vec("dummy", [9, 9], road=road, gives=gives)
    env.seed(3)
    masks, observations, kinds = ActionMasks(env), env.reset(), set()
    found = masks.after_reset()
    for _ in range(20):
        expected = [NO_OTHER if x[0] > 0 else mask_of(x).tolist() for x in observations]
        kinds.add(tuple(x[0] > 0 for x in observations))
        assert (expected if found is None else found.tolist()) == expected
        observations, _, dones, infos = env.step(
            [0 if row is None else int(np.argmax(row)) for row in expected]
        )
        found = masks.after_step(dones, infos)
    assert len(kinds) == 4


def test_environments_without_masks_have_none():
    env = vec("dummy", [3, 3], road="not")
    masks = ActionMasks(env)
    env.reset()
    assert masks.after_reset() is None
    _, _, dones, infos = env.step([0, 0])
    assert masks.after_step(dones, infos) is None


class Batch(VectorEnv):
    """Two environments whose masks are known for the batch: action i is forbidden in number i."""

    metadata: ClassVar = {"autoreset_mode": AutoresetMode.SAME_STEP}
    num_envs, single_action_space = 2, THREE
    single_observation_space = spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        return np.zeros((2, 2), np.float32), {}

    def action_masks(self):
        return ~np.eye(3, dtype=bool)[:2]


def test_a_batched_environment_answers_for_all_rows_at_once():
    env = GymnasiumVecEnv(Batch())
    env.reset()
    assert ActionMasks(env).after_reset().tolist() == [[0, 1, 1], [1, 0, 1]]


def test_a_batched_environment_may_give_a_list_with_none_where_all_is_allowed():
    batch = Batch()
    batch.action_masks = lambda: [[False, True, True], None]
    env = GymnasiumVecEnv(batch)
    env.reset()
    assert ActionMasks(env).after_reset().tolist() == [[0, 1, 1], [1, 1, 1]]


def test_a_batch_of_masks_is_refused_of_another_length_and_of_a_single_environment():
    batch = Batch()
    batch.action_masks = lambda: np.ones((3, 3), bool)
    single = vec(
        "dummy", [4, 4], road="method", gives=lambda _: np.ones((2, 3), bool), strict=False
    )
    for env in (GymnasiumVecEnv(batch), single):
        env.reset()
        with pytest.raises(ValueError, match="must have a row of 3 actions for each of 2 obs"):
            ActionMasks(env).after_reset()


@pytest.mark.parametrize("refuses", [False, True])
def test_environments_that_give_none_for_every_attribute_have_no_masks(refuses):
    class Bare(DummyVecEnv):
        def get_attr(self, attr_name, indices=None):
            return [None] * self.num_envs

        def env_method(self, method_name, *args, indices=None, **kwargs):
            if refuses:
                raise NotImplementedError

    env = Bare([lambda: Masked(4, "not")] * 2)
    env.reset()
    assert ActionMasks(env).after_reset() is None


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ([0, 0, 0], r"must allow an action in every row, got none in row 1"),
        ([1, 1], r"must have a row of 3 actions for each of 2 observations, got the shape"),
        ([0, 2, 0], r"must hold bools, or 0 and 1, got \[0, 2, 0\] in row 1"),
        ([0, 0.5, 1], r"must hold bools, or 0 and 1"),
    ],
)
@pytest.mark.parametrize(("road", "name"), [("info", "info"), ("method", r"env\.action_masks\(\)")])
def test_masks_that_are_none_are_refused_by_name(make_model, mask, words, road, name):
    env = DummyVecEnv([lambda: Masked(4, road), lambda: Masked(4, road, strict=False)])
    bad = env.envs[1]
    bad.gives = lambda _: mask if getattr(bad, "t", 0) == 2 else NO_OTHER
    model = make_model(env, n_steps=4)
    with pytest.raises(ValueError, match=rf"`{name}.*{words}"):
        model.learn(800)


def test_masks_of_other_actions_are_not_used_and_said_so(make_model, make_env):
    class Told(make_env):
        def action_masks(self):
            return [True, False]

    model = make_model(DummyVecEnv([lambda: Told(4, box_actions=True)]), n_steps=4)
    with pytest.warns(UserWarning, match=r"action masks, which are not used: its actions are Box"):
        model.learn(8)
