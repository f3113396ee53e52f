"""Forbidden actions have probability 0, wherever a policy plays, learns or is evaluated."""

import copy
import hashlib
import itertools
import math
import warnings
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor, VecNormalize
from torch.distributions import kl_divergence

from rl3_sb3 import ActionMasks, GymnasiumVecEnv, Symmetry, load_policy
from rl3_sb3.distribution import action_distribution, divergence, only_allowed, sample_actions
from rl3_sb3.rollout.acting import Acting
from rl3_sb3.update.gradients import Gradients
from rl3_sb3.update.losses import Weights

THREE = spaces.Discrete(3)
EACH = pytest.mark.parametrize("policy", ["TransformerPolicy", "LstmPolicy", "MarkovPolicy"])
ROADS = pytest.mark.parametrize("road", ["info", "method"])
NO_OTHER = [True, True, True]


def mask_of(observation):
    """Which actions an observation allows: its largest entries', at least one."""
    mask = np.asarray(observation)[:3] > 0.2
    mask[int(np.argmax(observation[:3]))] = True
    return mask


class Masked(gym.Env):
    """Random observations that say which actions are allowed; others are an error.

    Args:
        length: Of an episode.
        road: How masks are told: by "info", by "method", or "not".
        truncates: Whether a time limit ends it.
        gives: observation -> mask, or None for none.
    """

    def __init__(self, length, road="info", truncates=False, gives=mask_of, strict=True):
        self.observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float32)
        self.action_space = THREE
        self.length, self.truncates, self.gives = length, truncates, gives
        self.road, self.strict = road, strict
        if road == "method":
            self.action_masks = lambda: self.gives(self.observation)

    def _observe(self):
        self.observation = self.np_random.standard_normal(4, dtype=np.float32)
        info = {}
        if self.road == "info":
            mask = self.gives(self.observation)
            is_usual = isinstance(mask, np.ndarray) and mask.dtype == bool
            info["action_mask"] = mask.astype(np.int8) if is_usual else mask  # Taxi's are int8
        return self.observation, info

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self._observe()

    def step(self, action):
        if self.strict and self.road != "not":
            mask = self.gives(self.observation)
            assert mask is None or mask[action], f"{action} is forbidden"
        reward = float(self.observation[0] * action + 0.1)
        self.t += 1
        over = self.t == self.length
        observation, info = self._observe()
        if over and "action_mask" in info and not self.truncates:  # nothing need be allowed then
            info["action_mask"] = np.zeros(3, np.int8)
        return observation, reward, over and not self.truncates, over and self.truncates, info


def vec(kind, lengths, **kwargs):
    """The same environments side by side, in one of three ways."""
    fns = [lambda n=n: Masked(n, **kwargs) for n in lengths]
    if kind == "dummy":
        return DummyVecEnv(fns)
    mode = AutoresetMode.SAME_STEP if kind == "same-step" else AutoresetMode.DISABLED
    return GymnasiumVecEnv(SyncVectorEnv(fns, autoreset_mode=mode), info_keys=())


def collected(model):
    model.set_logger(configure(None, []))
    _, callback = model._setup_learn(1)
    assert model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
    return model


def bits(model):
    return hashlib.sha256(model.policy.parameters_to_vector().tobytes()).hexdigest()


# ------------------------------------------------------------------ the distribution


def test_masked_log_probability_and_entropy_are_those_of_the_allowed_actions():
    logits = th.tensor([0.0, 50.0, math.log(3)])
    masked = only_allowed(logits, th.tensor([True, False, True]))
    distribution = action_distribution(THREE, masked)
    # the two allowed ones have weights 1 and 3
    assert distribution.log_prob(th.tensor(0)).item() == pytest.approx(math.log(1 / 4))
    assert distribution.log_prob(th.tensor(2)).item() == pytest.approx(math.log(3 / 4))
    entropy = 1 / 4 * math.log(4) + 3 / 4 * math.log(4 / 3)
    assert distribution.entropy().item() == pytest.approx(entropy)
    assert distribution.probs[1].item() == 0
    assert distribution.mode.item() == 2


