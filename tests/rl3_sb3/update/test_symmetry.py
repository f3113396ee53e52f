import math

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize

from rl3_sb3 import Symmetry
from rl3_sb3.distribution import action_distribution, divergence
from rl3_sb3.rollout.buffer import SequenceBatch
from rl3_sb3.update.gradients import Gradients
from rl3_sb3.update.losses import Weights, actor_terms, asymmetry
from rl3_sb3.update.symmetry import Relabelling

from .batches import N_ENTRIES, THREE, learned, random_batch

# Entries 0 and 4 of a token belong to no action.
SYMMETRY = Symmetry([[1, 2, 3], [7, 6, 5]], share=0.5)


def weights(batch, clip_range=0.2, symmetry_coef=0.7):
    numbers = (clip_range, 0.0, 0.5, batch.returns.numel(), 0.0, 1.0)
    return Weights(*numbers, return_mean=0.0, return_scale=1.0, symmetry_coef=symmetry_coef)


def relabelled(batch, *new_labels):
    """The batch with these permutations, one for each sequence."""
    labels = np.array(new_labels)
    chosen = np.ones(len(labels), bool)
    return Relabelling(SYMMETRY, labels, chosen).of(batch, np.arange(len(labels)))


def equivariant_logits(tokens):
    """What depends on an action by its entries alone, and treats all alike."""
    first, second = (tokens[..., group] for group in SYMMETRY.entries)
    return first * tokens[..., :1] + th.tanh(second) - first * second * second.sum(-1, keepdim=True)


def test_every_entry_of_an_action_moves_to_its_new_name():
    batch = random_batch(1, 1)
    batch = batch._replace(tokens=th.arange(8.0).reshape(1, 1, 8), actions=th.tensor([[0]]))
    # 0 is now called 1, 1 is called 2, 2 is called 0
    new = relabelled(batch, [1, 2, 0])
    assert new.tokens.tolist() == [[[0, 3, 1, 2, 4, 6, 7, 5]]]
    assert new.actions.tolist() == [[1]]
    old = batch.params[0, 0].tolist()
    assert new.params[0, 0].tolist() == [old[2], old[0], old[1]]
    assert new.relabelled.tolist() == [[True]]


def test_sequences_have_names_of_their_own():
    batch = random_batch(3)
    new = relabelled(batch, [0, 1, 2], [2, 1, 0], [0, 1, 2])
    for name in ("tokens", "actions", "params"):
        before, after = getattr(batch, name), getattr(new, name)
        assert th.equal(after[[0, 2]], before[[0, 2]])
        assert not th.equal(after[1], before[1])


def test_the_inverse_undoes_it():
    batch = random_batch(40)
    labels = np.random.default_rng(0).permuted(np.tile(np.arange(3), (40, 1)), axis=1)
    back = relabelled(relabelled(batch, *labels), *np.argsort(labels, axis=1))
    for name in ("tokens", "actions", "params"):
        assert th.equal(getattr(back, name), getattr(batch, name))


def test_what_is_no_actions_stays():
    batch = random_batch(40)
    new = relabelled(batch, *[[1, 2, 0]] * 40)
    assert th.equal(new.tokens[..., [0, 4]], batch.tokens[..., [0, 4]])
    for name in ("log_probs", "advantages", "returns", "mask"):
        assert getattr(new, name) is getattr(batch, name)


def test_an_equivariant_policy_has_ratio_1_and_no_asymmetry():
    batch = random_batch(30)
    params = equivariant_logits(batch.tokens)
    log_probs = action_distribution(THREE, params).log_prob(batch.actions)
    batch = batch._replace(params=params, log_probs=log_probs)
    labels = np.random.default_rng(1).permuted(np.tile(np.arange(3), (30, 1)), axis=1)
    new = relabelled(batch, *labels)
    logits = equivariant_logits(new.tokens)
    th.testing.assert_close(logits, new.params)
    ratio = (action_distribution(THREE, logits).log_prob(new.actions) - new.log_probs).exp()
    th.testing.assert_close(ratio, th.ones_like(ratio))
    kl = asymmetry(divergence(THREE, new.params, logits), new, weights(new))
    assert kl.item() == pytest.approx(0, abs=1e-6)


