from fractions import Fraction as F

import gymnasium
import numpy as np
import pytest

import vamdp
from vamdp.estimators import BUILT_INS, Scales
from vamdp.estimators.q_learning import QLearning

EVERY = np.ones(1, bool)


def learn(learner, s, a, r, s_next, end=False, mask=None):
    masks = None if mask is None else [mask]
    learner.update([s], [a], [r], [s_next], [end], masks)


def test_a_chain_of_two_states_worked_out_by_hand():
    learner = QLearning(1, 1, gamma=0.5, rate_power=1.0)  # rates 1, 1/2, 1/3
    learn(learner, 0, 0, 1.0, 1)  # 1 + 0
    learn(learner, 1, 0, 2.0, 0)  # 2 + 1/2
    assert learner.q_values([1]) == F(5, 2)
    learn(learner, 0, 0, 1.0, 1)  # 1 + 1/2 (1 + 5/4 - 1)
    assert learner.q_values([0]) == F(13, 8)
    learn(learner, 1, 0, 2.0, 0, end=True)  # 5/2 + 1/2 (2 - 5/2)
    assert learner.q_values([1]) == F(9, 4)
    learn(learner, 0, 0, 3.0, 1)  # 13/8 + 1/3 (3 + 9/8 - 13/8)
    assert learner.q_values([0]) == pytest.approx(float(F(59, 24)), rel=1e-15)
    assert learner.counts([0]).tolist() == [[3]]
    assert learner.n_states == 2


def test_a_constant_rate_forgets_geometrically():
    learner = QLearning(1, 2, learning_rate=0.25, rate_power=0.0, initial_value=8.0)
    for n in range(1, 9):
        learn(learner, 0, 1, 1.0, 0, end=True)
        assert learner.q_values([0])[0, 1] == pytest.approx(1 + 7 * 0.75**n, rel=1e-14)
    assert learner.q_values([0])[0, 0] == learner.value([5]) == 8.0


@pytest.mark.parametrize(("n_replayed", "n_steps", "near"), [(0, 60_000, 0.08), (4, 15_000, 0.15)])
def test_q_converges_to_the_optimum_of_the_task(n_replayed, n_steps, near):
    rng = np.random.default_rng(1)
    S, A = 3, 2
    P, R = rng.dirichlet(np.ones(S), (S, A)), rng.normal(size=(S, A))
    optimum = vamdp.value_iteration(P, R, gamma=0.7, max_sweeps=200, tolerance=0.0).Q
    learner = QLearning(1, A, gamma=0.7, rate_power=0.75, n_replayed=n_replayed, memory_size=5000)
    learner.begin_tasks(EVERY, [0])
    cumulated = P.cumsum(axis=2)
    actions, draws, noise = (
        rng.integers(A, size=n_steps),
        rng.random(n_steps),
        rng.normal(size=n_steps),
    )
    s = 0
    for a, u, e in zip(actions.tolist(), draws, noise, strict=True):
        s_next = min(int((cumulated[s, a] < u).sum()), S - 1)
        learn(learner, s, a, R[s, a] + 0.5 * e, s_next)
        s = s_next
    learned = np.array([learner.q_values([s])[0] for s in range(S)])
    assert np.abs(learned - optimum).max() < near
    assert np.abs(optimum).max() > 1


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