def test_masked_divergence_is_that_of_the_allowed_actions():
    mask = th.tensor([True, True, False])
    p = only_allowed(th.tensor([0.0, math.log(3), 7.0]), mask)  # 1/4, 3/4
    q = only_allowed(th.tensor([0.0, 0.0, -9.0]), mask)  # 1/2, 1/2
    expected = 1 / 4 * math.log(1 / 2) + 3 / 4 * math.log(3 / 2)
    assert divergence(THREE, p, q).item() == pytest.approx(expected)
    torchs = kl_divergence(action_distribution(THREE, p), action_distribution(THREE, q))
    assert torchs.item() == pytest.approx(expected)


def test_where_one_action_is_allowed_nothing_is_left_to_chance():
    only = only_allowed(th.tensor([[5.0, -8.0, 2.0]]), th.tensor([[False, True, False]]))
    distribution = action_distribution(THREE, only)
    assert distribution.entropy().item() == 0
    assert distribution.log_prob(th.tensor([1])).item() == 0
    assert divergence(THREE, only, only).item() == 0


def test_draws_never_take_a_forbidden_action_and_keep_the_others_proportions():
    n = 20_000
    mask = th.tensor([True, False, True]).expand(n, 3)
    logits = only_allowed(th.tensor([0.0, 30.0, math.log(3)]).expand(n, 3), mask)
    th.manual_seed(0)
    actions = sample_actions(THREE, logits, slice(None), n)
    counts = actions.bincount(minlength=3).tolist()
    assert counts[1] == 0
    assert counts[2] / n == pytest.approx(3 / 4, abs=0.015)


def test_the_gradient_of_a_forbidden_actions_logit_is_zero():
    logits = th.tensor([[0.3, 1.0, -0.4], [0.2, 0.1, 0.5]], requires_grad=True)
    mask = th.tensor([[True, False, True], [True, True, False]])
    masked = only_allowed(logits, mask)
    distribution = action_distribution(THREE, masked)
    behaviour = only_allowed(th.zeros(2, 3), mask)
    loss = (
        distribution.log_prob(th.tensor([0, 1])).sum()
        + 10 * distribution.entropy().sum()
        + divergence(THREE, behaviour, masked).sum()
    )
    (gradient,) = th.autograd.grad(loss, logits)
    assert gradient.isfinite().all()
    assert (gradient[~mask] == 0).all()
    assert (gradient[mask] != 0).all()


# ------------------------------------------------------------------ what environments give


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


# ------------------------------------------------------------------ the rollout and the update


@EACH
@ROADS
@pytest.mark.parametrize("lengths", [[4, 4, 4], [4, 3, 7]])
def test_stepping_equals_the_whole_sequence(make_model, policy, road, lengths):
    model = collected(make_model(vec("dummy", lengths, road=road), policy, n_steps=8))
    th.nn.init.normal_(model.policy.actor.head.weight)
    model = collected(model)  # the environments raise where a forbidden action is taken
    n_masked = 0
    for batch in model.rollout_buffer.get(None):
        real = slice(None) if batch.mask is None else batch.mask
        given = batch.tokens, batch.actions, batch.action_masks
        _, log_probs, entropy = model.policy.evaluate_actions(*given)
        ratio = (log_probs - batch.log_probs)[real].exp()
        th.testing.assert_close(ratio, th.ones_like(ratio), atol=1e-5, rtol=0)
        expected = [mask_of(token).tolist() for token in batch.tokens[real].reshape(-1, 4).numpy()]
        assert batch.action_masks[real].reshape(-1, 3).tolist() == expected
        # by hand: over the allowed actions alone
        logits = model.policy.sequence_params(batch.tokens)
        weights = logits.exp() * batch.action_masks
        probs = weights / weights.sum(-1, keepdim=True)
        chosen = probs.gather(-1, batch.actions[..., None].long()).squeeze(-1)
        th.testing.assert_close(chosen.log()[real], log_probs[real], atol=1e-5, rtol=1e-5)
        by_hand = -th.special.xlogy(probs, probs).sum(-1)
        th.testing.assert_close(by_hand[real], entropy[real], atol=1e-5, rtol=1e-5)
        n_masked += int((~batch.action_masks).sum())
    assert n_masked > 5
    assert model.mean_divergence() == pytest.approx(0, abs=1e-6)


