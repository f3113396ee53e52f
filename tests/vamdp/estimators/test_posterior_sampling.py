"""Posterior sampling: closed forms of what it draws, a second road, and what each boundary does."""

import gymnasium
import numpy as np
import pytest

import vamdp
from vamdp.baselines.tabular.posterior import Posterior
from vamdp.estimators import BUILT_INS, Scales
from vamdp.estimators.conjugate_prior import Prior
from vamdp.estimators.posterior_sampling import _STREAM, PosteriorSampling

EVERY = np.ones(1, bool)


def begin(learner, state=0, seeds=None, mask=None):
    """An episode begins everywhere, with seeds a task."""
    n = learner.n_tasks
    if seeds is not None:
        learner.begin_tasks(np.ones(n, bool), seeds)
    masks = None if mask is None else np.array([mask] * n)
    learner.begin_episodes(np.ones(n, bool), np.full((n, 1), float(state)), masks)


def learn(learner, s, a, r, s_next, end=False, mask=None):
    """The same transition in all tasks."""
    n = learner.n_tasks
    masks = None if mask is None else [mask] * n
    learner.update([s] * n, [a] * n, [r] * n, [s_next] * n, [end] * n, masks)


def at(learner, state):
    return [state] * learner.n_tasks


def assert_moments(draws, mean, sd):
    """Of so many draws, to four standard errors of mean and of standard deviation."""
    n = draws.size
    assert draws.mean() == pytest.approx(mean, abs=4 * sd / np.sqrt(n))
    assert draws.std() == pytest.approx(sd, rel=4 / np.sqrt(2 * n))


# Closed forms

MANY = 4000


def test_the_reward_of_an_arm_has_the_posterior_of_its_pulls():
    prior = {"prior_mean": 2.0, "prior_sd": 3.0, "noise_sd": 1.5}
    learner = PosteriorSampling(MANY, 2, task_horizon=1, n_samples=2, **prior)
    learner.begin_tasks(np.ones(MANY, bool), range(MANY))
    for r in (5.0, 6.0, 10.0):
        learn(learner, 0, 0, r, 0, end=True)
    begin(learner)
    Q, w = learner.q_values(at(learner, 0)), 0.25
    assert_moments(Q[:, 0], (w * 2.0 + 21.0) / (w + 3), 1.5 / np.sqrt(w + 3))
    assert_moments(Q[:, 1], 2.0, 3.0)  # never pulled: the prior
    assert abs(np.corrcoef(Q.T)[0, 1]) < 4 / np.sqrt(MANY)


def test_the_chance_to_go_on_has_the_beta_posterior_of_what_was_seen():
    """Every step pays 1 for sure; two steps are worth 1 + the chance that there is a second."""
    tiny = {"prior_mean": 1.0, "prior_sd": 1e-9, "noise_sd": 1e-9}
    learner = PosteriorSampling(MANY, 1, task_horizon=2, n_samples=2, concentration=0.5, **tiny)
    learner.begin_tasks(np.ones(MANY, bool), range(MANY))
    for end in (False, False, True):
        learn(learner, 0, 0, 1.0, 0, end)
    begin(learner)
    assert learner.n_states[0] == 2
    a, b = 0.5 + 2, 0.5 + 1
    sd = np.sqrt(a * b / (a + b + 1)) / (a + b)
    assert_moments(learner.q_values(at(learner, 0)) - 1, a / (a + b), sd)


def test_the_spread_falls_with_the_root_of_the_visits():
    learner = PosteriorSampling(1, 1, task_horizon=1, n_samples=5000, noise_sd=2.0)
    learner.begin_tasks(EVERY, [0])
    for n in range(1, 257):
        learn(learner, 0, 0, 1.0, 0, end=True)
        if n in (1, 4, 16, 64, 256):
            begin(learner)
            assert learner.spreads([0])[0, 0] == pytest.approx(2 / np.sqrt(4 + n), rel=0.04)


def deterministic_walk(rng, n_steps):
    """A task of 4 states and 2 actions in which every move is certain; the last state is an end."""
    to, R = np.array([[1, 2], [2, 0], [0, 3]]), np.array([[0.3, -0.5], [0.0, 1.0], [-1.0, 2.0]])
    s = 0
    for _ in range(n_steps):
        a = int(rng.integers(2))
        end = bool(to[s, a] == 3)
        yield s, a, float(R[s, a]), int(to[s, a]), end
        s = 0 if end else int(to[s, a])


