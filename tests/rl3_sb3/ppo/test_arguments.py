"""What fits an environment, and what is refused."""

import copy
import re

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import nn

from rl3_sb3 import LstmPolicy, MarkovPolicy, SequencePolicy, TransformerPPO
from rl3_sb3.networks.memoryless import MemorylessNetwork
from rl3_sb3.policy import POLICIES

from .parts import REMEMBERING, changed


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
        ({"batch_size": 12.5}, r"`batch_size` must be an integer, got 12.5"),
        ({"batch_size": lambda left: 12}, r"`batch_size` must be an integer, got <function"),
        ({"vf_coef": np.inf}, r"`vf_coef` must be finite, got inf"),
        ({"learning_rate": np.inf}, r"`learning_rate` must be finite, got inf"),
        ({"normalize_advantage": "no"}, r"`normalize_advantage` must be True or False, got 'no'"),
        ({"normalize_returns": None}, r"`normalize_returns` must be True or False, got None"),
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


@pytest.mark.parametrize("name", ["gamma", "vf_coef", "target_kl", "max_grad_norm"])
def test_what_cannot_follow_a_schedule_takes_none(make_vec, make_model, name):
    with pytest.raises(TypeError, match=f"`{name}` must be a number, got <function"):
        make_model(make_vec([6, 6], horizon=6), **{name: lambda left: 0.5})


@pytest.mark.parametrize("given", ["wide", [("hidden", 5)]])
def test_arguments_of_the_policy_that_are_no_dict_are_refused(make_vec, given):
    with pytest.raises(TypeError, match=r"`policy_kwargs` must be a dict .* got ['\[]"):
        TransformerPPO("MarkovPolicy", make_vec([6, 6], horizon=6), policy_kwargs=given)


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


@pytest.mark.parametrize(
    ("lengths", "kwargs", "message"),
    [
        ([4, 4], {"horizon": 4}, "episodes that fit the model, .* 4, got 1026. The model's roll"),
        ([6, 6], {"horizon": 6, "obs_dim": 5}, "the spaces of the model, .* was trained on.$"),
        ([6] * 3, {"horizon": 6}, "the model's number of environments, 2, got 3. To train on an"),
    ],
)
def test_set_env_refuses_what_does_not_fit_and_keeps_the_environment(
    make_vec, make_model, lengths, kwargs, message
):
    env = make_vec([6, 6], horizon=6)
    model = make_model(env)
    with pytest.raises(ValueError, match=f"^`env` must have {message}"):
        model.set_env(make_vec(lengths, **kwargs))
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


class Hollow(nn.Module):
    def __init__(self, input_dim, output_dim):
        super().__init__()


class Open(MemorylessNetwork):
    def __init__(self, input_dim, output_dim, **rest):
        super().__init__(input_dim, output_dim, **rest)


class Narrow(MemorylessNetwork):
    def __init__(self, input_dim):
        super().__init__(input_dim, 1, 1)


class Required(MemorylessNetwork):
    def __init__(self, input_dim, output_dim, context_length, hidden):
        super().__init__(input_dim, output_dim, context_length, hidden=hidden)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, r"`Mine.network` must be a class like .*Network, got none. Write `network ="),
        ({"network": MemorylessNetwork(1, 1, 1)}, "got an object of MemorylessNetwork"),
        ({"network": Hollow}, "got Hollow without new_memory, require_room, step, invalidate_mem"),
        ({"network": Open}, r"got Open, whose constructor takes \(input_dim, output_dim, \*\*rest"),
        ({"network": Narrow}, r"got Narrow, whose constructor takes \(input_dim\)"),
        ({"network": Required}, r'`hidden` must be given to Mine. Pass policy_kwargs=\{"hidden": '),
    ],
)
def test_a_class_that_is_no_network_is_told_what_it_lacks(make_vec, make_model, members, message):
    mine = type("Mine", (SequencePolicy,), members)
    with pytest.raises(TypeError, match=message):
        make_model(make_vec([6, 6], horizon=6), mine)
    if "hidden" in message:
        make_model(make_vec([6, 6], horizon=6), mine, policy_kwargs={"hidden": 5})


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
