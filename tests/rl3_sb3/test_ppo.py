import copy
import re
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch.distributions import kl_divergence

from rl3_sb3 import GymnasiumVecEnv, LstmPolicy, MarkovPolicy, SequencePolicy, TransformerPPO
from rl3_sb3.networks.memoryless import MemorylessNetwork
from rl3_sb3.policy import POLICIES
from rl3_sb3.update.updates import DivergedError

ALIGNED, RAGGED = [4, 4, 4], [4, 3, 7]
EACH = pytest.mark.parametrize("policy", ["TransformerPolicy", "LstmPolicy", "MarkovPolicy"])
REMEMBERING = pytest.mark.parametrize("policy", ["TransformerPolicy", "LstmPolicy"])


@pytest.fixture
def collected(make_vec, make_model):
    """A model that has just collected a rollout."""

    def make(lengths, n_steps=8, policy="TransformerPolicy", env=None, **kwargs):
        env_kwargs = {
            key: kwargs.pop(key)
            for key in ("truncates", "box_actions", "dict_obs")
            if key in kwargs
        }
        env = make_vec(lengths, **env_kwargs) if env is None else env
        model = make_model(env, policy=policy, n_steps=n_steps, **kwargs)
        model.set_logger(configure(None, []))
        _, callback = model._setup_learn(1)
        assert model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
        return model

    return make


def real_steps(batch):
    shape = batch.log_probs.shape
    return th.ones(shape, dtype=th.bool) if batch.mask is None else batch.mask


# ------------------------------------------------------------------ collecting


@EACH
@pytest.mark.parametrize("kwargs", [{}, {"box_actions": True}, {"dict_obs": True}])
@pytest.mark.parametrize("lengths", [ALIGNED, RAGGED])
def test_rollout_log_probabilities_and_values_equal_evaluation(collected, lengths, kwargs, policy):
    model = collected(lengths, policy=policy, **kwargs)
    for batch in model.rollout_buffer.get(None):
        values, log_probs, _ = model.policy.evaluate_actions(batch.tokens, batch.actions)
        real = real_steps(batch)
        th.testing.assert_close(log_probs[real], batch.log_probs[real], atol=1e-5, rtol=1e-5)
        stored = (batch.returns - batch.advantages)[real]
        th.testing.assert_close(values[real], stored, atol=1e-5, rtol=1e-5)
        assert (batch.mask is None) == (lengths is ALIGNED)


def test_the_policy_collects_what_the_environment_did(collected, make_vec):
    model = collected(RAGGED)
    buffer, replay = model.rollout_buffer, make_vec(RAGGED)
    replay.seed(0)
    obs = replay.reset()
    for t in range(8):
        np.testing.assert_array_equal(buffer._stored["tokens"][:, t], obs)
        obs, rewards, dones, _ = replay.step(buffer._stored["actions"][:, t].numpy())
        np.testing.assert_array_equal(buffer.rewards[:, t], rewards)
        np.testing.assert_array_equal(buffer.ends[:, t], dones | (t == 7))


@EACH
def test_a_truncated_episode_is_bootstrapped_in_context(collected, make_vec, policy):
    settings = {"truncates": True, "gae_lambda": 0.0, "gamma": 0.9}
    model = collected([4, 3], n_steps=6, policy=policy, **settings)
    buffer, replay = model.rollout_buffer, make_vec([4, 3], truncates=True)
    replay.seed(0)
    obs, contexts = replay.reset(), [[], []]
    checked = 0
    for t in range(6):
        for i in range(2):
            contexts[i].append(obs[i])
        obs, rewards, dones, infos = replay.step(buffer._stored["actions"][:, t].numpy())
        for i in range(2):
            if dones[i] or t == 5:
                last = infos[i]["terminal_observation"] if dones[i] else obs[i]
                context = th.as_tensor(np.stack([*contexts[i], last]))[None]
                with th.no_grad():
                    value = model.policy.sequence_values(context)[0, -1].item()
                assert buffer.returns[i, t] == pytest.approx(rewards[i] + 0.9 * value, abs=1e-5)
                contexts[i] = []
                checked += 1
    assert checked == 4


def test_nothing_is_bootstrapped_after_a_termination(collected):
    buffer = collected([4, 3], n_steps=6).rollout_buffer
    ends = buffer.ends.copy()
    ends[0, 5] = False  # still running there: bootstrapped
    np.testing.assert_allclose(buffer.returns[ends], buffer.rewards[ends], atol=1e-5)
    assert abs(buffer.returns[0, 5] - buffer.rewards[0, 5]) > 1e-4