def test_the_surrogate_is_the_expected_advantage_of_the_renaming_policy():
    # The behaviour took actions 0, 0, 1, 2, as its chances 1/2, 1/4, 1/4 have it.
    actions = th.tensor([[0, 0, 1, 2]])
    behaviour = th.tensor([0.5, 0.25, 0.25])
    advantages = th.tensor([3.0, -1.0, 2.0])
    batch = SequenceBatch(
        tokens=th.zeros(1, 4, N_ENTRIES),
        actions=actions,
        params=behaviour.log().expand(1, 4, 3),
        log_probs=behaviour.log()[actions],
        advantages=advantages[actions],
        returns=th.zeros(1, 4),
        mask=None,
    )
    new = relabelled(batch, [2, 0, 1])
    current = th.tensor([0.1, 0.2, 0.7])  # what the policy says after the renamed history
    distribution = action_distribution(THREE, current.log().expand(1, 4, 3))
    unclipped = actor_terms(distribution, new, weights(new, clip_range=1e9))
    # action 0, now called 2, has 0.7; action 1 has 0.1; action 2 has 0.2
    assert -unclipped.policy_loss.item() == pytest.approx(0.7 * 3 + 0.1 * -1 + 0.2 * 2)
    kl = asymmetry(divergence(THREE, new.params, distribution.logits), new, weights(new))
    expected = 0.5 * math.log(0.5 / 0.7) + 0.25 * math.log(0.25 / 0.1) + 0.25 * math.log(0.25 / 0.2)
    assert kl.item() == pytest.approx(expected, rel=1e-5)


def test_asymmetry_counts_relabelled_real_steps_over_all_steps():
    batch = random_batch(2, 2, mask=th.tensor([[True, True], [True, False]]))
    batch = batch._replace(relabelled=th.tensor([[False, False], [True, True]]))
    divergences = th.tensor([[100.0, 100.0], [6.0, 100.0]])
    three_steps = weights(batch)._replace(n_steps=3)
    assert asymmetry(divergences, batch, three_steps).item() == pytest.approx(2.0)


# ------------------------------------------------------------------------------ gradients


@pytest.fixture
def rollout(make_vec, make_model):
    """A model with a rollout of 8 steps, and the rollout as one minibatch."""

    def make(lengths, **kwargs):
        env = make_vec(lengths, obs_dim=N_ENTRIES)
        model = make_model(env, n_steps=8, n_epochs=1, **kwargs)
        model.learn(8 * len(lengths))
        return model, next(model.rollout_buffer.get(None, shuffle=False))

    return make


@pytest.mark.parametrize("lengths", [[4, 4, 4], [4, 3, 7]])
def test_pieces_of_a_relabelled_minibatch_add_up(rollout, lengths):
    model, batch = rollout(lengths)
    set_random_seed(3)
    new = SYMMETRY.draw(len(batch.tokens)).of(batch, np.arange(len(batch.tokens)))
    assert new.relabelled.any() and not new.relabelled.all()
    numbers = weights(batch)
    terms, whole = Gradients(model.policy, None).of(new, numbers, actor_trains=True)
    terms_of_pieces, pieces = Gradients(model.policy, 1).of(new, numbers, actor_trains=True)
    assert len(terms) == 5
    th.testing.assert_close(terms_of_pieces, terms)
    for ours, theirs in zip(pieces, whole, strict=True):
        th.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)


def test_the_coefficient_weighs_the_divergence_in_the_actors_gradient(rollout):
    model, batch = rollout([4, 4, 4])
    with th.no_grad():
        for parameter in model.policy.actor.parameters():  # far from uniform, so far from symmetry
            parameter.mul_(3)
    new = relabelled(batch, *[[1, 2, 0]] * len(batch.tokens))

    def gradients(coef):
        numbers = weights(new, symmetry_coef=coef)
        return Gradients(model.policy, None).of(new, numbers, actor_trains=True)[1]

    params = model.policy.sequence_params(new.tokens)
    kl = model.policy.divergence(new.params, params).mean()
    actor = list(model.policy.actor.parameters())
    expected = th.autograd.grad(kl, actor)
    assert max(g.abs().max() for g in expected) > 1e-3
    for without, with_it, by_hand in zip(gradients(0.0), gradients(0.7), expected, strict=False):
        th.testing.assert_close(with_it - without, 0.7 * by_hand, atol=1e-5, rtol=1e-3)


