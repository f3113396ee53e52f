"""A part of the observation that only the critic sees, from the tokens to exported files."""

import json

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure
from torch import nn

from rl3_sb3 import GymnasiumVecEnv, PolicyFileError, export_policy, load_policy
from rl3_sb3.policy import POLICIES
from rl3_sb3.rollout.acting import Acting

SIZES = {
    "TransformerPolicy": {
        "context_length": 8, "d_model": 16, "n_heads": 2, "d_ff": 32, "input_hidden": 32,
    },
    "LstmPolicy": {"hidden": 16, "input_hidden": 24},
    "MarkovPolicy": {"context_length": 8, "hidden": 7},
}  # fmt: skip
EACH = pytest.mark.parametrize("kind", SIZES)
BOX = spaces.Box(-np.inf, np.inf, (4,), np.float32)
# The critic's own key sorts first, and must come last.
SPACE = spaces.Dict({"a": spaces.Box(-1, 1, (3,), np.float32), "b": BOX})


def make(kind="TransformerPolicy", space=SPACE, critic_only="a", actions=None, **kwargs):
    th.manual_seed(0)
    actions = spaces.Discrete(3) if actions is None else actions
    kwargs = {**SIZES[kind], "critic_only": critic_only, **kwargs}
    policy = POLICIES[kind](space, actions, lambda _: 1e-2, **kwargs)
    nn.init.normal_(policy.actor.head.weight)  # far from uniform, so that differences show
    return policy


def tokens(B=3, T=8, seed=0):
    return th.randn(B, T, 7, generator=th.Generator().manual_seed(seed))


def with_another_task(x):
    return th.cat([x[..., :4], tokens(*x.shape[:2], seed=1)[..., 4:]], -1)


# ------------------------------------------------------------------ tokens


def test_the_actors_part_comes_first_and_the_critics_own_last():
    space = spaces.Dict({"z": BOX, "a": spaces.Discrete(3), "m": spaces.Box(0, 1, (2, 1))})
    policy = make(space=space)
    obs = {
        "z": np.array([[5, 6, 7, 8]], dtype=np.float32),
        "m": np.array([[[3], [4]]], dtype=np.float32),
        "a": np.array([1]),
    }
    assert policy.to_tokens(obs).tolist() == [[3, 4, 5, 6, 7, 8, 0, 1, 0]]
    del obs["a"]
    assert policy.to_tokens(obs).tolist() == [[3, 4, 5, 6, 7, 8]]
    assert policy.actor_space == spaces.Dict({"z": BOX, "m": spaces.Box(0, 1, (2, 1))})


def test_the_actors_only_key_may_come_bare_where_the_critics_part_is_missing():
    bare = np.array([[5, 6, 7, 8]], dtype=np.float32)
    policy = make()
    for observation in (bare, {"b": bare}):
        assert policy.to_tokens(observation).tolist() == [[5, 6, 7, 8]]


@EACH
def test_the_actor_is_that_of_a_policy_without_the_key(kind):
    asymmetric, plain = make(kind), make(kind, space=BOX, critic_only="")
    assert asymmetric.actor_space == BOX
    plain.actor.load_state_dict(asymmetric.actor.state_dict())
    params = asymmetric.sequence_params(tokens()), plain.sequence_params(tokens()[..., :4])
    th.testing.assert_close(*params)


@EACH
def test_the_actor_depends_on_its_own_part_alone_and_the_critic_on_both(kind):
    policy, x = make(kind), tokens().requires_grad_()
    other = with_another_task(x)
    assert policy.sequence_params(x).equal(policy.sequence_params(other))
    assert (policy.sequence_values(x) - policy.sequence_values(other)).abs().min() > 1e-4
    (of_actor,) = th.autograd.grad(policy.sequence_params(x).square().sum(), x)
    (of_critic,) = th.autograd.grad(policy.sequence_values(x).square().sum(), x)
    assert (of_actor[..., 4:] == 0).all()
    assert of_actor[..., :4].abs().sum() > 0
    assert of_critic[..., :4].abs().sum() > 0
    assert of_critic[..., 4:].abs().sum() > 0


@EACH
def test_the_actors_gradients_are_the_same_whatever_the_critic_sees(kind):
    policy = make(kind)
    weights = list(policy.actor.parameters())
    found = [
        th.autograd.grad(
            policy.evaluate_actions(x, th.ones(3, 8))[1].sum(), weights, allow_unused=True
        )
        for x in (tokens(), with_another_task(tokens()))
    ]
    for one, other in zip(*found, strict=True):
        assert one is other is None or th.equal(one, other)