def test_without_doubt_it_is_certainty_equivalence():
    options = {"task_horizon": 12, "gamma": 0.9, "tolerance": 0.0}
    learner = PosteriorSampling(1, 2, concentration=1e-12, prior_sd=1e-3, noise_sd=1e-9, **options)
    certain = vamdp.BatchValueEstimator(1, 2, smoothing=0.0, reward_model="state_action", **options)
    for step in deterministic_walk(np.random.default_rng(0), 200):
        learn(learner, *step)
        learn(certain, *step)
    begin(learner)
    for s in range(3):
        assert certain.counts([s]).min() > 10
        np.testing.assert_allclose(learner.q_values([s]), certain.q_values([s]), atol=1e-7)
        assert learner.spreads([s]).max() < 1e-7


# Two roads


def walk(seed, n_steps, n_actions=2, n_states=6):
    """A walk over int states, with ends in states that also occur in play, and masks."""
    rng = np.random.default_rng(seed)
    s = 0
    for _ in range(n_steps):
        mask = rng.random(n_actions) < 0.7
        mask[rng.integers(n_actions)] = True
        s_next, end = int(rng.integers(n_states)), bool(rng.random() < 0.15)
        yield s, int(rng.integers(n_actions)), float(rng.normal()), s_next, end, mask
        s = 0 if end else s_next


OPTIONS = [
    {"task_horizon": 1},
    {"task_horizon": 9, "n_samples": 3, "prior_mean": -1.0, "prior_sd": 0.5},
    {"task_horizon": 40, "gamma": 0.8, "concentration": 0.2, "noise_sd": 2.0, "tolerance": 0.05},
]


def dense_road(log, masks, seed, options, n_actions=2):
    """What is to be shown after the first draw, from the log of all transitions.

    Numbers of living states, Q (m, S, A) of all models, and V (m, S) one step before.
    """
    o = {"gamma": 1.0, "tolerance": 0.01, "n_samples": 5} | options
    prior = Prior(**{k: v for k, v in o.items() if k in Prior.__dataclass_fields__})
    numbers, triples = {}, []
    for s, a, r, s_next, end in log:
        i = numbers.setdefault((s, False), len(numbers))
        triples.append((i, a, r, numbers.setdefault((s_next, end), len(numbers))))
    posterior = Posterior(1, len(numbers), n_actions, prior)
    for i, a, r, j in triples:
        row = ([i], [a], [r], [j], [False])
        posterior.learn(*(np.array(x) for x in row))
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_STREAM,)))
    P, R = posterior.sample(rng, np.array([0]), o["n_samples"])
    terminal = np.array([end for _, end in numbers])
    barred = np.array([[not x for x in masks.get(s, [True] * n_actions)] for s, _ in numbers])
    barred[terminal] = False
    Q_all, V_all = [], []
    for P_m, R_m in zip(P[:, 0], R[:, 0], strict=True):
        Q, V, n, moved = np.zeros(R_m.shape), np.zeros(len(R_m)), 0, np.inf
        while n < o["task_horizon"] - 1 and moved >= o["tolerance"] - 1e-10:
            old, Q = Q, (R_m + o["gamma"] * P_m @ V) * ~terminal[:, None]
            V = np.where(barred, -np.inf, Q).max(axis=1)
            n, moved = n + 1, np.abs(Q - old).max()
        Q_all.append((R_m + o["gamma"] * P_m @ V) * ~terminal[:, None])
        V_all.append(V)
    living = {s: i for (s, end), i in numbers.items() if not end}
    return living, np.array(Q_all), np.array(V_all)


@pytest.mark.parametrize("with_masks", [False, True])
@pytest.mark.parametrize("options", OPTIONS)
def test_it_shows_what_the_dense_road_says(options, with_masks):
    for seed in range(4):
        learner = PosteriorSampling(1, 2, **options)
        learner.begin_tasks(EVERY, [seed])
        log, masks = [], {}
        for s, a, r, s_next, end, mask in walk(seed, 5 + 12 * seed):
            learn(learner, s, a, r, s_next, end, mask if with_masks else None)
            log.append((s, a, r, s_next, end))
            if with_masks and not end:
                masks[s_next] = mask
        begin(learner)
        living, Q, _ = dense_road(log, masks, seed, options)
        for s, i in living.items():
            np.testing.assert_allclose(learner.q_values([s])[0], Q[0, i], rtol=1e-9, atol=1e-9)
            spread = Q[:, i].std(axis=0, ddof=1)
            np.testing.assert_allclose(learner.spreads([s])[0], spread, rtol=1e-9, atol=1e-9)
            counts = [sum(x[:2] == (s, a) for x in log) for a in range(2)]
            assert learner.counts([s])[0].tolist() == counts
            best = Q[0, i][masks.get(s, np.ones(2, bool))].max()
            assert learner.value([s])[0] == pytest.approx(best, rel=1e-9, abs=1e-9)
        assert np.ptp(Q[0]) > 0.1


