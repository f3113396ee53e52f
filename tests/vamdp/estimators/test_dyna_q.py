"""Dyna-Q: closed forms, the optimum of the empirical model, and what it keeps and forgets."""

import numpy as np
import pytest

import vamdp
from vamdp.estimators import BUILT_INS, Scales
from vamdp.estimators.dyna_q import DynaQ
from vamdp.estimators.q_learning import QLearning

EVERY = np.ones(1, bool)


def learn(learner, s, a, r, s_next, end=False, mask=None):
    masks = None if mask is None else [mask]
    learner.update([s], [a], [r], [s_next], [end], masks)


def test_a_reward_travels_back_along_a_chain_while_nothing_happens():
    """A walk of five steps to the goal is known after one visit; Q-learning knows one step."""
    dyna, plain = (DynaQ(1, 1, gamma=0.5, rate_power=0.0, n_planned=n) for n in (200, 0))
    for learner in (dyna, plain):
        for s in range(5):
            learn(learner, s, 0, 0.0 if s < 4 else 16.0, s + 1, end=s == 4)
    assert [dyna.q_values([s])[0, 0] for s in range(6)] == [1.0, 2.0, 4.0, 8.0, 16.0, 0.0]
    assert [plain.q_values([s])[0, 0] for s in range(5)] == [0.0, 0.0, 0.0, 0.0, 16.0]
    assert [dyna.counts([s])[0, 0] for s in range(5)] == [1] * 5  # what was planned never happened


@pytest.mark.parametrize("seed", [0, 1])
def test_much_planning_finds_the_optimum_of_the_empirical_model(seed):
    """Of what was seen, noise and all, far from the optimum of the task itself."""
    rng = np.random.default_rng(seed)
    S, A, gamma = 3, 2, 0.7
    P, R = rng.dirichlet(np.ones(S), (S, A)), rng.normal(size=(S, A))
    learner = DynaQ(1, A, gamma=gamma, rate_power=0.6, n_planned=20_000)
    learner.begin_tasks(EVERY, [seed])
    N, G, s = np.zeros((S, A, S + 1)), np.zeros((S, A)), 0
    for _ in range(60):
        a = int(rng.integers(A))
        s_next, r = int(rng.choice(S, p=P[s, a])), float(R[s, a] + rng.normal())
        end = bool(rng.random() < 0.1)
        learn(learner, s, a, r, s_next, end)
        N[s, a, S if end else s_next] += 1
        G[s, a] += r
        s = 0 if end else s_next
    n = N.sum(axis=2)
    assert n.min() >= 2
    model = np.concatenate([N / n[..., None], np.zeros((1, A, S + 1))])
    optimum = vamdp.value_iteration(
        model, np.concatenate([G / n, np.zeros((1, A))]), gamma=gamma, max_sweeps=200,
        tolerance=0.0, terminal=np.arange(S + 1) == S,
    ).Q[:S]  # fmt: skip
    learned = np.array([learner.q_values([s])[0] for s in range(S)])
    truth = vamdp.value_iteration(P, R, gamma=gamma, max_sweeps=200, tolerance=0.0).Q
    assert np.abs(learned - optimum).max() < 0.1
    assert np.abs(truth - optimum).max() > 0.3


def transitions(seed, n_tasks, n_steps, n_actions=3, width=5):
    """Walks over many tuple states, with ends, and masks now and then."""
    rng = np.random.default_rng(seed)
    for t in range(n_steps):
        masks = rng.random((n_tasks, n_actions)) < 0.7
        masks[:, 0] |= rng.random(n_tasks) < 0.5  # some rows tell nothing
        yield (
            rng.integers(width, size=(n_tasks, 2)) - 1,
            rng.integers(n_actions, size=n_tasks),
            rng.normal(size=n_tasks),
            rng.integers(width, size=(n_tasks, 2)) - 1,
            rng.random(n_tasks) < 0.2,
            masks if t % 3 == 0 else None,
        )