@EACH
@pytest.mark.parametrize("static", [False, True])
def test_steps_equal_the_pass_over_sequences_and_ignore_the_critics_part(kind, static):
    policy, x = make(kind), tokens()
    expected = policy.sequence_params(x)
    for seen in (x, with_another_task(x), x[..., :4]):
        acting = Acting(policy, 3, cuda_graphs=static)
        acting.begin()
        params = th.stack([acting.choose(seen[:, t])[1] for t in range(8)], dim=1)
        th.testing.assert_close(params, expected, atol=1e-5, rtol=1e-5)


# ------------------------------------------------------------------ acting without it


@EACH
@pytest.mark.parametrize("actions", [spaces.Discrete(3), spaces.Box(-9, 9, (2,), np.float32)])
def test_a_policy_acts_alike_with_the_critics_part_without_it_and_on_a_bare_batch(kind, actions):
    policy, x = make(kind, actions=actions), tokens().numpy()
    whole = [{"a": x[:, t, 4:], "b": x[:, t, :4]} for t in range(8)]
    ways = whole, [{"b": obs["b"]} for obs in whole], [obs["b"] for obs in whole]
    found = []
    for way in ways:
        state, taken = None, []
        for obs in way:
            action, state = policy.predict(obs, state, deterministic=True)
            taken.append(action)
        found.append(np.array(taken))
    assert found[0].shape[:2] == (8, 3)
    assert len(np.unique(found[0])) > 1
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-5, rtol=1e-5)
    one = {name: part[0] for name, part in whole[0].items()}
    for obs in (one, {"b": one["b"]}, one["b"]):
        action, _ = policy.predict(obs, deterministic=True)
        np.testing.assert_allclose(action, found[0][0, 0], atol=1e-5, rtol=1e-5)


def test_values_need_the_critics_part():
    policy, x = make(), tokens()
    obs = {"b": x[:, 0, :4]}
    for call in (
        lambda: policy.predict_values(obs),
        lambda: policy(obs),
        lambda: policy.evaluate_actions(x[..., :4], th.ones(3, 8)),
    ):
        with pytest.raises(ValueError, match='must have the key "a" for the critic'):
            call()


@pytest.mark.parametrize(
    ("space", "critic_only", "message"),
    [
        (
            BOX,
            "a",
            r"`critic_only` must be left out if observations are not a Dict, got 'a' for",
        ),
        (SPACE, "c", r"`critic_only` must be a key of the observations, a, b, got 'c'"),
        (spaces.Dict({"a": BOX}), "a", r"`critic_only` must be one key of several, got 'a', the o"),
    ],
)
def test_wrong_use_is_named(space, critic_only, message):
    with pytest.raises(ValueError, match=message):
        make(space=space, critic_only=critic_only)


# ------------------------------------------------------------------ training


class Hidden(gym.Env):
    """Each episode has a sign that every step pays; the actor sees noise, the critic the sign."""

    def __init__(self, n_steps=6, truncates=False, shows=True):
        noise = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        sign = spaces.Box(-1, 1, (1,), np.float32)
        self.observation_space = spaces.Dict({"noise": noise, "sign": sign}) if shows else noise
        self.action_space = spaces.Discrete(2)
        self.n_steps, self.truncates, self.shows = n_steps, truncates, shows

    def observe(self):
        noise = self.np_random.standard_normal(2, dtype=np.float32)
        return {"noise": noise, "sign": np.float32([self.sign])} if self.shows else noise

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.sign = 0, float(self.np_random.choice([-1, 1]))
        return self.observe(), {}

    def step(self, action):
        self.t += 1
        over = self.t == self.n_steps
        return self.observe(), self.sign, over and not self.truncates, over and self.truncates, {}


def hidden(**kwargs):
    same_step = {"autoreset_mode": AutoresetMode.SAME_STEP}
    return GymnasiumVecEnv(SyncVectorEnv([lambda: Hidden(**kwargs)] * 8, **same_step))


@pytest.mark.parametrize("policy", SIZES)
def test_a_critic_that_sees_the_cause_of_returns_explains_them(make_model, policy):
    explained = {}
    for critic_only in ("", "sign"):
        model = make_model(
            hidden(shows=critic_only != ""), policy, n_steps=12, batch_size=96, n_epochs=10,
            learning_rate=1e-2, gae_lambda=1.0,
            policy_kwargs={"critic_only": critic_only, "critic_weight_decay": 0.0},
        )  # fmt: skip
        model.set_logger(configure(None, []))
        model.learn(96 * 8)
        explained[critic_only] = model.logger.name_to_value["train/explained_variance"]
    assert explained["sign"] > 0.6  # 0.81 at most for a critic that forgets the time
    assert explained[""] < 0.3


