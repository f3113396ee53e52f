import copy
import inspect
import pickle
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3 import A2C, PPO
from torch import nn

from rl3_sb3 import LstmPolicy, MarkovPolicy, SequencePolicy, TransformerPolicy

SMALL = {"context_length": 8, "d_model": 16, "n_heads": 2, "d_ff": 32, "input_hidden": 24}
SIZES = {
    TransformerPolicy: SMALL,
    LstmPolicy: {"hidden": 16, "input_hidden": 24},
    MarkovPolicy: {"context_length": 8, "hidden": 7},
}
EACH = pytest.mark.parametrize("kind", SIZES)
REMEMBERING = pytest.mark.parametrize("kind", [TransformerPolicy, LstmPolicy])
BOX = spaces.Box(-np.inf, np.inf, (4,), np.float32)
DISCRETE = spaces.Discrete(3)
CONTINUOUS = spaces.Box(-0.5, 0.5, (2, 1), np.float32)


def repickled(policy):
    return pickle.loads(pickle.dumps(policy))


def make(observation_space=BOX, action_space=DISCRETE, kind=TransformerPolicy, **kwargs):
    th.manual_seed(0)
    policy = kind(observation_space, action_space, lambda _: 1e-2, **{**SIZES[kind], **kwargs})
    nn.init.normal_(policy.actor.head.weight)  # far from uniform, so that differences show
    return policy


def observations(B, T=8):
    return np.random.default_rng(0).standard_normal((T, B, 4)).astype(np.float32)


@EACH
def test_predict_follows_the_pass_over_sequences_with_rows_that_restart(kind):
    policy, obs = make(kind=kind), observations(3)
    starts = np.zeros((8, 3), dtype=bool)
    starts[[3, 5, 6], [1, 2, 1]] = True
    assert len(policy.sequence_params(th.as_tensor(obs)).argmax(-1).unique()) > 1
    state, began = None, np.zeros(3, dtype=int)
    for t in range(8):
        actions, state = policy.predict(obs[t], state, starts[t], deterministic=True)
        began[starts[t]] = t
        for i in range(3):
            context = th.as_tensor(obs[began[i] : t + 1, i])[None]
            assert actions[i] == policy.sequence_params(context)[0, -1].argmax()


@REMEMBERING
def test_predict_twice_on_one_state_gives_the_same_distribution(kind):
    policy, obs = make(kind=kind), th.as_tensor(observations(2))
    _, state = policy.step(obs[0], policy.new_state(2))
    first, after = policy.step(obs[1], state)
    second, _ = policy.step(obs[1], state)
    assert first.equal(second)
    third, _ = policy.step(obs[1], after)
    assert (third - first).abs().max() > 1e-3  # it remembers
    actions = [policy.predict(obs[1].numpy(), state, deterministic=True)[0] for _ in range(2)]
    assert (actions[0] == actions[1]).all()
    assert (actions[0] == first.argmax(-1).numpy()).all()


@EACH
def test_predict_without_a_batch_axis_returns_one_action(kind):
    policy = make(kind=kind)
    action, state = policy.predict(observations(1)[0, 0])
    assert action.shape == ()
    policy.predict(observations(1)[1], state)


@EACH
def test_one_bool_says_for_all_rows_that_episodes_start_and_others_must_be_as_many(kind):
    policy, obs = make(kind=kind), observations(2)
    _, state = policy.predict(obs[0])
    expected, _ = policy.predict(obs[1], state, np.ones(2, bool), deterministic=True)
    for start in (True, [True], np.True_):
        actions, _ = policy.predict(obs[1], state, start, deterministic=True)
        np.testing.assert_array_equal(actions, expected)
    for n, start in ((2, np.ones(3, bool)), (2, np.ones((2, 1), bool)), (1, [True, False])):
        message = rf"`episode_start` must have one bool for each of {n} observations, got the shape"
        with pytest.raises(ValueError, match=message):
            policy.predict(obs[1][:n], None, start)