# ------------------------------------------------------------------------------ training


def test_a_share_of_0_trains_the_same_bits(make_vec, make_model):
    plain, none, some = (
        learned(make_vec, make_model, symmetry).policy.parameters_to_vector()
        for symmetry in (None, Symmetry(SYMMETRY.entries, share=0.0), SYMMETRY)
    )
    assert np.array_equal(plain, none)
    assert not np.array_equal(plain, some)


def test_training_repeats_itself_and_a_saved_model_keeps_its_symmetry(
    make_vec, make_model, tmp_path
):
    first, second = (learned(make_vec, make_model, SYMMETRY) for _ in range(2))
    ours, theirs = (m.policy.parameters_to_vector() for m in (first, second))
    assert np.array_equal(ours, theirs)
    assert first.logger.name_to_value["train/asymmetry"] > 0
    first.save(tmp_path / "model")
    loaded = type(first).load(tmp_path / "model", device="cpu")
    assert np.array_equal(loaded.symmetry.entries, SYMMETRY.entries)
    assert loaded.symmetry.share == 0.5


def test_the_divergence_that_stops_the_actor_is_that_of_what_was_played(make_vec, make_model):
    env = make_vec([4, 4], obs_dim=N_ENTRIES)
    model = make_model(env, n_steps=8, symmetry=Symmetry(SYMMETRY.entries, share=1.0))
    model.learn(16)
    batch = next(model.rollout_buffer.get(None))
    with th.no_grad():
        params = model.policy.sequence_params(batch.tokens)
    expected = divergence(THREE, batch.params, params).mean().item()
    assert model.logger.name_to_value["train/kl"] == pytest.approx(expected, rel=1e-4)


# ------------------------------------------------------------------------------ drawing


def test_a_share_of_the_sequences_is_chosen_and_all_permutations_are_equally_likely():
    set_random_seed(0)
    drawn = Symmetry(SYMMETRY.entries, share=0.3).draw(60_000)
    # standard errors: 0.0019 of the share; 0.0028 of each permutation among the chosen
    assert drawn.chosen.mean() == pytest.approx(0.3, abs=0.008)
    assert (drawn.new_labels[~drawn.chosen] == np.arange(3)).all()
    found, counts = np.unique(drawn.new_labels[drawn.chosen], axis=0, return_counts=True)
    assert len(found) == 6
    np.testing.assert_allclose(counts / counts.sum(), 1 / 6, atol=0.012)


@pytest.mark.parametrize("wrap", [lambda env: env, VecMonitor])
def test_normalised_observations_have_no_symmetry_but_normalised_rewards_do(make_env, wrap):
    class Declares(make_env):
        layout_space = spaces.Box(-np.inf, np.inf, (4,), np.float32)
        layout, action_parts = {"rest": slice(0, 1), "previous": slice(1, 4)}, ("previous",)

    env = DummyVecEnv([Declares])
    with pytest.raises(ValueError, match=r"`env` must scale .* got a VecNormalize.*norm_obs=False"):
        Symmetry.of(wrap(VecNormalize(env)))
    found = Symmetry.of(wrap(VecNormalize(env, norm_obs=False)))
    assert found.entries.tolist() == [[1, 2, 3]]


def test_normalised_parts_without_entries_per_action_leave_the_symmetry(make_env):
    class Declares(make_env):
        layout_space = spaces.Dict(
            {"previous": spaces.Box(-1, 1, (3,)), "rest": spaces.Box(-1, 1, (1,))}
        )
        layout, action_parts = {"previous": slice(0, 3), "rest": slice(3, 4)}, ("previous",)

        def __init__(self) -> None:
            super().__init__()
            self.observation_space = self.layout_space

    env = DummyVecEnv([Declares])
    found = Symmetry.of(VecNormalize(env, norm_obs_keys=["rest"]))
    assert found.entries.tolist() == [[0, 1, 2]]
    with pytest.raises(ValueError, match="got a VecNormalize"):
        Symmetry.of(VecNormalize(env, norm_obs_keys=["previous"]))


