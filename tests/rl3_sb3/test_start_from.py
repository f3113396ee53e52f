"""A model goes on from the networks of another policy, and its critic may catch up first."""

import gymnasium
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.env_util import make_vec_env

from rl3_sb3 import TransformerPPO, load_policy
from rl3_sb3.policy_files.strict_json import PolicyFileError

SMALL = {"d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16, "input_hidden": 16}


def make(seed=0, env="CartPole-v1", policy="TransformerPolicy", arguments=None, **settings):
    arguments = SMALL if arguments is None else arguments
    vec_env = make_vec_env(env, 2, seed=seed)
    defaults = {"n_steps": 32, "batch_size": 32, "n_epochs": 1}
    return TransformerPPO(
        policy, vec_env, policy_kwargs=arguments, seed=seed, device="cpu", **defaults | settings
    )


def weights(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def equal(one, other):
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


def exported(tmp_path, **arguments):
    source = make(seed=1)
    source.learn(64)
    source.export(tmp_path / "source", **arguments)
    return source, tmp_path / "source"


class TwoSides(gymnasium.Env):
    """Two observations of one size, and episodes of three steps."""

    observation_space = spaces.Dict({side: spaces.Box(0, 1, (2,)) for side in ("left", "right")})
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._t = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        self._t += 1
        return self.observation_space.sample(), 1.0, self._t == 3, False, {}


@pytest.fixture
def make_seeing():
    def make_one(side):
        return TransformerPPO(
            "TransformerPolicy",
            make_vec_env(TwoSides, 2),
            n_steps=6,
            batch_size=6,
            policy_kwargs={**SMALL, "critic_only": side},
            device="cpu",
        )

    return make_one


def test_actor_and_critic_are_those_of_the_exported_policy(tmp_path):
    source, folder = exported(tmp_path)
    model = make(seed=2)
    assert model.start_from(folder) is True
    assert equal(weights(model.policy), weights(source.policy))
    observation = model.get_env().reset()
    own = model.predict(observation, deterministic=True)[0]
    assert (own == source.predict(observation, deterministic=True)[0]).all()


def test_without_a_critic_in_the_export_the_models_own_stays(tmp_path):
    source, folder = exported(tmp_path, actor_only=True)
    model = make(seed=2)
    before = weights(model.policy.critic)
    assert model.start_from(load_policy(folder)) is False
    assert equal(weights(model.policy.critic), before)
    assert equal(weights(model.policy.actor), weights(source.policy.actor))


def test_a_critic_may_be_left_behind(tmp_path):
    _, folder = exported(tmp_path)
    model = make(seed=2)
    before = weights(model.policy.critic)
    assert model.start_from(folder, critic=False) is False
    assert equal(weights(model.policy.critic), before)


def test_a_critic_that_reads_other_observations_stays_behind(make_seeing):
    source, model = make_seeing("left"), make_seeing("right")
    before = weights(model.policy.critic)
    assert model.start_from(source.policy) is False
    assert equal(weights(model.policy.critic), before)
    assert equal(weights(model.policy.actor), weights(source.policy.actor))
    assert make_seeing("left").start_from(source.policy) is True


def test_it_forgets_adams_moments_and_the_actors_memory(tmp_path):
    _, folder = exported(tmp_path)
    model = make(seed=2)
    model.learn(64)
    observation = model.get_env().reset()
    _, memory = model.predict(observation)
    assert model.policy.optimizer.state
    model.start_from(folder)
    assert not model.policy.optimizer.state
    with pytest.raises(ValueError, match="come from the current weights"):
        model.predict(observation, memory, np.zeros(2, bool))


def test_gaussian_actions_take_their_standard_deviation_along(tmp_path):
    source = make(seed=1, env="Pendulum-v1")
    source.policy.log_std.data.fill_(-1.25)
    model = make(seed=2, env="Pendulum-v1")
    model.start_from(source.policy)
    assert model.policy.log_std.tolist() == [-1.25]


def test_an_export_counts_the_steps_of_both(tmp_path):
    _, folder = exported(tmp_path)
    model = make(seed=2)
    model.start_from(folder)
    model.learn(128)
    model.save(tmp_path / "model.zip")
    again = TransformerPPO.load(tmp_path / "model.zip", device="cpu")
    for trained in (model, again):
        assert (trained.n_steps_before, trained.num_timesteps) == (64, 128)
        trained.set_env(make_vec_env("CartPole-v1", 2))
        trained.export(tmp_path / "both")
        assert load_policy(tmp_path / "both").training_record.n_steps == 192


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"arguments": {**SMALL, "d_model": 32}}, "`d_model` 16 .* got 32"),
        ({"arguments": {**SMALL, "n_heads": 4}}, "`n_heads` 2 .* got 4"),
        ({"arguments": {**SMALL, "positions": "learned"}}, "`positions` rotary .* got learned"),
        ({"policy": "LstmPolicy", "arguments": {}}, "TransformerPolicy .* got LstmPolicy"),
        ({"env": "Acrobot-v1"}, "actions, Discrete.2., got Discrete.3."),
    ],
)
def test_a_policy_that_does_not_fit_is_named_and_changes_nothing(other, message):
    model = make(seed=2)
    before = weights(model.policy)
    context = {"context_length": 500} if other.get("policy") != "LstmPolicy" else {}
    source = make(**{**other, "arguments": {**other.get("arguments", SMALL), **context}})
    with pytest.raises(ValueError, match=message):
        model.start_from(source.policy)
    assert equal(weights(model.policy), before)