def test_the_divergence_of_the_update_is_over_the_allowed_actions(make_model):
    model = collected(make_model(vec("dummy", [4, 3, 7]), n_steps=8))
    batch = next(model.rollout_buffer.get(None))
    th.nn.init.normal_(model.policy.actor.head.weight)
    logits = model.policy.sequence_params(batch.tokens).detach()
    total = 0.0
    for b, t in np.argwhere(batch.mask.numpy()):
        allowed = batch.action_masks[b, t]
        p, q = (x[b, t][allowed].log_softmax(-1) for x in (batch.params, logits))
        total += float((p.exp() * (p - q)).sum())
    assert model.mean_divergence() == pytest.approx(total / 24, rel=1e-4)
    assert total > 0.1


def test_the_update_gives_no_gradient_to_what_is_never_allowed(make_model):
    never_2 = lambda observation: np.array([True, True, False])  # noqa: E731
    model = collected(make_model(vec("dummy", [4, 4], gives=never_2), n_steps=4))
    batch = next(model.rollout_buffer.get(None))
    numbers = Weights(0.2, 0.3, 0.7, 8, 0.1, 2.0, return_mean=0.4, return_scale=1.5)
    _, gradients = Gradients(model.policy, None).of(batch, numbers, actor_trains=True)
    names = Gradients(model.policy, None).parameters(actor_trains=True)
    head = model.policy.actor.head
    (gradient,) = (g for p, g in zip(names, gradients, strict=True) if p is head.bias)
    assert gradient[2] == 0
    assert (gradient[:2] != 0).all()


@EACH
@pytest.mark.parametrize("lengths", [[4, 4, 4], [4, 3, 7]])
def test_masks_that_allow_all_train_as_none_do_bit_for_bit(make_model, policy, lengths):
    everything = lambda observation: np.ones(3, bool)  # noqa: E731
    ends = [
        bits(make_model(env, policy, n_steps=8, ent_coef=0.1).learn(72))
        for env in (vec("dummy", lengths, road="not"), vec("dummy", lengths, gives=everything))
    ]
    assert ends[0] == ends[1]


@ROADS
def test_all_ways_to_batch_environments_train_alike(make_model, road):
    ends = {
        kind: bits(make_model(vec(kind, [4, 3, 7], road=road), n_steps=8).learn(72))
        for kind in ("dummy", "same-step", "disabled")
    }
    assert len(set(ends.values())) == 1
    assert ends["dummy"] != bits(
        make_model(vec("dummy", [4, 3, 7], road="not"), n_steps=8).learn(72)
    )


def test_both_roads_train_alike(make_model):
    info, method = (
        bits(make_model(vec("dummy", [4, 3, 7], road=road), n_steps=8).learn(72))
        for road in ("info", "method")
    )
    assert info == method


def test_a_rollout_without_masks_stores_none_and_one_whose_masks_begin_late_allows_all_before(
    make_model,
):
    model = collected(make_model(vec("dummy", [4, 3], road="not"), n_steps=8))
    assert "action_masks" not in model.rollout_buffer._stored
    assert next(model.rollout_buffer.get(None)).action_masks is None
    env = vec("dummy", [8, 8])
    for each in env.envs:
        each.gives = lambda x, each=each: mask_of(x) if getattr(each, "t", 0) >= 5 else None
    model = collected(make_model(env, n_steps=8))
    stored = model.rollout_buffer._stored["action_masks"]
    assert stored[:, :5].all()
    assert not stored[:, 5:].all()
    for each in env.envs:
        each.gives = lambda x: None
    model.collect_rollouts(model.env, model._setup_learn(1)[1], model.rollout_buffer, 8)
    assert "action_masks" not in model.rollout_buffer._stored