OPTIONS = [
    {},
    {"gamma": 1.0, "rate_power": 1.0, "learning_rate": 0.5},
    {"n_replayed": 3, "memory_size": 7, "initial_value": 2.0},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_each_row_of_a_batch_is_a_batch_of_one_to_the_last_bit(options):
    n = 4
    batch, singles = QLearning(n, 3, **options), [QLearning(1, 3, **options) for _ in range(n)]
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
            batch.begin_episodes(
                rows, step[0].astype(float), ~rows[:, None] | np.eye(4, 3, dtype=bool)
            )
        for i, single in enumerate(singles):
            single.update(*[None if part is None else part[i : i + 1] for part in step])
            single.write(step[3][i : i + 1], Scales(2.0, 5.0), outs[1][i : i + 1])
            if t % 40 == 39 and rows[i]:
                single.begin_tasks(EVERY, [t if i == 3 else None])
            if t % 10 == 5 and rows[i]:
                state, mask = step[0][i : i + 1].astype(float), np.eye(4, 3, dtype=bool)[i : i + 1]
                single.begin_episodes(EVERY, state, mask)
        np.testing.assert_array_equal(*outs)
    assert (batch.n_states > 16).all()  # the room grew
    assert outs[0].any()


def test_what_is_replayed_follows_from_the_seed_alone():
    def run(seed, n_replayed=2):
        learner = QLearning(1, 3, n_replayed=n_replayed, memory_size=20)
        learner.begin_tasks(EVERY, [seed])
        for step in transitions(3, 1, 60, width=2):
            learner.update(*step)
        return learner

    def all_q(learner):
        return [learner.q_values([[x, y]])[0].tolist() for x in (-1, 0) for y in (-1, 0)]

    assert all_q(run(5)) == all_q(run(5))
    assert all_q(run(5)) != all_q(run(6))
    assert all_q(run(5, 0)) == all_q(run(6, 0))  # nothing else is random
    # Without a seed the stream goes on: the next task is another one, and yet the same every time.
    ones, twos = run(5), run(5)
    for learner in (ones, twos):
        learner.begin_tasks(EVERY, [None])
        for step in transitions(3, 1, 60, width=2):
            learner.update(*step)
    assert all_q(ones) == all_q(twos) != all_q(run(5))


def test_only_the_last_transitions_are_replayed():
    """A memory of one holds the newest: replaying it is learning it once more, at the same rate."""
    learner = QLearning(1, 1, learning_rate=0.5, rate_power=0.0, n_replayed=3, memory_size=1)
    learn(learner, 0, 0, 16.0, 0, end=True)
    learn(learner, 1, 0, 32.0, 0, end=True)
    assert learner.q_values([0]) == 16 * (1 - 0.5**4)
    assert learner.q_values([1]) == 32 * (1 - 0.5**4)
    assert learner.counts([0]) == learner.counts([1]) == 1


def test_what_is_forgotten_is_never_replayed():
    def fresh():
        return QLearning(1, 1, gamma=0.5, n_replayed=4, memory_size=50)

    used, new = fresh(), fresh()
    for s in range(20):
        learn(used, s, 0, 100.0, s + 1)
    for learner in (used, new):
        learner.begin_tasks(EVERY, [1])
        for s in range(3):
            learn(learner, 7 * s, 0, float(s), 7 * s + 7)
        assert learner.n_states == 4
    for s in (0, 7, 14, 21, 3):
        assert used.q_values([s]) == new.q_values([s])
        assert used.counts([s]) == new.counts([s])


def test_forgetting_some_tasks_leaves_the_others():
    learner = QLearning(3, 1)
    learner.update([0, 0, 0], [0, 0, 0], [1.0, 2.0, 3.0], [0, 0, 0], [True] * 3)
    learner.forget(np.array([False, True, False]))
    assert learner.q_values([0, 0, 0]).ravel().tolist() == [1.0, 0.0, 3.0]
    learner.forget()
    assert not learner.q_values([0, 0, 0]).any()


def test_a_masked_action_is_left_out_of_the_target_and_reads_as_the_worst_allowed():
    learner = QLearning(1, 3, gamma=0.5, rate_power=0.0)
    for a, r in enumerate([2.0, 4.0, 64.0]):
        learn(learner, 1, a, r, 0, end=True)
    learn(learner, 0, 0, 0.0, 1, mask=[True, True, False])
    assert learner.q_values([0])[0, 0] == 2.0
    assert learner.value([1]) == 4.0
    out = np.zeros((1, 7), np.float32)
    learner.write([1], Scales(2.0, 4.0), out)
    assert out[0].tolist() == [-1.0, 0.0, -1.0, 2.0, 0.25, 0.25, 0.25]
    learn(learner, 0, 0, 0.0, 1)  # no mask is told: the one before holds
    assert learner.q_values([0])[0, 0] == 2.0
    # The mask of an end is not the living state's.
    learn(learner, 0, 0, 0.0, 1, end=True, mask=[False, False, True])
    assert learner.value([1]) == 4.0
    learner.begin_episodes(EVERY, np.array([[1.0]]), np.array([[False, False, True]]))
    assert learner.value([1]) == 64.0


def test_an_episode_that_begins_without_a_mask_changes_nothing():
    learner = QLearning(1, 2)
    learn(learner, 0, 1, 3.0, 1)
    learner.begin_episodes(EVERY, np.array([[9.0]]), None)
    assert learner.n_states == 2
    assert learner.q_values([0]).tolist() == [[0.0, 3.0]]


def test_values_scale_with_rewards():
    ones, fours = QLearning(2, 3, n_replayed=2), QLearning(2, 3, n_replayed=2)
    for learner in (ones, fours):
        learner.begin_tasks(np.ones(2, bool), [0, 1])
    for states, actions, rewards, *rest in transitions(8, 2, 50):
        ones.update(states, actions, rewards, *rest)
        fours.update(states, actions, 4 * rewards, *rest)
    Q = ones.q_values(states)
    assert Q.any()
    np.testing.assert_array_equal(fours.q_values(states), 4 * Q)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": 1.5}, r"`gamma` must be in \[0, 1\], got 1.5"),
        ({"learning_rate": 0.0}, r"`learning_rate` must be in \(0, 1\], got 0.0"),
        ({"learning_rate": float("nan")}, r"`learning_rate` must be in \(0, 1\], got nan"),
        ({"rate_power": -0.1}, r"`rate_power` must be in \[0, 1\], got -0.1"),
        ({"initial_value": float("inf")}, r"`initial_value` must be finite, got inf"),
        ({"n_replayed": -1}, r"`n_replayed` must be an integer of at least 0, got -1"),
        ({"n_replayed": 1.5}, r"`n_replayed` must be an integer of at least 0, got 1.5"),
        ({"memory_size": 0}, r"`memory_size` must be an integer of at least 1, got 0"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        QLearning(1, 2, **options)


def test_an_unknown_option_is_named_with_those_that_there_are():
    with pytest.raises(
        TypeError, match=r"`tolerance` is not an option\..* The options of .* gamma, learn"
    ):
        QLearning(1, 2, tolerance=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": [2]}, r"`actions\[0\]` must be in \[0, 2\), got 2"),
        ({"rewards": [np.nan]}, r"`rewards\[0\]` must be finite, got nan"),
        ({"next_states": [[0, 1]]}, r"`next_states` must have 1 numbers per state"),
    ],
)
def test_an_impossible_transition_is_refused_and_nothing_learned(change, message):
    learner = QLearning(1, 2)
    learn(learner, 0, 0, 1.0, 0)
    before = learner.q_values([0]).tolist()
    good = {"states": [0], "actions": [0], "rewards": [1.0], "next_states": [0]}
    with pytest.raises(ValueError, match=message):
        learner.update(**good | change, terminated=[False])
    assert learner.q_values([0]).tolist() == before


def test_in_a_batch_of_environments_each_sees_what_a_single_one_sees():
    options = {"estimator": "q-learning", "task_horizon": 10, "n_replayed": 3, "gamma": 0.9}
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
    assert np.abs(np.array(shown)[-1, :, batch.layout["advantage"]]).max() > 0
    assert type(batch.env.estimator) is QLearning


def test_the_table_names_it():
    row = BUILT_INS["q-learning"]
    assert row.title == "Q-learning"
    with pytest.raises(ValueError, match="Did you mean 'q-learning'"):
        vamdp.ValueAugment(gymnasium.make("FrozenLake-v1"), task_horizon=9, estimator="q-lerning")
    with pytest.raises(TypeError, match="`smoothing` is not an option"):
        vamdp.ValueAugment(
            gymnasium.make("FrozenLake-v1"), task_horizon=9, estimator="q-learning", smoothing=0.1
        )