def test_predicting_beyond_the_context_is_refused():
    policy, state = make(), None
    for obs in observations(1):
        _, state = policy.predict(obs, state)
    with pytest.raises(ValueError, match="`context_length` = 8"):
        policy.predict(observations(1)[0], state)


def test_an_lstm_predicts_for_longer_than_it_was_trained():
    policy, obs = make(kind=LstmPolicy), th.as_tensor(observations(2, T=100))
    state = policy.new_state(2)
    for t in range(100):
        params, state = policy.step(obs[t], state)
    expected = policy.sequence_params(obs.transpose(0, 1))[:, -1]
    th.testing.assert_close(params, expected, atol=1e-5, rtol=1e-5)
    assert policy.context_length is None


@REMEMBERING
@pytest.mark.parametrize("copied", [lambda policy: policy, copy.deepcopy, repickled])
@pytest.mark.parametrize("change", ["step", "load_state_dict", "load_from_vector"])
def test_a_state_from_before_a_weight_update_is_refused(change, copied, kind):
    policy, obs = copied(make(kind=kind)), observations(2)
    _, state = policy.predict(obs[0])
    if change == "step":
        policy.sequence_values(th.as_tensor(obs)).sum().backward()
        policy.optimizer.step()
    elif change == "load_state_dict":
        policy.load_state_dict(policy.state_dict())
    else:
        policy.load_from_vector(policy.parameters_to_vector())
    with pytest.raises(ValueError, match="current weights"):
        policy.predict(obs[1], state)


def test_dict_observations_are_flattened_in_sorted_order_of_keys():
    space = spaces.Dict([("z", BOX), ("a", spaces.Discrete(3)), ("m", spaces.Box(0, 1, (2, 1)))])
    policy = make(space)
    tokens = policy.to_tokens(
        {
            "z": np.array([[5, 6, 7, 8]], dtype=np.float32),
            "m": np.array([[[3], [4]]], dtype=np.float32),
            "a": np.array([1]),
        }
    )
    assert tokens.tolist() == [[0, 1, 0, 3, 4, 5, 6, 7, 8]]


def test_continuous_actions_have_the_space_shape_and_stay_in_its_bounds():
    policy = make(action_space=CONTINUOUS, log_std_init=2.0)
    actions, _ = policy.predict(observations(50)[0])
    assert actions.shape == (50, 2, 1)
    assert np.abs(actions).max() == 0.5
    assert CONTINUOUS.contains(actions[0])


def test_sampled_actions_follow_the_distribution():
    policy, obs = make(), np.repeat(observations(1)[0], 20_000, axis=0)
    th.manual_seed(1)
    actions, _ = policy.predict(obs)
    probabilities = policy.sequence_params(th.as_tensor(obs[:1, None])).softmax(-1).flatten()
    counts = np.bincount(actions, minlength=3) / 20_000
    np.testing.assert_allclose(counts, probabilities.detach(), atol=0.015)


def test_log_standard_deviations_are_the_actors():
    policy = make(action_space=CONTINUOUS, log_std_init=-1.0)
    params = policy.sequence_params(th.as_tensor(observations(2)))
    assert params.shape == (8, 2, 4)
    assert (params[..., 2:] == -1).all()
    assert any(p is policy.log_std for p in policy.optimizer.param_groups[0]["params"])


@EACH
def test_weight_decay_moves_the_critic_only(kind):
    policy = make(action_space=CONTINUOUS, kind=kind, critic_weight_decay=0.1)
    before = copy.deepcopy(policy.state_dict())
    for parameter in policy.parameters():
        parameter.grad = th.zeros_like(parameter)
    policy.optimizer.step()
    moved = {name for name, p in policy.state_dict().items() if not th.equal(p, before[name])}
    # parameters that start at 0 have nothing to decay
    expected = {n for n, p in before.items() if n.startswith("critic") and p.abs().sum() > 0}
    assert moved == expected


def test_weight_decay_enters_the_gradient():
    # L2 in the gradient: Adam's first step is lr * sign, whatever the size of the weight
    policy = make(critic_weight_decay=0.1, adam_eps=1e-7)
    weight = policy.critic.head.weight
    before = weight.detach().clone()
    weight.grad = th.zeros_like(weight)
    policy.optimizer.step()
    th.testing.assert_close(weight, before - 1e-2 * before.sign(), atol=1e-5, rtol=0)