@REMEMBERING
def test_a_new_rollout_clears_the_memory_but_not_the_environment(collected, policy):
    model = collected([100, 100], n_steps=5, policy=policy)
    last_obs = model._last_obs.copy()
    _, callback = model._setup_learn(1, reset_num_timesteps=False)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, 5)
    np.testing.assert_array_equal(model.rollout_buffer._stored["tokens"][:, 0], last_obs)
    batch = next(model.rollout_buffer.get(None))
    # evaluated from the rollout's first step on: nothing before it was remembered
    _, log_probs, _ = model.policy.evaluate_actions(batch.tokens, batch.actions)
    th.testing.assert_close(log_probs, batch.log_probs, atol=1e-5, rtol=1e-5)


# ------------------------------------------------------------------ training


def snapshot(module):
    return copy.deepcopy(module.state_dict())


def changed(module, before):
    return any(not th.equal(p, before[name]) for name, p in module.state_dict().items())


def test_the_actor_stops_alone_when_the_divergence_passes_the_target(collected):
    model = collected(ALIGNED, n_epochs=5, batch_size=8, target_kl=1e-12, learning_rate=1e-2)
    model.train()
    log = model.logger.name_to_value
    assert log["train/actor_epochs"] == 1
    assert log["train/kl"] > 1e-12
    steps = [
        {int(model.policy.optimizer.state[p]["step"]) for p in group["params"]}
        for group in model.policy.optimizer.param_groups
    ]
    assert steps == [{3}, {15}]  # 24 steps in 3 minibatches; the actor's moments rest too


@pytest.mark.parametrize(("factor", "goes_on"), [(0.9, False), (1.1, True)])
def test_the_actor_stops_at_the_target_itself(collected, factor, goes_on):
    first = collected(RAGGED, n_epochs=1, target_kl=None)
    first.train()
    divergence = first.logger.name_to_value["train/kl"]
    assert divergence == pytest.approx(first.mean_divergence(), rel=1e-9)
    assert divergence > 0
    again = collected(RAGGED, n_epochs=2, target_kl=factor * divergence)
    again.train()
    assert again.logger.name_to_value["train/actor_epochs"] == 1 + goes_on


def test_a_stopped_actor_keeps_its_weights_and_the_critic_goes_on(collected):
    def after(n_epochs):
        model = collected(ALIGNED, n_epochs=n_epochs, target_kl=1e-12, learning_rate=1e-2)
        model.train()
        return snapshot(model.policy.actor), snapshot(model.policy.critic)

    (actor, critic), (actor_on, critic_on) = after(1), after(4)
    assert all(th.equal(actor[name], actor_on[name]) for name in actor)
    assert not any(th.equal(critic[name], critic_on[name]) for name in critic)


def test_when_the_actor_stops_before_a_frozen_critic_the_iteration_is_over(collected):
    model = collected(ALIGNED, n_epochs=5, target_kl=1e-12, learning_rate=1e-2)
    model.policy.critic.requires_grad_(False)
    before = model.policy.parameters_to_vector()
    model.train()
    assert model.logger.name_to_value["train/actor_epochs"] == 1
    assert not np.array_equal(model.policy.parameters_to_vector(), before)


@pytest.mark.parametrize("target_kl", [None, 1e9])
def test_without_a_reached_target_the_actor_trains_in_all_epochs(collected, target_kl):
    model = collected(ALIGNED, n_epochs=3, target_kl=target_kl)
    model.train()
    assert model.logger.name_to_value["train/actor_epochs"] == 3


@pytest.mark.parametrize("kwargs", [{}, {"box_actions": True}])
@pytest.mark.parametrize("lengths", [ALIGNED, RAGGED])
def test_the_divergence_is_the_exact_one_over_the_whole_rollout(collected, lengths, kwargs):
    model = collected(lengths, learning_rate=1e-2, **kwargs)
    assert model.mean_divergence() == pytest.approx(0, abs=1e-6)
    model.train()
    total = []
    for batch in model.rollout_buffer.get(1, shuffle=False):
        old = model.policy.distribution(batch.params)
        new = model.policy.distribution(model.policy.sequence_params(batch.tokens).detach())
        total += kl_divergence(old, new)[real_steps(batch)].tolist()
    assert len(total) == 24
    assert model.logger.name_to_value["train/kl"] == pytest.approx(np.mean(total), rel=1e-4)


