"""Action masks on their way outside: in infos, and where sb3-contrib's MaskablePPO asks."""

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit

import vamdp

H = 40
TAXI = "Taxi-v4" if "Taxi-v4" in gymnasium.registry else "Taxi-v3"


def taxi():
    return gymnasium.make(TAXI, max_episode_steps=6)


def allowed_now(env):
    """What Taxi itself says of the state it is in; not what any info said."""
    taxi = env.unwrapped
    return taxi.action_mask(taxi.s).astype(bool)


def meta(env, flatten=True):
    env = vamdp.ValueAugment(env, task_horizon=6, flatten=flatten)
    return vamdp.MetaEpisode(env, H, flatten=flatten)


@pytest.mark.parametrize("flatten", [True, False])
@pytest.mark.parametrize("augmented", [True, False])
def test_infos_have_the_present_mask_at_every_step_of_a_meta_episode(augmented, flatten):
    env = meta(taxi(), flatten) if augmented else vamdp.MetaEpisode(taxi(), H, flatten=flatten)
    _, info = env.reset(seed=0)
    rng = np.random.default_rng(0)
    ends, masks = 0, set()
    for _ in range(2 * H):
        np.testing.assert_array_equal(info["action_mask"], allowed_now(env))
        masks.add(tuple(info["action_mask"]))
        _, _, terminated, _, info = env.step(rng.choice(np.flatnonzero(info["action_mask"])))
        ends += info["episode_end"]
        if terminated:
            _, info = env.reset()
    assert ends == 2 * (H // 6)
    assert len(masks) > 5


@pytest.mark.parametrize("flatten", [True, False])
def test_infos_of_a_batch_have_the_present_masks(tools, flatten):
    inner = tools.same_step(taxi, 3)
    env = vamdp.vector.ValueAugment(inner, task_horizon=6, flatten=flatten)
    env = vamdp.vector.MetaEpisode(env, H, flatten=flatten)
    _, infos = env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(2 * H):
        now = [allowed_now(one) for one in inner.envs]
        np.testing.assert_array_equal(infos["action_mask"], now)
        assert infos["_action_mask"].all()
        actions = [rng.choice(np.flatnonzero(mask)) for mask in now]
        infos = env.step(np.array(actions))[4]


class HasMasks(gymnasium.Wrapper):
    """An environment with the method that sb3-contrib looks for."""

    def action_masks(self):
        return allowed_now(self)


def from_taxi(env):
    """As a user writes it: see examples/stock_sb3_contrib.py."""
    from sb3_contrib.common.wrappers import ActionMasker

    return ActionMasker(env, allowed_now)


#: Where the method may be: in the environment, or in ActionMasker at any level.
PLACES = {
    "the environment": lambda: meta(HasMasks(taxi())),
    "ActionMasker inside": lambda: meta(from_taxi(taxi())),
    "ActionMasker between": lambda: vamdp.MetaEpisode(
        from_taxi(vamdp.ValueAugment(taxi(), task_horizon=6)), H
    ),
    "ActionMasker outside": lambda: from_taxi(meta(taxi())),
    "below a time limit": lambda: meta(TimeLimit(HasMasks(taxi()), 5)),
}


def assert_gives_the_present_masks(venv):
    """After every step, so after restarts of inner episodes and of meta-episodes too."""
    from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported

    venv.seed(0)
    venv.reset()
    assert is_masking_supported(venv)
    infos = venv.reset_infos
    for t in range(2 * H):
        masks = get_action_masks(venv)
        np.testing.assert_array_equal(masks, [info["action_mask"] for info in infos])
        actions = [np.flatnonzero(mask)[t % mask.sum()] for mask in masks]
        _, _, dones, infos = venv.step(np.array(actions))
        infos = venv.reset_infos if dones.any() else infos
    venv.close()


@pytest.mark.parametrize("place", PLACES)
def test_sb3_contrib_finds_the_present_masks(place):
    utils = pytest.importorskip("sb3_contrib.common.maskable.utils")
    from stable_baselines3.common.vec_env import DummyVecEnv

    assert_gives_the_present_masks(DummyVecEnv([PLACES[place]] * 2))
    env = PLACES[place]()
    env.reset(seed=0)
    for t in range(H):
        masks = utils.get_action_masks(env)
        np.testing.assert_array_equal(masks, allowed_now(env))
        env.step(int(np.flatnonzero(masks)[t % masks.sum()]))


def test_sb3_contrib_finds_the_present_masks_of_processes():
    pytest.importorskip("sb3_contrib")
    from stable_baselines3.common.vec_env import SubprocVecEnv

    envs = [PLACES["the environment"], PLACES["ActionMasker outside"]]
    assert_gives_the_present_masks(SubprocVecEnv(envs, start_method="fork"))


@pytest.mark.parametrize("wrap", [HasMasks, from_taxi])
def test_sb3_contrib_finds_the_present_masks_of_a_batch(tools, wrap):
    pytest.importorskip("sb3_contrib")
    from rl3_sb3 import GymnasiumVecEnv

    values = vamdp.vector.ValueAugment(tools.same_step(lambda: wrap(taxi()), 2), task_horizon=6)
    assert_gives_the_present_masks(GymnasiumVecEnv(vamdp.vector.MetaEpisode(values, H)))


def test_maskable_ppo_never_takes_a_masked_action():
    contrib = pytest.importorskip("sb3_contrib")
    from stable_baselines3.common.env_util import make_vec_env

    class Strict(gymnasium.Wrapper):
        def step(self, action):
            assert allowed_now(self)[action], "a masked action was taken"
            return super().step(action)

    venv = make_vec_env(lambda: from_taxi(Strict(taxi())), 2, seed=0, wrapper_class=meta)
    model = contrib.MaskablePPO("MlpPolicy", venv, n_steps=H, batch_size=H, n_epochs=1, seed=0)
    model.learn(4 * H)
    assert [episode["l"] for episode in model.ep_info_buffer] == [H] * 4
