"""`learn` as SB3 users know it: callbacks, interruptions, wrappers, and that it learns."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rl3_sb3 import GymnasiumVecEnv, TransformerPPO

from .parts import EACH, RAGGED, changed, snapshot


class Recorder(BaseCallback):
    def __init__(self, stop_at=None):
        super().__init__()
        self.stop_at, self.events, self.steps = stop_at, [], 0

    def _on_rollout_start(self):
        self.events.append("start")

    def _on_step(self):
        self.steps += 1
        assert {"infos", "dones", "rewards", "actions", "new_obs"} <= set(self.locals)
        return self.steps != self.stop_at

    def _on_rollout_end(self):
        self.events.append("end")
        assert self.model.rollout_buffer.full


def test_callbacks_are_called_as_sb3_does(make_vec, make_model):
    recorder = Recorder()
    model = make_model(make_vec([4] * 3), n_steps=4).learn(24, callback=recorder)
    assert recorder.events == ["start", "end"] * 2
    assert recorder.steps == 8
    assert model.num_timesteps == 24


def test_learning_interrupted_by_a_callback_continues_with_fresh_episodes(make_vec, make_model):
    model = make_model(make_vec([4] * 3), n_steps=8)
    model.learn(48, callback=Recorder(stop_at=3))
    assert model.num_timesteps == 9
    before = snapshot(model.policy)
    assert not changed(model.policy, before)
    model.learn(24, reset_num_timesteps=False)
    assert model.num_timesteps == 9 + 24
    assert changed(model.policy, before)
    # had the environments gone on, the rollout would not end with them
    assert (model.rollout_buffer._segments.lengths == 4).all()


def test_a_model_loaded_without_an_environment_asks_for_one(make_vec, make_model, tmp_path):
    make_model(make_vec([4] * 3), n_steps=4).save(tmp_path / "model")
    loaded = TransformerPPO.load(tmp_path / "model")
    with pytest.raises(ValueError, match=r"`env` must be set before `learn`, got None.*`set_env`"):
        loaded.learn(12)
    loaded.set_env(make_vec([4] * 3))
    loaded.learn(12)


def test_the_window_of_the_statistics_can_be_another_after_loading(make_vec, make_model, tmp_path):
    make_model(make_vec([4] * 3), n_steps=4, stats_window_size=7).save(tmp_path / "model")
    for kwargs, size in (({}, 7), ({"stats_window_size": 3}, 3)):
        loaded = TransformerPPO.load(tmp_path / "model", env=make_vec([4] * 3), **kwargs)
        assert loaded.learn(12).ep_info_buffer.maxlen == size


def test_learning_interrupted_by_an_exception_continues(make_vec, make_model):
    class Interrupt(BaseCallback):
        def _on_step(self):
            if self.n_calls == 3:
                raise KeyboardInterrupt
            return True

    model = make_model(make_vec([4] * 3), n_steps=8)
    with pytest.raises(KeyboardInterrupt):
        model.learn(48, callback=Interrupt())
    model.learn(24, reset_num_timesteps=False)
    assert (model.rollout_buffer._segments.lengths == 4).all()


@EACH
def test_learning_in_two_parts_equals_learning_at_once(make_vec, make_model, policy):
    at_once = make_model(make_vec(RAGGED), policy, n_steps=8).learn(72)
    parts = make_model(make_vec(RAGGED), policy, n_steps=8).learn(24)
    parts.learn(48, reset_num_timesteps=False)
    np.testing.assert_array_equal(
        at_once.policy.parameters_to_vector(), parts.policy.parameters_to_vector()
    )


def test_tensorboard_and_progress_bar(make_vec, make_model, tmp_path):
    model = make_model(make_vec([4] * 3), n_steps=4, tensorboard_log=str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm.rich announces itself as experimental
        model.learn(24, progress_bar=True)
    assert list(tmp_path.glob("TransformerPPO_1/events*"))


def test_works_within_vec_normalize(make_env, make_model):
    env = VecNormalize(DummyVecEnv([lambda n=n: make_env(n, truncates=True) for n in (3, 5)]))
    model = make_model(env, n_steps=8).learn(32)
    assert np.isfinite(model.policy.parameters_to_vector()).all()
    assert model.get_vec_normalize_env() is env


def test_learns_on_a_single_environment_given_by_id(make_model):
    model = make_model("CartPole-v1", n_steps=32).learn(64)
    assert model.num_timesteps == 64
    assert len(model.ep_info_buffer) > 0  # SB3 puts a Monitor around it


class Recall(gym.Env):
    """The reward is 1 for repeating the cue of the first step, which is shown only there."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.cue = 0, int(self.np_random.integers(2))
        return np.array([2 * self.cue - 1, 0], np.float32), {}

    def step(self, action):
        self.t += 1
        reward = float(action == self.cue)
        return np.array([0, self.t / 4], np.float32), reward, self.t == 4, False, {}


def recall_model(policy):
    fns = [Recall] * 32
    env = GymnasiumVecEnv(SyncVectorEnv(fns, autoreset_mode=AutoresetMode.SAME_STEP))
    kwargs = {"d_model": 16, "n_heads": 2, "d_ff": 32, "input_hidden": 32}
    return TransformerPPO(
        policy,
        env,
        n_steps=4,
        batch_size=64,
        learning_rate=5e-3,
        target_kl=None,
        n_epochs=4,
        seed=0,
        device="cpu",
        policy_kwargs=kwargs if policy == "TransformerPolicy" else None,
    )


@pytest.mark.parametrize(
    ("policy", "low", "high"),
    [("TransformerPolicy", 3.9, 4), ("LstmPolicy", 3.9, 4), ("MarkovPolicy", 2.0, 3.0)],
)
def test_a_cue_is_remembered_with_memory_and_forgotten_without(policy, low, high):
    model = recall_model(policy).learn(20 * 128)
    env = GymnasiumVecEnv(SyncVectorEnv([Recall] * 200, autoreset_mode=AutoresetMode.SAME_STEP))
    env.seed(1)
    mean, _ = evaluate_policy(model, env, 200, deterministic=True, warn=False)
    assert low <= mean <= high  # 2.5 is the best without memory