@pytest.mark.parametrize(
    ("policy", "factor"), [("TransformerPolicy", 1.05), ("LstmPolicy", 3), ("MarkovPolicy", 1.5)]
)
def test_one_update_follows_the_gradient_of_the_written_loss(collected, policy, factor):
    """The loss of the module's docstring, computed step by step from the stored rollout."""
    settings = {"batch_size": 10**6, "ent_coef": 0.3, "vf_coef": 0.7}
    settings |= {"normalize_returns": False, "max_grad_norm": None}
    model = collected(RAGGED, policy=policy, n_epochs=1, **settings)
    policy = copy.deepcopy(model.policy)
    with th.no_grad():  # a behaviour that differs from the current policy, so that ratios matter
        for p in (*model.policy.actor.parameters(), *policy.actor.parameters()):
            p.mul_(factor)
    model.train()

    parts = []
    for batch in model.rollout_buffer.get(4, shuffle=False):
        evaluated = policy.evaluate_actions(batch.tokens, batch.actions)
        columns = (*evaluated, batch.log_probs, batch.advantages, batch.returns)
        parts.append([column[real_steps(batch)] for column in columns])
    values, log_probs, entropy, old, advantages, returns = map(th.cat, zip(*parts, strict=True))
    assert len(values) == 24
    advantages = (advantages - advantages.mean()) / advantages.std()
    ratio = (log_probs - old).exp()
    assert (ratio - 1).abs().max() > 1e-3
    gain = th.min(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages).mean()
    loss = -gain - 0.3 * entropy.mean() + 0.7 * ((values - returns) ** 2).mean()
    loss.backward()
    for (name, ours), theirs in zip(
        model.policy.named_parameters(), policy.parameters(), strict=True
    ):
        if name.endswith("qkv.bias"):  # the key part has exactly zero gradient: only rounding
            continue
        th.testing.assert_close(ours.grad, theirs.grad, atol=1e-6, rtol=1e-3)


def test_schedules_see_progress_from_1_to_0_and_never_below(make_vec, make_model):
    seen = []

    def schedule(progress):
        seen.append(progress)
        return progress

    model = make_model(make_vec([4] * 3), n_steps=4, ent_coef=schedule, clip_range=0.2)
    model.learn(30)  # 12 steps an iteration: the third overshoots
    np.testing.assert_allclose(seen, [1 - 12 / 30, 1 - 24 / 30, 0])
    assert model.logger.name_to_value["train/ent_coef"] == 0


def test_gradient_clipping_bounds_the_norm_of_each_network_only_if_asked(collected):
    def norm(network, **kwargs):
        model = collected(ALIGNED, n_epochs=1, batch_size=24, **kwargs)
        model.train()
        parameters = getattr(model.policy, network).parameters()
        return th.stack([p.grad.norm() for p in parameters]).norm().item()

    assert norm("actor", max_grad_norm=None) > 0.02
    for network in ("actor", "critic"):
        assert norm(network, max_grad_norm=0.01) == pytest.approx(0.01, rel=1e-3)


def test_the_same_seed_gives_the_same_model(make_vec, make_model):
    def weights(seed, lengths=RAGGED):
        model = make_model(make_vec(lengths), n_steps=8, seed=seed)
        model.learn(48)
        return model.policy.parameters_to_vector()

    np.testing.assert_array_equal(weights(3), weights(3))
    assert np.abs(weights(3) - weights(4)).max() > 1e-4


# ------------------------------------------------------------------ SB3's machinery


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


# ------------------------------------------------------------------ evaluation


@EACH
def test_evaluation_of_environments_that_end_at_different_times(make_vec, make_model, policy):
    lengths = [2, 3, 7, 4]
    model = make_model(make_vec(lengths), policy, n_steps=7)
    th.nn.init.normal_(model.policy.actor.head.weight)

    def evaluate(lengths, seed, episodes):
        env = make_vec(lengths)
        env.seed(seed)
        rewards, counts = evaluate_policy(
            model, env, episodes, return_episode_rewards=True, warn=False
        )
        return sorted(zip(counts, np.round(rewards, 4), strict=True))

    together = evaluate(lengths, seed=5, episodes=10)  # 3, 3, 2, 2: some stop earlier than others
    alone = []
    for i, episodes in enumerate([2, 2, 3, 3]):
        alone += evaluate(lengths[i : i + 1], seed=5 + i, episodes=episodes)
    assert together == sorted(alone)