# States that are in no model


@pytest.mark.parametrize("options", OPTIONS)
def test_an_unmet_state_shows_the_mean_and_spread_of_rows_drawn_for_it(options):
    """Monte Carlo: a hundred thousand rows of the prior in each of the models."""
    log = [step[:5] for step in walk(3, 40)]
    learner = PosteriorSampling(1, 2, **options)
    learner.begin_tasks(EVERY, [7])
    for step in log:
        learn(learner, *step)
    begin(learner)
    _, _, V = dense_road(log, {}, 7, options)
    o = {"gamma": 1.0, "concentration": 1.0, "prior_mean": 1.0, "prior_sd": 1.0} | options
    rng, n = np.random.default_rng(0), 100_000
    P = rng.dirichlet(np.full(V.shape[1], o["concentration"]), n)
    R = rng.normal(o["prior_mean"], o["prior_sd"], (n, len(V)))
    rows = R + o["gamma"] * P @ V.T  # (n, m)
    assert learner.q_values([99])[0] == pytest.approx([rows[:, 0].mean()] * 2, abs=0.05)
    # Each model's rows in its own column: n of them vary within, the models' means between.
    spread = np.sqrt(rows.mean(axis=0).var(ddof=1) + rows.var(axis=0).mean())
    assert learner.spreads([99])[0] == pytest.approx([spread] * 2, rel=0.02)
    assert learner.counts([99]).tolist() == [[0, 0]]


def test_before_anything_was_met_it_shows_the_prior():
    learner = PosteriorSampling(2, 3, task_horizon=9, prior_mean=4.0, prior_sd=6.0)
    begin(learner, seeds=[0, 1])
    out = np.zeros((2, 10), np.float32)
    learner.write([0, 5], Scales(2.0, 4.0), out)
    assert out.tolist() == [[0, 0, 0, 2, 0, 0, 0, 3, 3, 3]] * 2


def test_a_state_met_only_as_an_end_is_unmet_alive():
    learner = PosteriorSampling(1, 2, task_horizon=5)
    learn(learner, 0, 0, 3.0, 1, end=True)
    begin(learner)
    np.testing.assert_array_equal(learner.q_values([1]), learner.q_values([99]))
    assert learner.q_values([0])[0, 0] != learner.q_values([99])[0, 0]


# Boundaries


def everything(learner, states=range(7)):
    return [
        (learner.q_values(at(learner, s)).tolist(), learner.spreads(at(learner, s)).tolist())
        for s in states
    ]


def lived(n_tasks=1, n_steps=30, **options):
    learner = PosteriorSampling(n_tasks, 2, **{"task_horizon": 8} | options)
    learner.begin_tasks(np.ones(n_tasks, bool), [5] * n_tasks)
    for step in walk(1, n_steps):
        learn(learner, *step[:5])
    begin(learner)
    return learner


def test_a_step_changes_counts_alone():
    learner = lived()
    before, counts = everything(learner), learner.counts([0]).sum()
    for _ in range(3):
        learn(learner, 0, 1, 50.0, 0)
    learn(learner, 0, 1, 50.0, 77)  # enters, and is in no model
    assert everything(learner) == before
    assert learner.counts([0]).sum() == counts + 4
    np.testing.assert_array_equal(learner.q_values([77]), learner.q_values([99]))
    begin(learner)
    assert learner.q_values([77]).tolist() != learner.q_values([99]).tolist()


def test_to_look_draws_nothing():
    looked, blind = lived(), lived()
    for _ in range(3):
        everything(looked)
        looked.write([0], Scales(), np.zeros((1, 7), np.float32))
    begin(looked)
    begin(blind)
    assert everything(looked) == everything(blind)


def test_an_episode_draws_new_models_where_it_begins():
    learner = lived(2)
    before = learner.q_values([0, 0])
    learner.begin_episodes(np.array([False, True]), np.zeros((2, 1)), None)
    after = learner.q_values([0, 0])
    assert after[0].tolist() == before[0].tolist()
    assert (after[1] != before[1]).all()


def test_a_task_forgets_and_shows_the_prior_again():
    learner = lived(2)
    kept = learner.q_values([0, 0])[0].tolist(), learner.counts([0, 0])[0].tolist()
    learner.begin_tasks(np.array([False, True]), [None, None])
    assert learner.q_values([0, 0]).tolist() == [kept[0], [1.0, 1.0]]
    assert learner.spreads([0, 0])[1].tolist() == [1.0, 1.0]
    assert learner.counts([0, 0]).tolist() == [kept[1], [0, 0]]
    learn(learner, 3, 0, 2.0, 4)  # number 0 of a task of which no model was drawn
    assert learner.q_values([3, 3])[1].tolist() == [1.0, 1.0]
    begin(learner)
    assert learner.n_states[1] == 2
    assert learner.q_values([0, 0])[1].tolist() == learner.q_values([9, 9])[1].tolist()