@pytest.mark.parametrize(
    "options", [{}, {"gamma": 0.8, "rate_power": 0.9, "learning_rate": 0.5, "initial_value": 2.0}]
)
def test_without_planning_it_is_q_learning_to_the_last_bit(options):
    dyna, plain = DynaQ(2, 3, n_planned=0, **options), QLearning(2, 3, **options)
    outs = np.zeros((2, 7), np.float32), np.zeros((2, 7), np.float32)
    for step in transitions(0, 2, 100):
        for learner, out in zip((dyna, plain), outs, strict=True):
            learner.update(*step)
            learner.write(step[3], Scales(2.0, 5.0), out)
        np.testing.assert_array_equal(*outs)
        np.testing.assert_array_equal(dyna.q_values(step[0]), plain.q_values(step[0]))
    assert dyna.nbytes == 0


OPTIONS = [{}, {"n_planned": 3, "memory_size": 2, "initial_value": 2.0, "rate_power": 1.0}]


@pytest.mark.parametrize("options", OPTIONS)
def test_each_row_of_a_batch_is_a_batch_of_one_to_the_last_bit(options):
    n = 4
    batch, singles = DynaQ(n, 3, **options), [DynaQ(1, 3, **options) for _ in range(n)]
    batch.begin_tasks(np.ones(n, bool), [10, 11, 12, 13])
    for i, single in enumerate(singles):
        single.begin_tasks(EVERY, [10 + i])
    outs = np.zeros((n, 7), np.float32), np.zeros((n, 7), np.float32)
    rows = np.array([True, False, False, True])
    for t, step in enumerate(transitions(0, n, 150)):
        batch.update(*step)
        batch.write(step[3], Scales(2.0, 5.0), outs[0])
        if t % 40 == 39:
            batch.begin_tasks(rows, [None, None, None, t])
        if t % 10 == 5:
            masks = ~rows[:, None] | np.eye(4, 3, dtype=bool)
            batch.begin_episodes(rows, step[0].astype(float), masks)
        for i, single in enumerate(singles):
            single.update(*[None if part is None else part[i : i + 1] for part in step])
            single.write(step[3][i : i + 1], Scales(2.0, 5.0), outs[1][i : i + 1])
            if t % 40 == 39 and rows[i]:
                single.begin_tasks(EVERY, [t if i == 3 else None])
            if t % 10 == 5 and rows[i]:
                single.begin_episodes(EVERY, step[0][i : i + 1].astype(float), masks[i : i + 1])
        np.testing.assert_array_equal(*outs)
    assert (batch.n_states > 16).all()  # the room grew
    assert outs[0].any()


def all_q(learner):
    return [learner.q_values([[x, y]])[0].tolist() for x in (-1, 0) for y in (-1, 0)]


def test_what_is_planned_follows_from_the_seed_alone():
    def run(seed):
        learner = DynaQ(1, 3)
        learner.begin_tasks(EVERY, [seed])
        for step in transitions(3, 1, 60, width=2):
            learner.update(*step)
        return learner

    assert all_q(run(5)) == all_q(run(5))
    assert all_q(run(5)) != all_q(run(6))
    # Without a seed the stream goes on: the next task is another one, and yet the same every time.
    ones, twos = run(5), run(5)
    for learner in (ones, twos):
        learner.begin_tasks(EVERY, [None])
        for step in transitions(3, 1, 60, width=2):
            learner.update(*step)
    assert all_q(ones) == all_q(twos) != all_q(run(5))


def test_an_episode_that_begins_plans_nothing_and_forgets_nothing():
    learner = DynaQ(1, 3)
    for step in transitions(3, 1, 60, width=2):
        learner.update(*step)
    before = all_q(learner)
    learner.begin_episodes(EVERY, np.array([[0.0, 0.0]]), None)
    assert all_q(learner) == before
    assert np.any(before)


def test_what_is_forgotten_is_never_planned():
    used, new = DynaQ(1, 1, gamma=0.5), DynaQ(1, 1, gamma=0.5)
    for s in range(20):
        for _ in range(5):
            learn(used, s, 0, 100.0, s + 1)
    for learner in (used, new):
        learner.begin_tasks(EVERY, [1])
        for s in range(3):
            learn(learner, 7 * s, 0, float(s), 7 * s + 7)
        assert learner.n_states == 4
    for s in (0, 7, 14, 21, 3):
        assert used.q_values([s]) == new.q_values([s])
        assert used.counts([s]) == new.counts([s])