def test_evaluation_during_training(make_vec, make_model):
    model = make_model(make_vec([4] * 3), n_steps=4)
    callback = EvalCallback(make_vec([2, 4]), n_eval_episodes=4, eval_freq=3, verbose=0, warn=False)
    model.learn(48, callback=callback)
    assert callback.n_calls == 16
    assert np.isfinite(callback.last_mean_reward)


# ------------------------------------------------------------------ what fits an environment


def test_n_steps_is_the_environments_horizon(make_vec, make_model):
    model = make_model(make_vec([6] * 342, horizon=6))  # 2052 steps
    assert model.n_steps == 6
    assert model.policy.actor.context_length == 6


def test_n_steps_is_the_horizon_so_often_that_a_rollout_has_2048_steps(make_vec, make_model):
    model = make_model(make_vec([6, 6], horizon=6))
    assert model.n_steps == 6 * 171  # 2052 of both; 170 are not enough
    assert model.policy.actor.context_length == 6


def test_n_steps_is_the_time_limit_without_a_horizon(make_model):
    model = make_model(DummyVecEnv([lambda: gym.make("CartPole-v1")] * 5))
    assert model.n_steps == 500


def test_a_horizon_inside_wrappers_is_found(make_env, make_model):
    env = VecNormalize(DummyVecEnv([lambda: TimeLimit(make_env(6, horizon=6), 6)]))
    assert make_model(env).n_steps == 2052