@EACH
def test_the_first_policy_is_nearly_uniform(kind):
    policy = kind(BOX, DISCRETE, lambda _: 1e-3, **SIZES[kind])
    params = policy.sequence_params(th.as_tensor(observations(5)))
    assert (params.softmax(-1) - 1 / 3).abs().max() < 0.05


@EACH
def test_actor_and_critic_share_nothing(kind):
    policy = make(kind=kind)
    policy.sequence_values(th.as_tensor(observations(2))).sum().backward()
    assert all(p.grad is None for p in policy.actor.parameters())


@EACH
def test_forward_is_the_first_step_of_an_episode(kind):
    policy, obs = make(kind=kind), th.as_tensor(observations(3)[0])
    actions, values, log_probs = policy(obs, deterministic=True)
    expected_values, expected, _ = policy.evaluate_actions(obs[:, None], actions[:, None])
    th.testing.assert_close(values, expected_values)
    th.testing.assert_close(log_probs, expected.squeeze(1))
    th.testing.assert_close(policy.predict_values(obs), values)


@pytest.mark.parametrize("action_space", [DISCRETE, CONTINUOUS])
@pytest.mark.parametrize(
    "space",
    [BOX, spaces.Box(-1, 1, (1, 4)), spaces.Discrete(4), spaces.Dict(a=BOX, b=spaces.Discrete(2))],
)
@pytest.mark.parametrize(
    "algorithm", [partial(PPO, batch_size=8), partial(A2C, use_rms_prop=False)]
)
@EACH
def test_an_algorithm_that_hands_over_no_sequences_is_refused(kind, algorithm, space, action_space):
    class Env(gym.Env):
        observation_space = space

        def reset(self, *, seed=None, options=None):
            return space.sample(), {}

        def step(self, action):
            return space.sample(), 1.0, False, False, {}

    Env.action_space = action_space
    model = algorithm(kind, Env(), n_steps=8, policy_kwargs={**SIZES[kind]}, device="cpu")
    message = f"To train {kind.__name__}, use rl3_sb3.TransformerPPO: Stable-Baselines3's algor"
    with pytest.raises(ValueError, match=message):
        model.learn(8)


@EACH
def test_a_policy_alone_saves_and_loads(kind, tmp_path):
    policy = make(kind=kind)
    policy.save(tmp_path / "policy.pt")
    again = kind.load(tmp_path / "policy.pt", device="cpu")
    x = th.as_tensor(observations(2))
    assert th.equal(policy.sequence_params(x), again.sequence_params(x))


@EACH
def test_survives_pickling(kind):
    policy = make(kind=kind)
    again = repickled(policy)
    x = th.as_tensor(observations(2))
    assert th.equal(policy.sequence_params(x), again.sequence_params(x))


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (
            TransformerPolicy,
            {"hidden": 3},
            r"`hidden` must be an argument of TransformerPolicy.*d_ff",
        ),
        (LstmPolicy, {"mixed_precision": True}, r"`mixed_precision` must be .* of LstmPolicy"),
        (LstmPolicy, {"context_length": 8}, r"of LstmPolicy, which has hidden, n_layers, input_h"),
        (
            MarkovPolicy,
            {"d_model": 8},
            r"of MarkovPolicy, which has context_length, hidden, .*\. L",
        ),
    ],
)
def test_arguments_of_other_networks_are_refused(kind, arguments, message):
    with pytest.raises(TypeError, match=message):
        make(kind=kind, **arguments)


def test_a_misspelt_argument_is_answered_with_all_names_and_the_one_meant():
    with pytest.raises(TypeError, match=r"Did you mean critic_weight_decay\?$") as caught:
        make(critic_weightdecay=0.1)
    names = inspect.signature(SequencePolicy).parameters.keys() | SMALL.keys()
    names -= {"observation_space", "action_space", "lr_schedule", "use_sde", "network_arguments"}
    assert {name for name in names if name not in str(caught.value)} == set()