def test_a_policy_of_other_observations_is_named_and_changes_nothing():
    model = make(seed=2)
    before = weights(model.policy)
    source = make(env="MountainCar-v0", arguments={**SMALL, "context_length": 500}).policy
    source.action_space = spaces.Discrete(2)
    with pytest.raises(ValueError, match="as many numbers as the model's observations"):
        model.start_from(source)
    assert equal(weights(model.policy), before)


@pytest.mark.parametrize("wrong", [None, 3, th.nn.Linear(1, 1)])
def test_what_is_no_policy_is_named(wrong):
    with pytest.raises(ValueError, match=f"`policy` must be .* got {type(wrong).__name__}"):
        make().start_from(wrong)


def test_a_folder_without_a_policy_is_named(tmp_path):
    with pytest.raises(PolicyFileError, match="must be the folder of an exported policy"):
        make().start_from(tmp_path)


# ---------------------------------------------------------------- critic_first


def test_at_first_only_the_critic_trains_also_across_a_checkpoint(tmp_path):
    model = make(critic_first=2)
    changed = []
    for iteration in range(4):
        if iteration == 1:
            model.save(tmp_path / "model.zip")
            env = make_vec_env("CartPole-v1", 2)
            model = TransformerPPO.load(tmp_path / "model.zip", env, device="cpu")
        actor, critic = weights(model.policy.actor), weights(model.policy.critic)
        model.learn(64, reset_num_timesteps=False)
        logged = model.logger.name_to_value
        assert ("train/policy_gradient_loss" in logged) == (iteration >= 2)
        changed.append(
            (
                not equal(actor, weights(model.policy.actor)),
                not equal(critic, weights(model.policy.critic)),
            )
        )
    assert changed == [(False, True), (False, True), (True, True), (True, True)]


def test_a_frozen_critic_does_not_hold_the_actor_back():
    model = make(critic_first=5)
    model.policy.critic.requires_grad_(False)
    before = weights(model.policy.actor)
    model.learn(64)
    assert not equal(before, weights(model.policy.actor))


@pytest.mark.parametrize("epochs", [(10, 1), (1, 10)])
def test_iterations_are_counted_whatever_the_epochs(tmp_path, epochs):
    model = make(critic_first=3, n_epochs=epochs[0])
    model.learn(128)  # two iterations
    model.save(tmp_path / "model.zip")
    env = make_vec_env("CartPole-v1", 2)
    model = TransformerPPO.load(tmp_path / "model.zip", env, device="cpu", n_epochs=epochs[1])
    trained = []
    for _ in range(2):
        actor = weights(model.policy.actor)
        model.learn(64, reset_num_timesteps=False)
        trained.append(not equal(actor, weights(model.policy.actor)))
    assert trained == [False, True]


def test_iterations_are_counted_from_the_start(tmp_path):
    _, folder = exported(tmp_path)
    model = make(critic_first=1)
    model.learn(128)
    model.start_from(folder)
    actor = weights(model.policy.actor)
    model.learn(64)
    assert equal(actor, weights(model.policy.actor))


@pytest.mark.parametrize("wrong", [-1, 1.5, "two", True])
def test_critic_first_is_a_count(wrong):
    with pytest.raises((ValueError, TypeError), match="`critic_first` must be"):
        make(critic_first=wrong)