@pytest.mark.parametrize("key", ["observation", "task"])
def test_a_normalised_key_that_holds_parts_has_no_symmetry(make_env, key):
    """The layout names parts inside of the keys, as beside a critic that sees the task."""

    class Declares(make_env):
        layout_space = spaces.Dict(
            {"observation": spaces.Box(-1, 1, (3,)), "task": spaces.Box(-1, 1, (4,))}
        )
        layout, action_parts = (
            {"previous": slice(0, 3), "task_advantage": slice(3, 6), "task_value": slice(6, 7)},
            ("previous", "task_advantage"),
        )

        def __init__(self) -> None:
            super().__init__()
            self.observation_space = self.layout_space

    env = DummyVecEnv([Declares])
    assert Symmetry.of(env).entries.tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ValueError, match="got a VecNormalize"):
        Symmetry.of(VecNormalize(env, norm_obs_keys=[key]))


def test_ranks_draw_different_names_and_leave_the_generator_in_one_state(monkeypatch):
    labels, after = [], []
    for rank, n_sequences in ((0, 50), (1, 50), (1, 7)):
        monkeypatch.setattr("rl3_sb3.update.symmetry.this_rank", lambda rank=rank: rank)
        set_random_seed(5)
        labels.append(SYMMETRY.draw(n_sequences).new_labels)
        after.append(np.random.random())  # noqa: NPY002 - the generator in question
    assert not np.array_equal(labels[0], labels[1])
    assert after[0] == after[1] == after[2]


# ------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    "entries", [[1, 2, 3], [[]], [[1, 2], [2, 3]], [[0.5, 1.0]], [[-1, 0]], [[[1, 2]]]]
)
def test_entries_must_be_different_indices_in_rows(entries):
    with pytest.raises(ValueError, match="`entries` must hold different indices"):
        Symmetry(entries)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": 1.5}, r"`share` must be in \[0, 1\], got 1.5"),
        ({"share": math.nan}, "`share` must be in"),
        ({"coef": -1.0}, "`coef` must be finite and at least 0, got -1.0"),
        ({"coef": math.inf}, "`coef` must be finite"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Symmetry([[0, 1]], **options)


@pytest.mark.parametrize(("critic_only", "fits"), [("a", False), ("b", False), ("c", True)])
def test_a_critics_key_that_would_move_the_entries_is_refused(critic_only, fits):
    observations = spaces.Dict({key: spaces.Box(-1, 1, (3,)) for key in "cab"})
    symmetry = Symmetry([[3, 4, 5]])  # "b"
    symmetry.require_fits(observations, THREE)
    if fits:
        symmetry.require_fits(observations, THREE, critic_only)
    else:
        with pytest.raises(ValueError, match=r"`critic_only` must be the last key .* 'c', beside"):
            symmetry.require_fits(observations, THREE, critic_only)


@pytest.mark.parametrize("symmetry", [0.5, True])
def test_what_is_no_symmetry_is_refused(make_vec, make_model, symmetry):
    with pytest.raises(ValueError, match="`symmetry` must be a Symmetry or None, got "):
        make_model(make_vec([4, 4]), n_steps=8, symmetry=symmetry)


@pytest.mark.parametrize(
    ("symmetry", "box_actions", "message"),
    [
        (SYMMETRY, True, "must be of the actions Box.* which must be Discrete, got 3"),
        (Symmetry([[0, 1]]), False, r"must be of the actions Discrete\(3\).*got 2"),
        (Symmetry([[2, 3, 4]]), False, "tokens, which have 4, got 4"),
    ],
)
def test_what_does_not_fit_the_environment_is_refused(
    make_vec, make_model, symmetry, box_actions, message
):
    with pytest.raises(ValueError, match=message):
        make_model(make_vec([4, 4], box_actions=box_actions), n_steps=8, symmetry=symmetry)


# ------------------------------------------------------------------------------ transformations

# Tokens of a state of two entries, at 4 and 0; its second entry changes its sign and is shifted.