def test_masks_go_on_where_a_rollout_cuts_an_episode(make_model):
    model = make_model(vec("dummy", [100, 100]), n_steps=5, learning_rate=1e-9)
    model.learn(50)  # an environment raises where the first action of a rollout is forbidden
    tokens = model.rollout_buffer._stored["tokens"][:, 0]
    stored = model.rollout_buffer._stored["action_masks"][:, 0]
    assert stored.tolist() == [mask_of(token.numpy()).tolist() for token in tokens]
    assert not stored.all()


def test_a_checkpoint_within_an_episode_goes_on_bit_for_bit(make_model, tmp_path):
    def go_on(model, env):
        np.random.seed(1)  # noqa: NPY002 - what minibatches are dealt from
        th.manual_seed(1)
        return bits(model.learn(40, reset_num_timesteps=False))

    env = vec("dummy", [100, 100])
    model = make_model(env, n_steps=5).learn(20)
    assert not model._last_action_masks.all()
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model", copy.deepcopy(env), force_reset=False)
    np.testing.assert_array_equal(loaded._last_action_masks, model._last_action_masks)
    assert go_on(loaded, loaded.env) == go_on(model, env)


def test_callbacks_find_the_masks_under_contribs_name(make_model):
    seen = []

    class Look(BaseCallback):
        def _on_step(self):
            tokens, masks = self.locals["obs_tensor"], self.locals["action_masks"]
            seen.append(masks.tolist() == [mask_of(x.numpy()).tolist() for x in tokens])
            return True

    make_model(vec("dummy", [4, 3]), n_steps=8).learn(16, Look())
    assert seen == [True] * 8


@pytest.mark.parametrize("policy", ["TransformerPolicy", "LstmPolicy", "MarkovPolicy"])
def test_a_step_that_can_be_recorded_respects_masks_as_the_other_does(make_model, policy):
    model = make_model(vec("dummy", [6] * 3), policy, n_steps=6)
    th.nn.init.normal_(model.policy.actor.head.weight)
    found = []
    for static in (False, True):
        acting = Acting(model.policy, 3, cuda_graphs=static)
        acting.begin()
        th.manual_seed(0)
        generator = th.Generator().manual_seed(1)
        for masks in (None, th.tensor([[True, False, True]] * 3), None):
            actions, params = acting.choose(th.randn(3, 4, generator=generator), masks)
            found.append((actions.clone(), params.clone()))
    for one, other in zip(found[:3], found[3:], strict=True):
        th.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    assert (found[1][1].softmax(-1)[:, 1] == 0).all()
    assert (found[2][1].softmax(-1) > 0).all()


def test_renamed_actions_are_allowed_as_before_under_their_new_names(make_model):
    # The first three entries of an observation belong to the actions, and make the mask.
    symmetry = Symmetry([[0, 1, 2]])
    model = collected(make_model(vec("dummy", [4, 4, 4]), n_steps=4, symmetry=symmetry))
    batch = next(model.rollout_buffer.get(None, shuffle=False))
    np.random.seed(5)  # noqa: NPY002 - what relabelling draws from
    new = symmetry.draw(3).of(batch, np.arange(3))
    assert not th.equal(new.action_masks, batch.action_masks)
    expected = [[mask_of(x).tolist() for x in row] for row in new.tokens.numpy()]
    assert new.action_masks.tolist() == expected
    assert new.action_masks.gather(-1, new.actions[..., None].long()).all()


# ------------------------------------------------------------------ acting