def test_only_the_last_outcomes_of_a_pair_are_drawn():
    """After 20 zeros, 4 ones fill a memory of 4: planning sees nothing else."""
    options = {"rate_power": 0.0, "learning_rate": 0.5, "n_planned": 60}
    short, long = (DynaQ(1, 1, memory_size=n, **options) for n in (4, 1000))
    for learner in (short, long):
        learner.begin_tasks(EVERY, [0])
        for r in [0.0] * 20 + [1.0] * 4:
            learn(learner, 0, 0, r, 0, end=True)
    assert short.q_values([0]) == 1.0
    assert long.q_values([0]) < 0.9


def test_memory_is_in_proportion_to_the_transitions_and_bounded_by_the_pairs():
    sizes = {}
    learner = DynaQ(1, 1, n_planned=1, memory_size=64)
    for t in range(1, 4097):
        learn(learner, 0, 0, 1.0, 0, end=True)
        sizes[t] = learner.nbytes
    assert sizes[32] <= 12 * 8 * 32
    assert sizes[256] == sizes[4096] <= 12 * 4 * 64
    learner = DynaQ(1, 1, n_planned=1)
    for t in range(2000):
        learn(learner, t, 0, 1.0, t + 1)
    assert learner.nbytes <= 12 * 8 * 2000  # two places for each, and room that doubles


def test_a_masked_action_is_left_out_of_what_is_planned():
    """An action that is worth 64 is masked in state 1, and what leads there hears of it."""
    learner = DynaQ(1, 2, gamma=0.5, rate_power=0.0, n_planned=40)
    learner.begin_tasks(EVERY, [0])
    for a, r in enumerate([4.0, 64.0]):
        learn(learner, 1, a, r, 0, end=True)
    learn(learner, 0, 0, 0.0, 1)
    assert learner.q_values([0])[0, 0] == 32.0
    learner.begin_episodes(EVERY, np.array([[1.0]]), np.array([[True, False]]))
    learn(learner, 3, 0, 0.0, 3, end=True)
    assert learner.q_values([0])[0, 0] == 2.0
    out = np.zeros((1, 5), np.float32)
    learner.write([1], Scales(2.0, 4.0), out)
    assert out[0].tolist() == [0.0, 0.0, 2.0, 0.25, 0.25]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": 1.5}, r"`gamma` must be in \[0, 1\], got 1.5"),
        ({"learning_rate": 0.0}, r"`learning_rate` must be in \(0, 1\], got 0.0"),
        ({"rate_power": 1.1}, r"`rate_power` must be in \[0, 1\], got 1.1"),
        ({"initial_value": float("nan")}, r"`initial_value` must be finite, got nan"),
        ({"n_planned": -1}, r"`n_planned` must be an integer of at least 0, got -1"),
        ({"n_planned": 2.0}, r"`n_planned` must be an integer of at least 0, got 2.0"),
        ({"memory_size": 0}, r"`memory_size` must be an integer of at least 1, got 0"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        DynaQ(1, 2, **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": [2]}, r"`actions\[0\]` must be in \[0, 2\), got 2"),
        ({"rewards": [np.nan]}, r"`rewards\[0\]` must be finite, got nan"),
        ({"next_states": [[0, 1]]}, r"`next_states` must have 1 numbers per state"),
    ],
)
def test_an_impossible_transition_is_refused_and_nothing_learned(change, message):
    learner = DynaQ(1, 2)
    learn(learner, 0, 0, 1.0, 0)
    before = learner.q_values([0]).tolist(), learner.counts([0]).tolist()
    good = {"states": [0], "actions": [0], "rewards": [1.0], "next_states": [0]}
    with pytest.raises(ValueError, match=message):
        learner.update(**good | change, terminated=[False])
    assert (learner.q_values([0]).tolist(), learner.counts([0]).tolist()) == before


def test_the_table_names_it():
    row = BUILT_INS["dyna-q"]
    assert (row.title, row.factory) == ("Dyna-Q", DynaQ)
    with pytest.raises(
        TypeError, match=r"`n_replayed` is not an option\..* The options of .* gamma, learn"
    ):
        DynaQ(1, 2, n_replayed=3)
