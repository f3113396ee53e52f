"""Action masks on their way outside: in infos, and where sb3-contrib's MaskablePPO asks."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import VectorWrapper
from gymnasium.wrappers import TimeLimit

import vamdp
from vamdp.domains import RandomMDPs

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


def all_but_one(states, n_actions):
    """One action is forbidden in each state."""
    return np.arange(n_actions) != np.asarray(states)[..., None] % n_actions


class TellsMasks(gymnasium.Wrapper):
    """Masks of a task's states, in infos."""

    def reset(self, **kwargs):
        state, info = self.env.reset(**kwargs)
        return state, {**info, "action_mask": all_but_one(state, self.action_space.n)}

    def step(self, action):
        *outcome, info = self.env.step(action)
        return *outcome, {**info, "action_mask": all_but_one(outcome[0], self.action_space.n)}


class TellsMasksOfBatches(VectorWrapper):
    """The same of a batch."""

    def _told(self, states, infos):
        masks = all_but_one(states, self.single_action_space.n)
        return {**infos, "action_mask": masks, "_action_mask": np.ones(self.num_envs, bool)}

    def reset(self, **kwargs):
        states, infos = self.env.reset(**kwargs)
        return states, self._told(states, infos)

    def step(self, actions):
        *outcome, infos = self.env.step(actions)
        if "final_info" in infos:
            infos["final_info"] = self._told(infos["final_obs"].astype(int), infos["final_info"])
        return *outcome, self._told(outcome[0], infos)


@pytest.mark.parametrize("wrap", [vamdp.RegretReward, vamdp.ShowTask])
def test_wrappers_of_known_tasks_pass_the_present_masks_on(wrap):
    env = TimeLimit(TellsMasks(vamdp.TaskEnv(RandomMDPs())), 5)
    env = wrap(vamdp.MetaEpisode(vamdp.ValueAugment(env, task_horizon=5), 17))
    _, info = env.reset(seed=0)
    over, states = False, set()
    while not over:
        states.add(env.unwrapped.state)
        np.testing.assert_array_equal(info["action_mask"], all_but_one(env.unwrapped.state, 5))
        _, _, over, _, info = env.step(int(np.argmax(info["action_mask"])))
    assert len(states) > 2


@pytest.mark.parametrize("wrap", [vamdp.vector.RegretReward, vamdp.vector.ShowTask])
def test_batched_wrappers_of_known_tasks_pass_the_present_masks_on(wrap):
    envs = TellsMasksOfBatches(vamdp.TaskVectorEnv(RandomMDPs(), 3, max_episode_steps=5))
    envs = vamdp.vector.ValueAugment(envs, task_horizon=5)
    envs = wrap(vamdp.vector.MetaEpisode(envs, 17))
    _, infos = envs.reset(seed=0)
    for _ in range(2 * 17):
        masks = infos["action_mask"]
        np.testing.assert_array_equal(masks, all_but_one(envs.unwrapped.states, 5))
        infos = envs.step(masks.argmax(axis=1))[4]


def test_a_held_seed_passes_the_present_masks_on():
    env = meta(vamdp.HoldSeed(taxi()))
    _, info = env.reset(seed=0)
    over = False
    while not over:
        np.testing.assert_array_equal(info["action_mask"], allowed_now(env))
        _, _, over, _, info = env.step(int(np.argmax(info["action_mask"])))


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


def test_environments_that_are_drawn_have_the_method_of_the_present_one():
    env = vamdp.SampledEnv(lambda rng: HasMasks(taxi()))
    env = vamdp.MetaEpisode(env, 12)
    env.reset(seed=0)
    masks, tasks = env.get_wrapper_attr("action_masks"), set()
    for _ in range(30):
        present = env.unwrapped.task.unwrapped
        tasks.add(id(present))
        np.testing.assert_array_equal(masks(), present.action_mask(present.s))
        if env.step(int(np.argmax(masks())))[2]:
            env.reset()
    assert len(tasks) == 3
    assert not vamdp.SampledEnv(lambda rng: taxi()).has_wrapper_attr("action_masks")


class Strict(gymnasium.Wrapper):
    """Allows nothing that Taxi forbids."""

    def step(self, action):
        assert allowed_now(self)[action], "a masked action was taken"
        return super().step(action)