def test_the_context_covers_one_meta_episode_of_a_longer_rollout(make_vec, make_model):
    model = make_model(make_vec([6, 6], horizon=6), n_steps=18)
    assert model.policy.actor.context_length == 6
    model.learn(36)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"n_steps": 9}, r"`n_steps` must be a multiple of .* horizon 6, got 9\. Pass n_steps=12"),
        ({"policy_kwargs": {"context_length": 5}}, r"`context_length` must cover .* 6 .* got 5"),
        ({"policy_kwargs": {"context_length": 0}}, r"`context_length` must cover .* 6 .* got 0"),
        ({"n_steps": 0}, r"`n_steps` must be at least 1, got 0"),
        ({"batch_size": 1}, r"`batch_size` must be at least 2, got 1"),
        ({"n_epochs": 0}, r"`n_epochs` must be at least 1, got 0"),
        ({"gamma": 1.2}, r"`gamma` must be in \[0, 1\], got 1.2"),
        ({"gae_lambda": -0.1}, r"`gae_lambda` must be in \[0, 1\], got -0.1"),
        ({"target_kl": 0.0}, r"`target_kl` must be above 0, got 0.0. Pass None"),
        ({"max_grad_norm": -1.0}, r"`max_grad_norm` must be above 0, got -1.0. Pass None"),
        ({"vf_coef": -1.0}, r"`vf_coef` must be at least 0, got -1.0"),
        ({"ent_coef": -0.1}, r"`ent_coef` must be at least 0, got -0.1"),
        ({"clip_range": 0.0}, r"`clip_range` must be above 0, got 0.0"),
        ({"learning_rate": -1.0}, r"`learning_rate` must be at least 0, got -1.0"),
        ({"n_steps": 6.0}, r"`n_steps` must be an integer, got 6.0"),
        ({"n_epochs": 2.5}, r"`n_epochs` must be an integer, got 2.5"),
        ({"n_epochs": None}, r"`n_epochs` must be an integer, got None"),
    ],
)
def test_bad_arguments_are_refused(make_vec, make_model, kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_model(make_vec([6, 6], horizon=6), **kwargs)


@pytest.mark.parametrize(
    "name", ["gamma", "gae_lambda", "clip_range", "vf_coef", "ent_coef", "learning_rate"]
)
@pytest.mark.parametrize("value", [None, "0.5"])
def test_an_argument_that_is_no_number_is_named(make_vec, make_model, name, value):
    with pytest.raises(TypeError, match=f"`{name}` must be a number, got {value!r}"):
        make_model(make_vec([6, 6], horizon=6), **{name: value})


def test_a_missing_n_steps_is_refused(make_vec, make_model):
    with pytest.raises(ValueError, match=r"`n_steps` must be given, got None"):
        make_model(make_vec([6, 6]))


def test_different_horizons_are_refused(make_env, make_model):
    env = DummyVecEnv([lambda h=h: make_env(h, horizon=h) for h in (4, 6)])
    with pytest.raises(ValueError, match=r"one horizon for all environments, got \[4, 6\]"):
        make_model(env)


def test_an_episode_longer_than_the_context_is_refused_when_acting(make_vec, make_model):
    model = make_model(make_vec([6, 6]), n_steps=4)
    with pytest.raises(ValueError, match="`context_length` = 4"):
        evaluate_policy(model, make_vec([6, 6]), 2, warn=False)


def test_an_lstm_acts_for_longer_than_its_rollouts(make_vec, make_model):
    model = make_model(make_vec([6, 6]), "LstmPolicy", n_steps=4).learn(16)
    assert "context_length" not in model.policy_kwargs
    evaluate_policy(model, make_vec([6, 6]), 2, warn=False)


def test_set_env_refuses_another_horizon_and_keeps_the_environment(make_vec, make_model):
    env = make_vec([6, 6], horizon=6)
    model = make_model(env)
    with pytest.raises(ValueError, match="horizon 4"):
        model.set_env(make_vec([4, 4], horizon=4))
    assert model.get_env() is env
    model.set_env(make_vec([6, 6], horizon=6))
    model.learn(12)


@pytest.mark.parametrize("policy", [LstmPolicy, MarkovPolicy])
def test_other_policies_take_the_same_recipe(make_vec, make_model, policy):
    model = make_model(make_vec([6, 6], horizon=6), policy=policy.__name__)
    assert type(model.policy) is policy
    model.learn(24)


def test_a_policy_of_ones_own_network_trains(make_vec, make_model):
    class Mine(SequencePolicy):
        network = MemorylessNetwork

    model = make_model(make_vec([6, 6], horizon=6), Mine, policy_kwargs={"hidden": 5}).learn(24)
    assert model.policy.actor.head.in_features == 5


def test_a_network_of_ones_own_need_not_know_of_choices(make_vec, make_model, monkeypatch):
    monkeypatch.delattr(MemorylessNetwork, "CHOICES")
    model = make_model(make_vec([6, 6], horizon=6), "MarkovPolicy").learn(24)
    assert model.policy.oldest_choices() == {}


def test_an_unknown_policy_is_refused_with_the_known_names(make_vec):
    known = f"{', '.join(POLICIES)}, or a subclass of rl3_sb3.SequencePolicy"
    for policy in ("MlpPolicy", ActorCriticPolicy, None, MarkovPolicy.load):
        with pytest.raises(ValueError, match=f"{known}, got {re.escape(repr(policy))}"):
            TransformerPPO(policy, make_vec([6, 6], horizon=6))


def test_a_vector_environment_of_gymnasium_is_refused_with_the_name_of_its_adapter():
    envs = gym.make_vec("CartPole-v1", 2)
    with pytest.raises(ValueError, match=r"Pass GymnasiumVecEnv\(env\)"):
        TransformerPPO("TransformerPolicy", envs, n_steps=8)


def test_a_policy_that_replaces_the_models_is_what_acts_and_trains(make_vec, make_model):
    model, other = (make_model(make_vec([4] * 3), n_steps=4, seed=seed) for seed in (0, 1))
    model.learn(12)
    replaced = model.policy.parameters_to_vector()
    mine, model.policy = model.policy, other.policy
    untrained = copy.deepcopy(other.policy)
    model.learn(12)
    np.testing.assert_array_equal(mine.parameters_to_vector(), replaced)
    assert not np.array_equal(other.policy.parameters_to_vector(), untrained.parameters_to_vector())
    batch = next(model.rollout_buffer.get(None))
    acted = untrained.sequence_params(batch.tokens)
    th.testing.assert_close(acted, batch.params, atol=1e-5, rtol=1e-5)


@REMEMBERING
def test_frozen_parameters_stay_and_the_others_train(make_vec, make_model, policy):
    model = make_model(make_vec([4, 3, 7]), policy, n_steps=8)
    frozen = {*model.policy.actor.embedding.parameters(), *model.policy.critic.head.parameters()}
    for parameter in frozen:
        parameter.requires_grad_(False)
    before = {parameter: parameter.detach().clone() for parameter in model.policy.parameters()}
    model.learn(24)
    stayed = {parameter for parameter, value in before.items() if th.equal(parameter, value)}
    assert stayed == frozen


# ------------------------------------------------------------------ NaN and infinity


class Broken(gym.Wrapper):
    """Gives NaN in its fifth step, which may be the last of an episode."""

    def __init__(self, env, what):
        super().__init__(env)
        self.what, self.steps = what, 0

    def step(self, action):
        obs, reward, *rest = self.env.step(action)
        self.steps += 1
        if self.steps == 5:
            obs, reward = (obs, np.nan) if self.what == "reward" else (obs * np.nan, reward)
        return obs, reward, *rest


@pytest.mark.parametrize(
    ("what", "length", "step"),
    [("reward", 8, 4), ("observation", 8, 5), ("observation after the action", 5, 4)],
)
def test_an_environment_that_gives_no_number_is_named(make_env, make_model, what, length, step):
    env = DummyVecEnv([lambda: make_env(8), lambda: Broken(make_env(length, truncates=True), what)])
    model = make_model(env, n_steps=8)
    before = model.policy.parameters_to_vector()
    message = rf"the {what} .*nan.* in environment 1 at step {step} \(from 0\) of the rollout"
    with pytest.raises(ValueError, match=message):
        model.learn(16)
    np.testing.assert_array_equal(model.policy.parameters_to_vector(), before)


@EACH
def test_training_that_is_no_longer_finite_stops_at_once(make_vec, make_model, policy):
    def rate(progress):
        return 1e-3 if progress > 0.5 else 1e30

    model = make_model(make_vec([4] * 3), policy, n_steps=4, learning_rate=rate, target_kl=None)
    with pytest.raises(DivergedError, match=r"iteration 2, after 24 steps.*`learning_rate`"):
        model.learn(48)


def test_parameters_that_are_not_finite_stop_training_even_if_losses_are(make_vec, make_model):
    model = make_model(make_vec([4] * 3), n_steps=4, n_epochs=1, batch_size=1000, target_kl=None)
    model.learn(12)
    with th.no_grad():  # a position that no episode reaches is in no loss
        model.policy.critic.register_parameter("unused", th.nn.Parameter(th.tensor([np.nan])))
    with pytest.raises(DivergedError, match=r"norm of all parameters = nan in iteration 2"):
        model.learn(12, reset_num_timesteps=False)


def test_lambda_follows_its_schedule_from_the_rollouts_first_step_on(make_vec, make_model):
    seen = []

    class Look(BaseCallback):
        def _on_step(self):
            return True

        def _on_rollout_end(self):
            seen.append(self.model.rollout_buffer.gae_lambda)

    model = make_model(make_vec([4, 4]), n_steps=4, gae_lambda=lambda progress: 1 - progress)
    n_steps = model.n_steps * model.n_envs
    model.learn(4 * n_steps, Look())
    model.learn(2 * n_steps, Look(), reset_num_timesteps=False)
    model.learn(2 * n_steps, Look())
    assert seen == pytest.approx([0, 0.25, 0.5, 0.75, 4 / 6, 5 / 6, 0, 0.5])


def test_a_schedule_that_leaves_lambdas_range_is_named(make_vec, make_model):
    model = make_model(make_vec([4, 4]), n_steps=4, gae_lambda=lambda progress: 2.0)
    with pytest.raises(ValueError, match=r"`gae_lambda` must stay in \[0, 1\], got 2.0"):
        model.learn(1)


# ------------------------------------------------------------------ a rollout of one step


def test_a_rollout_of_one_step_in_all_is_refused(make_vec, make_model, tmp_path):
    message = "`n_steps` must give at least 2 steps of all environments together, got 1"
    with pytest.raises(ValueError, match=message):
        make_model(make_vec([1]), n_steps=1)
    model = make_model(make_vec([1, 1]), n_steps=1, n_epochs=1)
    before = model.policy.parameters_to_vector()
    model.learn(2)
    assert not np.array_equal(model.policy.parameters_to_vector(), before)
    model.save(tmp_path / "model")
    alone = TransformerPPO.load(tmp_path / "model", env=make_vec([1]))
    evaluate_policy(alone, make_vec([1]), 2, warn=False)  # it can still act
    with pytest.raises(ValueError, match=message):
        alone.learn(2)


def test_a_rollout_of_one_step_trains_without_normalisation(make_vec, make_model):
    model = make_model(make_vec([1]), n_steps=1, normalize_advantage=False)
    actor = copy.deepcopy(model.policy.actor.state_dict())
    model.learn(4)
    assert changed(model.policy.actor, actor)