def test_room_for_more_states_leaves_what_is_shown_of_the_others():
    learner = lived(2)
    before = [rows[0][0] for rows in everything(learner)]
    learner.update([0] * 2, [0] * 2, [1.0] * 2, [0] * 2, [False] * 2)
    for s in range(100, 140):
        learner.update([0, s], [0, 0], [1.0] * 2, [0, s + 1], [False] * 2)
    learner.begin_episodes(np.array([False, True]), np.zeros((2, 1)), None)
    assert [rows[0][0] for rows in everything(learner)] == before


# Reproducible


def test_each_row_of_a_batch_is_a_batch_of_one_to_the_last_bit():
    n, options = 3, {"task_horizon": 6, "gamma": 0.9}
    batch, singles = (
        PosteriorSampling(n, 3, **options),
        [PosteriorSampling(1, 3, **options) for _ in range(n)],
    )
    batch.begin_tasks(np.ones(n, bool), [10, 11, 12])
    for i, single in enumerate(singles):
        single.begin_tasks(EVERY, [10 + i])
    rng = np.random.default_rng(0)
    outs = np.zeros((n, 10), np.float32), np.zeros((n, 10), np.float32)
    for t in range(120):
        states, reached = rng.integers(5, size=(2, n, 2)).astype(float)
        ends, masks = rng.random(n) < 0.2, rng.random((n, 3)) < 0.8
        rest = (rng.integers(3, size=n), rng.normal(size=n), reached, ends, masks)
        batch.update(states, *rest)
        begins = ends if t % 4 else rng.random(n) < 0.5
        batch.begin_episodes(begins, reached, masks if t % 2 else None)
        new = np.array([t % 50 == 49, False, t % 30 == 29])
        batch.begin_tasks(new, [None, None, t])
        batch.write(states, Scales(2.0, 5.0), outs[0])
        for i, single in enumerate(singles):
            one = slice(i, i + 1)
            single.update(states[one], *(part[one] for part in rest))
            if begins[i]:
                single.begin_episodes(EVERY, reached[one], masks[one] if t % 2 else None)
            if new[i]:
                single.begin_tasks(EVERY, [t if i == 2 else None])
            single.write(states[one], Scales(2.0, 5.0), outs[1][one])
        np.testing.assert_array_equal(*outs)
    assert (batch.n_states > 8).any()
    assert outs[0].any()


def test_what_is_drawn_follows_from_the_seed_alone():
    def run(seed):
        learner = PosteriorSampling(1, 2, task_horizon=4)
        learner.begin_tasks(EVERY, [seed])
        for step in walk(1, 20):
            learn(learner, *step[:5])
        begin(learner)
        return learner

    assert everything(run(5)) == everything(run(5))
    assert everything(run(5)) != everything(run(6))
    # Without a seed the stream goes on: the next task is another one, and yet the same every time.
    ones, twos = run(5), run(5)
    for learner in (ones, twos):
        learner.begin_tasks(EVERY, [None])
        for step in walk(1, 20):
            learn(learner, *step[:5])
        begin(learner)
    assert everything(ones) == everything(twos) != everything(run(5))


def test_models_are_not_drawn_with_the_numbers_that_drew_the_task():
    """The environment draws its first task from the same seed: a model must not copy its noise."""
    rewards = np.random.default_rng(3).standard_normal(1000)
    learner = PosteriorSampling(1, 1, task_horizon=1, n_samples=1000)
    learner.begin_tasks(EVERY, [3])
    drawn = learner._generators[0].standard_normal(1000)
    assert abs(np.corrcoef(rewards, drawn)[0, 1]) < 0.15


# Masks