@EACH
@pytest.mark.parametrize("deterministic", [False, True])
def test_predict_takes_the_best_allowed_action_or_draws_one(make_model, policy, deterministic):
    model = make_model(vec("dummy", [6] * 3), policy, n_steps=6)
    th.nn.init.normal_(model.policy.actor.head.weight)
    rng, taken = np.random.default_rng(0), set()
    state, start = None, np.ones(3, bool)
    for _ in range(6):
        observation = rng.standard_normal((3, 4)).astype(np.float32)
        masks = np.array([mask_of(x) for x in observation])
        given = masks.astype(np.int8) if _ % 2 else masks
        actions, state = model.predict(observation, state, start, deterministic, given)
        assert masks[np.arange(3), actions].all()
        taken |= set(actions.tolist())
        start[:] = False
    assert len(taken) > 1


def test_one_observation_takes_one_row_and_a_wrong_mask_changes_nothing(make_model):
    model = make_model(vec("dummy", [6]), n_steps=6)
    observation = np.zeros(4, np.float32)
    _, state = model.policy.predict(observation)
    before = copy.deepcopy(state.tensors())
    for mask, words in (
        ([0, 0, 0], "`action_masks` must allow an action in every row, got none in row 0"),
        ([1, 1], r"`action_masks` must have a row of 3 actions .* got the shape \(2,\)"),
        ([[1, 1, 1]] * 2, r"each of 1 observations, got the shape \(2, 3\)"),
        ([1, 2, 1], r"must hold bools, or 0 and 1, got \[1, 2, 1\] in row 0"),
    ):
        with pytest.raises(ValueError, match=words):
            model.policy.predict(observation, state, action_masks=mask)
    for one, other in zip(before, state.tensors(), strict=True):
        assert th.equal(one, other)
    action, _ = model.policy.predict(observation, state, action_masks=[0, 1, 0])
    assert action.shape == ()
    assert action == 1


def test_real_actions_take_no_masks(make_vec, make_model):
    model = make_model(make_vec([4], box_actions=True), n_steps=4)
    with pytest.raises(ValueError, match=r"`action_masks` must be left out for the actions Box"):
        model.predict(np.zeros((1, 4), np.float32), action_masks=[[1, 1]])


def test_without_masks_predict_allows_all_and_says_so_where_training_had_some(make_model):
    only_0 = lambda observation: np.array([True, False, False])  # noqa: E731
    observation = np.zeros((200, 4), np.float32)
    model = make_model(vec("dummy", [4, 4], gives=only_0), n_steps=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(observation)
    model.learn(8)
    with pytest.warns(UserWarning, match="gives action masks, but `predict` got none"):
        actions, _ = model.predict(observation)
    assert set(actions.tolist()) == {0, 1, 2}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        actions, _ = model.predict(observation, action_masks=[[1, 0, 0]] * 200)
    assert set(actions.tolist()) == {0}


@EACH
def test_an_exported_policy_respects_masks_like_its_original(make_model, policy, tmp_path):
    model = make_model(vec("dummy", [4, 4]), policy, n_steps=4).learn(8)
    model.export(tmp_path / "policy", actor_only=True)
    loaded = load_policy(tmp_path / "policy")
    observation = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    masks = np.array([mask_of(x) for x in observation])
    found = []
    for each in (model.policy, loaded):
        th.manual_seed(0)
        found.append(each.predict(observation, action_masks=masks)[0])
    np.testing.assert_array_equal(found[0], found[1])
    assert masks[np.arange(50), found[0]].all()
    assert not masks.all()


@EACH
def test_the_first_step_by_sb3s_names_respects_masks(make_model, policy):
    model = make_model(vec("dummy", [4, 4]), policy, n_steps=4)
    th.nn.init.normal_(model.policy.actor.head.weight)
    observation = th.randn(100, 4)
    masks = th.tensor(np.array([mask_of(x) for x in observation.numpy()]))
    actions, _, log_probs = model.policy.forward(observation, action_masks=masks)
    assert masks.gather(1, actions[:, None]).all()
    _, expected, _ = model.policy.evaluate_actions(
        observation[:, None], actions[:, None], masks[:, None]
    )
    th.testing.assert_close(log_probs, expected.squeeze(1))