def test_a_missing_context_is_named():
    with pytest.raises(TypeError, match="`context_length` must be given to TransformerPolicy"):
        TransformerPolicy(BOX, DISCRETE, lambda _: 1e-3)


def test_a_markov_policy_ignores_the_past():
    policy = MarkovPolicy(BOX, DISCRETE, lambda _: 1e-3, context_length=2)
    nn.init.normal_(policy.actor.head.weight)
    obs = observations(3)
    state = None
    for t in range(8):  # beyond its context: nothing is stored, so nothing overflows
        actions, state = policy.predict(obs[t], state, deterministic=True)
        fresh, _ = policy.predict(obs[t], deterministic=True)
        assert (actions == fresh).all()
    first, relu, second, relu_2 = policy.actor.body
    assert (first.out_features, second.out_features) == (64, 64)
    assert isinstance(relu, nn.ReLU) and isinstance(relu_2, nn.ReLU)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"action_space": spaces.MultiBinary(2)}, "must be Discrete or Box"),
        (
            {"critic_weight_decay": -1.0},
            "`critic_weight_decay` must be finite and at least 0, got -1",
        ),
        ({"critic_weight_decay": float("nan")}, "`critic_weight_decay` must be finite and at"),
        ({"adam_eps": 0.0}, "`adam_eps` must be finite and above 0, got 0.0"),
        ({"adam_eps": float("inf")}, "`adam_eps` must be finite and above 0, got inf"),
        ({"use_sde": True}, "`use_sde` must be False"),
        ({"context_length": 0}, "`context_length` must be at least 1, got 0"),
        ({"d_model": 16.0}, r"`d_model` must be an integer of at least 1, got 16\.0"),
        ({"n_layers": "2"}, "`n_layers` must be an integer of at least 1, got '2'"),
        ({"critic_weight_decay": "a"}, "`critic_weight_decay` must be finite .* got 'a'"),
        ({"adam_eps": None}, "`adam_eps` must be finite and above 0, got None"),
        ({"log_std_init": "x"}, "`log_std_init` must be finite, got 'x'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_a_saved_policy_keeps_its_positions_and_an_older_one_has_the_oldest(positions, tmp_path):
    policy, path = make(positions=positions), tmp_path / "policy.pt"
    policy.save(path)
    saved = th.load(path, weights_only=False)
    if positions == "learned":
        del saved["data"]["positions"]
    th.save(saved, path)
    loaded = TransformerPolicy.load(path, "cpu")
    obs = th.as_tensor(observations(2)).transpose(0, 1)
    assert th.equal(loaded.sequence_params(obs), policy.sequence_params(obs))


NUMBER = spaces.Box(-0.5, 0.5, (), np.float32)


@pytest.mark.parametrize("action_space", [DISCRETE, CONTINUOUS, NUMBER])
def test_predict_gives_the_arrays_that_sb3_gives(action_space):
    class Env(gym.Env):
        observation_space = BOX

    Env.action_space = action_space
    policies = [make(action_space=action_space), PPO("MlpPolicy", Env()).policy]
    for obs in (observations(3)[0], observations(3)[0, 0]):
        mine, theirs = (policy.predict(obs)[0] for policy in policies)
        assert type(mine) is type(theirs) is np.ndarray
        assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)


@pytest.mark.parametrize(
    "answer",
    [
        lambda obs: (obs, {}),
        lambda obs: (obs, 1.0, False, False, {"x": 1}),
        lambda obs: (obs[None], np.zeros(1), np.zeros(1, bool), [{}]),
    ],
)
def test_the_whole_answer_of_an_environment_is_no_observation(answer):
    policy, obs = make(), observations(1)[0, 0]
    with pytest.raises(ValueError, match=r"`observation` must be .* tuple of \d with .*VecEnv"):
        policy.predict(answer(obs))
    numbers = tuple(obs.tolist())  # a tuple of numbers is an observation
    expected, _ = policy.predict(obs, deterministic=True)
    assert policy.predict(numbers, deterministic=True)[0] == expected