def test_a_masked_action_is_left_out_of_the_plan_and_reads_as_the_worst_allowed():
    """Action 1 of state 1 is worth 64, and is masked when the second episode begins."""
    sure = {"prior_sd": 100.0, "noise_sd": 1e-6, "concentration": 1e-9}
    learner = PosteriorSampling(1, 2, task_horizon=5, gamma=0.5, **sure)
    for a, r in enumerate([4.0, 64.0]):
        learn(learner, 1, a, r, 0, end=True)
    for a in range(2):
        learn(learner, 0, a, 0.0, 1)
    begin(learner, 1, seeds=None)
    assert learner.q_values([0])[0] == pytest.approx([32.0, 32.0], abs=1e-3)
    begin(learner, 1, mask=[True, False])
    assert learner.q_values([0])[0] == pytest.approx([2.0, 2.0], abs=1e-3)
    assert learner.value([1])[0] == pytest.approx(4.0, abs=1e-3)
    out = np.zeros((1, 7), np.float32)
    learner.write([1], Scales(2.0, 4.0), out)
    expected = [0.0, 0.0, 2.0, 0.25, 0.25, 0.0, 0.0]
    np.testing.assert_allclose(out[0], expected, atol=1e-3)


# Errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task_horizon": 0}, r"`task_horizon` must be an integer of at least 1, got 0"),
        ({"gamma": -0.1}, r"`gamma` must be in \[0, 1\], got -0.1"),
        ({"tolerance": float("nan")}, r"`tolerance` must be finite and at least 0, got nan"),
        ({"n_samples": 1}, r"`n_samples` must be an integer of at least 2, got 1: one model has"),
        ({"n_samples": 2.0}, r"`n_samples` must be an integer of at least 2, got 2.0"),
        ({"concentration": 0.0}, r"`concentration` must be finite and above 0, got 0.0"),
        ({"concentration": 1e308}, r"`concentration` must be at most 1e\+30 in size, got 1e\+308"),
        ({"prior_mean": float("inf")}, r"`prior_mean` must be finite, got inf"),
        ({"prior_sd": -1.0}, r"`prior_sd` must be finite and above 0, got -1.0"),
        ({"noise_sd": 0.0}, r"`noise_sd` must be finite and above 0, got 0.0"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        PosteriorSampling(1, 2, **{"task_horizon": 3} | options)


def test_an_unknown_option_and_one_that_is_missing_are_named():
    with pytest.raises(
        TypeError, match=r"`smoothing` is not an option\..* The options of .* concentr"
    ):
        PosteriorSampling(1, 2, task_horizon=3, smoothing=0.1)
    with pytest.raises(TypeError, match="task_horizon"):
        PosteriorSampling(1, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": [2]}, r"`actions\[0\]` must be in \[0, 2\), got 2"),
        ({"rewards": [np.nan]}, r"`rewards\[0\]` must be finite, got nan"),
        ({"next_states": [[0, 1]]}, r"`next_states` must have 1 numbers per state"),
    ],
)
def test_an_impossible_transition_is_refused_and_nothing_learned(change, message):
    learner = lived()
    before = everything(learner), learner.counts([0]).tolist(), learner.n_states.tolist()
    good = {"states": [0], "actions": [0], "rewards": [1.0], "next_states": [0]}
    with pytest.raises(ValueError, match=message):
        learner.update(**good | change, terminated=[False])
    assert (everything(learner), learner.counts([0]).tolist(), learner.n_states.tolist()) == before


# Behind the door


def test_in_a_batch_of_environments_each_sees_what_a_single_one_sees():
    options = {"estimator": "posterior-sampling", "task_horizon": 10, "value_scale": 10.0}
    batch = vamdp.vector.MetaEpisode(
        vamdp.vector.ValueAugment(
            gymnasium.make_vec(
                "vamdp/RandomMDP-v0", num_envs=3, vectorization_mode="vector_entry_point"
            ),
            **options,
        ),
        25,
    )
    singles = [
        vamdp.MetaEpisode(vamdp.ValueAugment(gymnasium.make("vamdp/RandomMDP-v0"), **options), 25)
        for _ in range(3)
    ]
    rng = np.random.default_rng(0)
    shown = [batch.reset(seed=4)[0]]
    alone = [[env.reset(seed=4 + i)[0]] for i, env in enumerate(singles)]
    for t in range(1, 61):
        actions = rng.integers(5, size=3)
        shown.append(batch.step(actions)[0])
        for env, seen, action in zip(singles, alone, actions.tolist(), strict=True):
            seen.append(env.step(action)[0] if t % 25 else (env.step(action), env.reset())[1][0])
    np.testing.assert_array_equal(np.array(shown).swapaxes(0, 1), np.array(alone))
    spread = np.array(shown)[:, :, batch.layout["spread"]]
    assert spread.min() > 0
    assert np.ptp(spread[1:11], axis=0).max() > 0  # from the second state on
    assert batch.env.action_parts == ("advantage", "count", "spread")
    assert list(batch.env.layout) == ["state", "advantage", "value", "count", "spread"]


def test_the_table_names_it():
    row = BUILT_INS["posterior-sampling"]
    assert (row.title, row.factory) == ("posterior sampling", PosteriorSampling)