@pytest.mark.parametrize("policy", SIZES)
@pytest.mark.parametrize("truncates", [False, True])
def test_the_rollout_holds_whole_tokens_and_cut_episodes_are_valued_by_them(
    make_model, policy, truncates
):
    env = hidden(truncates=truncates)
    model = make_model(env, policy, n_steps=9, policy_kwargs={"critic_only": "sign"})
    model.set_logger(configure(None, []))
    _, callback = model._setup_learn(1)
    buffer = model.rollout_buffer
    assert model.collect_rollouts(model.env, callback, buffer, model.n_steps)
    for batch in buffer.get(None):
        real = th.ones_like(batch.returns, dtype=th.bool) if batch.mask is None else batch.mask
        paid = th.as_tensor(np.unique(buffer.rewards)).float()
        assert batch.tokens[..., 2][real].unique().equal(paid)
        values, log_probs, _ = model.policy.evaluate_actions(batch.tokens, batch.actions)
        th.testing.assert_close(log_probs[real], batch.log_probs[real], atol=1e-5, rtol=1e-5)
        stored = (batch.returns - batch.advantages)[real]
        th.testing.assert_close(values[real], stored, atol=1e-5, rtol=1e-5)
    after = buffer._tokens_after
    assert {step for _, step in after} == ({5, 8} if truncates else {8})
    for (row, step), token in after.items():  # of the episode that was cut, not of the next one
        assert token[2] == buffer.rewards[row, step]


def test_a_model_saves_loads_and_is_evaluated_without_the_critics_part(make_model, tmp_path):
    model = make_model(hidden(), n_steps=6, policy_kwargs={"critic_only": "sign"}).learn(96)
    model.save(tmp_path / "model")
    again = type(model).load(tmp_path / "model", env=hidden(), device="cpu")
    vectors = [each.policy.parameters_to_vector() for each in (model, again)]
    np.testing.assert_array_equal(*vectors)
    again.learn(48)
    model.policy.save(tmp_path / "policy.pt")
    alone = type(model.policy).load(tmp_path / "policy.pt", device="cpu")
    np.testing.assert_array_equal(alone.parameters_to_vector(), vectors[0])
    mean, _ = evaluate_policy(model, Hidden(shows=False), n_eval_episodes=4, warn=False)
    assert -6 <= mean <= 6


# ------------------------------------------------------------------ exported files


@EACH
def test_an_exported_policy_acts_as_it_did_and_says_what_is_the_critics(kind, tmp_path):
    oldest = POLICIES[kind].oldest_choices()  # others need a later version
    policy, x = make(kind, **oldest), tokens()
    export_policy(policy, tmp_path / "out")
    loaded = load_policy(tmp_path / "out", "cpu")
    assert loaded.critic_only == "a"
    assert loaded.actor_space == BOX
    assert loaded.sequence_params(x).equal(policy.sequence_params(x))
    assert loaded.sequence_values(x).equal(policy.sequence_values(x))
    described = json.loads((tmp_path / "out" / "policy.json").read_text())
    assert described["format_version"] == 2
    assert "| critic_only | a |" in (tmp_path / "out" / "README.md").read_text()
    export_policy(make(kind, critic_only="", **oldest), tmp_path / "plain")
    described = json.loads((tmp_path / "plain" / "policy.json").read_text())
    assert described["format_version"] == 1
    assert "critic_only" not in described["arguments"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"critic_only": "c"}, "`critic_only` must be a key of the observations, a, b, got 'c'"),
        ({"critic_only": 1}, "a text at 'arguments.critic_only', got 1"),
        ({"critic_only": ""}, "shape"),
        ({"critic_only": "b"}, "shape"),
        (None, "an object with the fields .*critic_only"),
    ],
)
def test_a_file_with_another_part_for_the_critic_is_refused(tmp_path, changes, message):
    export_policy(make(), tmp_path / "out")
    file = tmp_path / "out" / "policy.json"
    described = json.loads(file.read_text())
    if changes is None:
        described["format_version"] = 1
    else:
        described["arguments"] |= changes
    file.write_text(json.dumps(described))
    with pytest.raises(PolicyFileError, match=message):
        load_policy(tmp_path / "out", "cpu")