def strict_taxi():
    return Strict(taxi())


#: Environments by the road on which masks come, and by what is around Taxi.
TAXIS = {
    "plain": strict_taxi,
    "plain, by method": lambda: HasMasks(strict_taxi()),
    "meta-episodes": lambda: vamdp.MetaEpisode(strict_taxi(), H),
    "values in meta-episodes": lambda: meta(strict_taxi()),
    "the same by method": lambda: meta(HasMasks(strict_taxi())),
}


def as_dummy(make, n):
    from stable_baselines3.common.vec_env import DummyVecEnv

    return DummyVecEnv([make] * n)


def as_sync(make, n):
    from gymnasium.vector import AutoresetMode, SyncVectorEnv

    from rl3_sb3 import GymnasiumVecEnv

    return GymnasiumVecEnv(SyncVectorEnv([make] * n, autoreset_mode=AutoresetMode.SAME_STEP))


def as_batched_wrappers(make, n):
    """The batched twins of `meta`."""
    from gymnasium.vector import AutoresetMode, SyncVectorEnv

    from rl3_sb3 import GymnasiumVecEnv

    inner = SyncVectorEnv([strict_taxi] * n, autoreset_mode=AutoresetMode.SAME_STEP)
    values = vamdp.vector.ValueAugment(inner, task_horizon=6)
    return GymnasiumVecEnv(vamdp.vector.MetaEpisode(values, H), info_keys=())


def trained(venv, policy):
    from rl3_sb3 import TransformerPPO

    sizes = {"hidden": 8} if policy == "LstmPolicy" else {"d_model": 16, "n_layers": 1, "d_ff": 16}
    model = TransformerPPO(
        policy, venv, n_steps=H, batch_size=H, n_epochs=2, learning_rate=1e-2, seed=0,
        device="cpu", policy_kwargs=sizes,
    )  # fmt: skip
    return model.learn(4 * H)


@pytest.mark.parametrize("policy", ["TransformerPolicy", "LstmPolicy"])
@pytest.mark.parametrize("name", TAXIS)
def test_policies_that_remember_never_take_a_masked_action(name, policy):
    pytest.importorskip("torch")
    from rl3_sb3 import ActionMasks

    model = trained(as_dummy(TAXIS[name], 2), policy)
    assert not model.rollout_buffer._stored["action_masks"].all()
    for deterministic in (False, True):
        venv = as_dummy(TAXIS[name], 3)
        masks, observation = ActionMasks(venv), venv.reset()
        allowed, state, starts = masks.after_reset(), None, np.ones(3, bool)
        for _ in range(H + 3):
            actions, state = model.predict(observation, state, starts, deterministic, allowed)
            observation, _, starts, infos = venv.step(actions)
            allowed = masks.after_step(starts, infos)
    env = TAXIS[name]()
    observation, info = env.reset(seed=1)
    state, over = None, False
    while not over:
        action, state = model.policy.predict(observation, state, action_masks=info["action_mask"])
        observation, _, terminated, truncated, info = env.step(int(action))
        over = terminated or truncated


def test_single_and_batched_wrappers_and_both_roads_train_alike():
    pytest.importorskip("torch")
    weights = [
        trained(make_vec(TAXIS[name], 2), "LstmPolicy").policy.parameters_to_vector()
        for make_vec, name in (
            (as_dummy, "values in meta-episodes"),
            (as_dummy, "the same by method"),
            (as_sync, "values in meta-episodes"),
            (as_batched_wrappers, "values in meta-episodes"),
        )
    ]
    for others in weights[1:]:
        np.testing.assert_array_equal(others, weights[0])


def test_maskable_ppo_never_takes_a_masked_action():
    contrib = pytest.importorskip("sb3_contrib")
    from stable_baselines3.common.env_util import make_vec_env

    venv = make_vec_env(lambda: from_taxi(strict_taxi()), 2, seed=0, wrapper_class=meta)
    model = contrib.MaskablePPO("MlpPolicy", venv, n_steps=H, batch_size=H, n_epochs=1, seed=0)
    model.learn(4 * H)
    assert [episode["l"] for episode in model.ep_info_buffer] == [H] * 4
