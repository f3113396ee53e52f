"""The learner against closed forms, laws, and a dense rebuild from the log of all transitions."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vamdp
from vamdp.estimators import Scales
from vamdp.estimators.model_based.kernels import _learn_serially

SEEDS = st.integers(0, 2**32 - 1)
LAW = settings(max_examples=30, deadline=None)


class DenseRebuild:
    """The estimates by their definition: dense arrays built anew after each transition."""

    def __init__(
        self, n_actions, *, task_horizon, gamma=1.0, tolerance=0.01, smoothing=0.1,
        warm_start=False, reward_model="transition",
        cluster_size=1, cluster_radius=1.0, cluster_terminals=False, bonus=0.0,
        prior_mean=0.0, prior_weight=0.0,
    ):  # fmt: skip
        self.n_actions, self.task_horizon, self.gamma = n_actions, task_horizon, gamma
        self.tolerance, self.alpha, self.warm_start = tolerance, smoothing, warm_start
        self.reward_model, self.bonus = reward_model, bonus
        self.prior_mean, self.prior_weight = prior_mean, prior_weight
        self.cluster_size, self.cluster_radius = cluster_size, cluster_radius
        self.cluster_terminals = cluster_terminals and cluster_size > 1
        self.seen = []  # concrete states in order of first sight
        self.living, self.copies = {}, {}  # concrete state -> model state
        self.terminal = set()
        self.n_states = self.n_sweeps = 0
        self.triples = defaultdict(lambda: [0, 0.0])
        self.visits = defaultdict(int)
        self.allowed = {}
        self.Q = np.zeros((0, n_actions))

    def enter(self, state, terminated):
        known = self.copies if terminated and not self.cluster_terminals else self.living
        if state not in self.seen:
            self.seen.append(state)
        if state not in known:
            home = self.cluster_near(state) if known is self.living else None
            if home is None:
                home = self.n_states
                self.n_states += 1
            known[state] = home
        if terminated:
            self.terminal.add(known[state])
        return known[state]

    def cluster_near(self, state):
        if self.cluster_size == 1:
            return None
        homes = list(self.living.values())
        near = []
        for order, other in enumerate(self.seen):
            if other in self.living and homes.count(self.living[other]) < self.cluster_size:
                distance = np.abs(np.subtract(state, other)).sum()
                if distance <= self.cluster_radius:
                    near.append((distance, order, self.living[other]))
        return min(near)[2] if near else None

    def update(self, state, action, reward, next_state, terminated, mask=None):
        n_states_before = self.n_states
        s, s_next = self.enter(state, False), None
        s_next = self.enter(next_state, terminated)
        self.triples[s, action, s_next][0] += 1
        self.triples[s, action, s_next][1] += reward
        self.visits[state, action] += 1
        if mask is not None and not terminated:
            self.allowed[next_state] = mask
        self.plan(self.n_states > n_states_before or not self.warm_start)

    def plan(self, from_zero):
        S, A = self.n_states, self.n_actions
        N, G = np.zeros((S, A, S)), np.zeros((S, A, S))
        for triple, (n, rewards) in self.triples.items():
            N[triple], G[triple] = n, rewards
        n = N.sum(axis=2, keepdims=True)
        tried = n > 0
        P = np.where(tried, (N + self.alpha) / np.where(tried, n + self.alpha * S, 1.0), 1 / S)
        if self.reward_model == "transition":
            R = (P * G / np.maximum(N, 1)).sum(axis=2)
        else:
            R = G.sum(axis=2) / np.maximum(n[..., 0], 1)
        if self.prior_weight > 0:
            share = n[..., 0] / (n[..., 0] + self.prior_weight)
            R = share * R + (1 - share) * self.prior_mean
        R += self.bonus / np.sqrt(1 + n[..., 0])
        alive = np.array([s not in self.terminal for s in range(S)])[:, None]
        # An action is out of the question where no member of the model state may take it.
        barred = np.zeros((S, A), bool)
        for s in range(S):
            members = [c for c, home in self.living.items() if home == s]
            masks = [self.allowed.get(c, np.ones(A, bool)) for c in members]
            if masks:
                barred[s] = ~np.any(masks, axis=0)
        Q = np.zeros((S, A)) if from_zero else self.Q
        sweep, moved = 0, np.inf
        while sweep < self.task_horizon and not moved < self.tolerance - 1e-10:
            V = np.where(barred, -np.inf, Q).max(axis=1)
            old, Q = Q, (R + self.gamma * P @ V) * alive
            sweep, moved = sweep + 1, np.abs(Q - old).max()
        self.Q, self.n_sweeps = Q, sweep


def agree(estimator, rebuild):
    assert estimator.n_states == rebuild.n_states
    assert estimator.n_sweeps == rebuild.n_sweeps
    everything = np.ones(rebuild.n_actions, bool)
    for state in rebuild.seen:
        home = rebuild.living.get(state)
        expected = np.zeros(rebuild.n_actions) if home is None else rebuild.Q[home]
        np.testing.assert_allclose(estimator.q_values(state), expected, rtol=1e-9, atol=1e-9)
        best = expected[rebuild.allowed.get(state, everything)].max()
        np.testing.assert_allclose(estimator.value(state), best, rtol=1e-9, atol=1e-9)
        counts = [rebuild.visits[state, a] for a in range(rebuild.n_actions)]
        assert estimator.counts(state).tolist() == counts


def transitions(rng, n_steps, n_actions, states, *, masks=False, p_end=0.1):
    """A walk through ever more of `states`, which ends, restarts and meets states again."""
    state = states[0]
    allowed = {}
    for t in range(n_steps):
        within_reach = min(len(states), 2 + t // 3)
        choices = np.flatnonzero(allowed.get(state, np.ones(n_actions, bool)))
        next_state = states[rng.integers(within_reach)]
        terminated = bool(rng.random() < p_end)
        mask = None
        if masks and rng.random() < 0.7:
            mask = rng.random(n_actions) < 0.6
            mask[rng.integers(n_actions)] = True
            if not terminated:
                allowed[next_state] = mask
        yield state, int(rng.choice(choices)), float(rng.normal()), next_state, terminated, mask
        state = states[0] if terminated else next_state


def with_prior(options):
    mean, weight = options.pop("prior")
    return options | {"prior_mean": mean, "prior_weight": weight}


OPTIONS = st.fixed_dictionaries(
    {
        "task_horizon": st.sampled_from([1, 2, 25]),
        "gamma": st.sampled_from([0.0, 0.9, 1.0]),
        "tolerance": st.sampled_from([0.0, 0.01, 0.2]),
        "smoothing": st.sampled_from([0.0, 0.1, 3.0]),
        "reward_model": st.sampled_from(["transition", "state_action"]),
        "bonus": st.sampled_from([0.0, 0.5, 20.0]),
        "prior": st.sampled_from([(0.0, 0.0), (0.0, 2.0), (-3.0, 0.5)]),
    }
).map(with_prior)
GRID = [(row, column) for row in range(-2, 3) for column in range(5)]


# Against the dense rebuild


@settings(max_examples=60, deadline=None)
@given(SEEDS, OPTIONS, st.booleans(), st.booleans())
def test_every_table_equals_a_dense_rebuild(seed, options, warm_start, masks):
    options["warm_start"] = warm_start and options["gamma"] < 1
    estimator, rebuild = vamdp.ValueEstimator(3, **options), DenseRebuild(3, **options)
    for transition in transitions(np.random.default_rng(seed), 40, 3, range(12), masks=masks):
        estimator.update(*transition)
        rebuild.update(*transition)
        agree(estimator, rebuild)


@settings(max_examples=40, deadline=None)
@given(
    SEEDS,
    OPTIONS,
    st.booleans(),
    st.integers(2, 4),
    st.sampled_from([0.0, 1.0, 2.5]),
    st.booleans(),
)
def test_every_table_of_clusters_equals_a_dense_rebuild(
    seed, options, masks, size, radius, cluster_terminals
):
    options |= {
        "cluster_size": size,
        "cluster_radius": radius,
        "cluster_terminals": cluster_terminals,
        "warm_start": seed % 2 == 1 and options["gamma"] < 1,
    }
    rng = np.random.default_rng(seed)
    states = [GRID[i] for i in rng.permutation(len(GRID))]
    estimator, rebuild = vamdp.ValueEstimator(2, **options), DenseRebuild(2, **options)
    for transition in transitions(rng, 40, 2, states, masks=masks):
        estimator.update(*transition)
        rebuild.update(*transition)
        agree(estimator, rebuild)


@pytest.mark.parametrize("reward_model", ["transition", "state_action"])
def test_room_grows_through_several_doublings_without_a_trace(reward_model):
    options = {"task_horizon": 12, "gamma": 0.95, "reward_model": reward_model}
    estimator, rebuild = vamdp.ValueEstimator(3, **options), DenseRebuild(3, **options)
    for t, transition in enumerate(transitions(np.random.default_rng(0), 450, 3, range(140))):
        estimator.update(*transition)
        rebuild.update(*transition)
        if t % 50 == 49:
            agree(estimator, rebuild)
        else:
            assert estimator.n_sweeps == rebuild.n_sweeps
    capacity, triple_capacity = 256, 512  # from 16 and 32
    assert capacity / 2 < rebuild.n_states <= capacity
    assert triple_capacity / 2 < len(rebuild.triples) <= triple_capacity


@LAW
@given(SEEDS, OPTIONS)
def test_the_model_solved_anew_gives_the_same_estimates(seed, options):
    estimator = vamdp.ValueEstimator(3, **options)
    for transition in transitions(np.random.default_rng(seed), 30, 3, range(8)):
        estimator.update(*transition)
    states, P, R = estimator.model()
    np.testing.assert_allclose(P.sum(axis=2), 1.0, rtol=1e-12)
    result = vamdp.value_iteration(
        P,
        R,
        max_sweeps=options["task_horizon"],
        gamma=options["gamma"],
        tolerance=options["tolerance"],
        terminal=np.array([s.terminal for s in states]),
    )
    assert result.n_sweeps == estimator.n_sweeps
    for s, (members, terminal) in enumerate(states):
        assert len(members) == 1
        if not terminal:
            np.testing.assert_allclose(estimator.q_values(members[0]), result.Q[s], atol=1e-9)


# Closed forms


def test_the_first_transition_has_its_hand_fractions():
    # Two states, alpha = 0.1: the tried row gives 1.1 / 1.2 to what it saw.
    estimator = vamdp.ValueEstimator(2, task_horizon=2, tolerance=0)
    estimator.update(7, 1, 6.0, 8, False)
    first = 6.0 * 1.1 / 1.2  # the reward, shrunk by smoothing
    assert estimator.q_values(7) == pytest.approx([first / 2, first + first * 0.1 / 1.2])
    assert estimator.q_values(8) == pytest.approx([first / 2, first / 2])
    assert estimator.value(7) == max(estimator.q_values(7))
    assert estimator.counts(7).tolist() == [0, 1]
    assert estimator.counts(8).tolist() == [0, 0]


def test_pair_rewards_are_not_shrunk_by_smoothing():
    estimator = vamdp.ValueEstimator(1, task_horizon=1, reward_model="state_action", smoothing=5.0)
    for reward, next_state in [(1.0, 1), (2.0, 2), (6.0, 1)]:
        estimator.update(0, 0, reward, next_state, False)
    assert estimator.q_values(0)[0] == pytest.approx(3.0)


def test_the_value_of_a_bandit_is_the_mean_reward_of_each_arm():
    estimator = vamdp.ValueEstimator(3, task_horizon=1, reward_model="state_action")
    pulls = [(0, 1.0), (0, 0.0), (0, 1.0), (2, 0.5)]
    for arm, reward in pulls:
        estimator.update(0, arm, reward, 0, True)
    assert estimator.q_values(0) == pytest.approx([2 / 3, 0.0, 0.5])
    assert estimator.n_states == 2
    assert estimator.n_sweeps == 1


def test_without_smoothing_a_chain_is_worth_its_discounted_end():
    estimator = vamdp.ValueEstimator(1, task_horizon=50, gamma=0.5, smoothing=0.0)
    for s in range(4):
        estimator.update(s, 0, float(s == 3), s + 1, s == 3)
    assert [estimator.value(s) for s in range(5)] == [0.125, 0.25, 0.5, 1.0, 0.0]


def test_a_state_just_entered_is_worth_the_discounted_mean_of_all():
    estimator = vamdp.ValueEstimator(2, task_horizon=400, gamma=0.9, tolerance=0, smoothing=0.0)
    estimator.update(0, 0, 1.0, 0, False)
    estimator.update(0, 1, 0.0, 1, False)
    V = np.array([estimator.value(0), estimator.value(1)])
    assert V[0] == pytest.approx(10.0)
    assert estimator.q_values(1) == pytest.approx([0.9 * V.mean()] * 2)


def test_a_state_never_met_reads_zeros():
    estimator = vamdp.ValueEstimator(2, task_horizon=5)
    assert estimator.q_values(3).tolist() == [0.0, 0.0]
    assert (estimator.n_states, estimator.n_sweeps) == (0, 0)
    estimator.update(0, 0, 1.0, 1, False)
    assert estimator.q_values(3).tolist() == [0.0, 0.0]
    assert estimator.counts(3).tolist() == [0, 0]
    assert estimator.value(3) == 0.0
    assert estimator.n_states == 2


def test_an_empty_model_has_no_states():
    states, P, R = vamdp.ValueEstimator(2, task_horizon=5).model()
    assert (states, P.shape, R.shape) == ([], (0, 2, 0), (0, 2))


def test_no_type_of_number_compiles_the_kernel_anew():
    estimator = vamdp.ValueEstimator(3, task_horizon=5)
    estimator.update(0, 0, 1.0, 1, False)
    compiled = len(_learn_serially.signatures)
    for number in (np.int8, np.uint64, np.int32):
        estimator.update(number(0), number(2), np.float32(1.0), number(1), np.bool_(True))
    estimator.update(0.0, 2, 1, True, 0)
    assert len(_learn_serially.signatures) == compiled
    assert estimator.counts(0).tolist() == [1, 0, 4]


# Terminal copies


def test_a_state_met_only_as_an_end_reads_zeros():
    estimator = vamdp.ValueEstimator(1, task_horizon=5)
    estimator.update(0, 0, 1.0, 1, True)
    assert estimator.n_states == 2
    assert estimator.q_values(1).tolist() == [0.0]
    assert estimator.value(1) == 0.0
    assert estimator.counts(1).tolist() == [0]


def test_a_state_met_alive_and_as_an_end_is_two_states_of_the_model():
    estimator = vamdp.ValueEstimator(1, task_horizon=5, smoothing=0.0)
    estimator.update(0, 0, 0.0, 1, True)
    estimator.update(0, 0, 0.0, 1, False)
    estimator.update(1, 0, 8.0, 0, True)
    states, P, _ = estimator.model()
    assert [(s.members, s.terminal) for s in states] == [
        ((0,), False), ((1,), True), ((1,), False), ((0,), True)
    ]  # fmt: skip
    assert P[0, 0].tolist() == [0.0, 0.5, 0.5, 0.0]
    assert P[1, 0].tolist() == [0.0, 1.0, 0.0, 0.0]
    # Nothing follows an end; what follows the living state is seen through it, half the time.
    assert estimator.q_values(1).tolist() == [8.0]
    assert estimator.q_values(0).tolist() == [4.0]


def test_a_terminated_self_transition_keeps_the_state_alive():
    estimator = vamdp.ValueEstimator(1, task_horizon=9, smoothing=0.0)
    for _ in range(3):
        estimator.update(0, 0, 1.0, 0, True)
    assert estimator.n_states == 2
    assert estimator.value(0) == 1.0


# Laws


@LAW
@given(SEEDS, OPTIONS)
def test_names_of_states_and_actions_do_not_matter(seed, options):
    rng = np.random.default_rng(seed)
    plain, renamed = (vamdp.ValueEstimator(3, **options) for _ in range(2))
    names = rng.choice(np.arange(-(2**52), 2**52, 2**30), 10, replace=False)
    actions = rng.permutation(3)
    for state, a, reward, next_state, end, _ in transitions(rng, 40, 3, range(10)):
        plain.update(state, a, reward, next_state, end)
        renamed.update(int(names[state]), actions[a], reward, int(names[next_state]), end)
    for state in range(10):
        # To rounding only, as the triples of a row may be added up in another order.
        q = renamed.q_values(int(names[state]))[actions]
        np.testing.assert_allclose(q, plain.q_values(state), rtol=1e-12, atol=1e-12)


@LAW
@given(SEEDS, OPTIONS)
def test_the_order_of_the_data_does_not_matter(seed, options):
    rng = np.random.default_rng(seed)
    data = list(transitions(rng, 40, 3, range(6)))
    forward, shuffled = (vamdp.ValueEstimator(3, **options) for _ in range(2))
    for transition in data:
        forward.update(*transition)
    for i in rng.permutation(len(data)):
        shuffled.update(*data[i])
    assert forward.n_sweeps == shuffled.n_sweeps
    for state in range(6):
        np.testing.assert_allclose(
            forward.q_values(state), shuffled.q_values(state), rtol=1e-9, atol=1e-9
        )


@LAW
@given(SEEDS, OPTIONS)
def test_rewards_times_4_give_values_times_4(seed, options):
    options |= {"tolerance": 0.0}
    plain = vamdp.ValueEstimator(3, **options)
    larger = {name: 4 * options[name] for name in ("bonus", "prior_mean")}
    scaled = vamdp.ValueEstimator(3, **options | larger)
    for state, a, reward, next_state, end, _ in transitions(
        np.random.default_rng(seed), 40, 3, range(10)
    ):
        plain.update(state, a, reward, next_state, end)
        scaled.update(state, a, 4 * reward, next_state, end)
    for state in range(10):
        np.testing.assert_array_equal(scaled.q_values(state), 4 * plain.q_values(state))


# Masks


def test_a_masked_action_is_left_out_of_the_values():
    estimator = vamdp.ValueEstimator(2, task_horizon=9, gamma=0.5, smoothing=0.0)
    estimator.update(1, 0, 2.0, 1, True)
    estimator.update(1, 1, 8.0, 1, True)
    estimator.update(0, 0, 0.0, 1, False)
    assert estimator.value(0) == 4.0
    estimator.update(0, 0, 0.0, 1, False, next_action_mask=[True, False])
    assert estimator.value(1) == 2.0
    assert estimator.value(0) == 1.0
    # The table keeps what was learned of the action, for the day when it is allowed again.
    assert estimator.q_values(1).tolist() == [2.0, 8.0]
    estimator.update(0, 0, 0.0, 1, False, next_action_mask=[True, True])
    assert (estimator.value(0), estimator.value(1)) == (4.0, 8.0)


def test_the_mask_of_a_start_is_told_apart_from_transitions():
    estimator = vamdp.ValueEstimator(2, task_horizon=9, smoothing=0.0, reward_model="state_action")
    estimator.set_action_mask(0, [True, False])
    assert estimator.n_states == 0  # to be told of a state's mask is not to visit it
    estimator.update(0, 0, 1.0, 1, True)
    assert estimator.value(0) == 1.0
    estimator.set_action_mask(0, [False, True])
    estimator.update(0, 0, 1.0, 1, True)
    assert estimator.value(0) == estimator.q_values(0)[1]


def test_the_mask_of_an_end_is_not_read():
    estimator = vamdp.ValueEstimator(2, task_horizon=9)
    estimator.update(0, 0, 1.0, 1, True, next_action_mask=[False, False])
    estimator.update(0, 0, 1.0, 1, False)
    estimator.update(1, 1, 5.0, 0, False)
    assert estimator.value(1) == estimator.q_values(1).max() > 0


def test_the_advantage_of_a_masked_action_reads_as_the_worst_allowed():
    estimator = vamdp.ValueEstimator(4, task_horizon=1, smoothing=0.0)
    for action, reward in enumerate([3.0, -9.0, 7.0, 50.0]):
        estimator.update(0, action, reward, 0, True)
    estimator.set_action_mask(0, [True, False, True, False])
    out = np.full((1, 11), np.nan, np.float32)
    states = np.array([[0.0]])
    estimator.batch.write(states, Scales(values=2.0, counts=4.0), out[:, 1:10])
    assert out[0, 1:10].tolist() == [-2.0, -2.0, 0.0, -2.0, 3.5, 0.25, 0.25, 0.25, 0.25]
    assert np.isnan(out[0, [0, 10]]).all()


# Warm start


def warm_and_cold(**options):
    return (
        vamdp.ValueEstimator(1, gamma=0.5, tolerance=0, smoothing=0.0, warm_start=warm, **options)
        for warm in (True, False)
    )


def test_a_warm_start_goes_on_from_the_tables_before():
    warm, cold = warm_and_cold(task_horizon=1)
    for n in range(1, 5):
        for estimator in (warm, cold):
            estimator.update(0, 0, 1.0, 0, False)
        assert warm.value(0) == 2 - 2.0 ** (1 - n)
        assert cold.value(0) == 1.0


def test_a_warm_start_begins_from_zero_where_a_state_enters():
    warm, cold = warm_and_cold(task_horizon=2)
    for estimator in (warm, cold):
        for _ in range(5):
            estimator.update(0, 0, 1.0, 0, False)
    assert warm.value(0) > cold.value(0)
    for estimator in (warm, cold):
        estimator.update(0, 0, 1.0, 1, False)
    np.testing.assert_array_equal(warm.q_values(0), cold.q_values(0))


# Scale


def test_thirty_thousand_states_take_memory_in_proportion():
    estimator = vamdp.ValueEstimator(1, task_horizon=1)
    sizes = {}
    n = 30_000
    for i in range(0, n, 2):
        estimator.update(i, 0, 1.0, i + 1, False)
        sizes[i + 2] = estimator.nbytes
    assert estimator.n_states == n
    assert estimator.counts(n - 2).tolist() == [1]
    # A table that grew with the square of the states would take 7 GB.
    assert sizes[n] / n < 300
    assert sizes[n] / sizes[n // 8] == pytest.approx(8, rel=0.01)


def test_a_state_that_enters_two_hundred_actions_is_planned_like_any():
    options = {"task_horizon": 10, "gamma": 0.9}
    estimator, rebuild = vamdp.ValueEstimator(200, **options), DenseRebuild(200, **options)
    for transition in transitions(np.random.default_rng(3), 60, 200, range(20), masks=True):
        estimator.update(*transition)
        rebuild.update(*transition)
    agree(estimator, rebuild)


def test_an_exploring_agent_on_13_by_13_needs_64_kilobytes_and_the_sweeps_it_keeps_448():
    rng = np.random.default_rng(0)
    estimator = vamdp.ValueEstimator(5, task_horizon=350)
    position = (6, 6)
    moves = [(0, 0), (-1, 0), (0, 1), (1, 0), (0, -1)]
    for _ in range(350):
        q = estimator.q_values(position) - estimator.counts(position)  # tries what is least tried
        action = int(rng.choice(np.flatnonzero(q == q.max())))
        slip = action if rng.random() < 0.8 else int(rng.integers(1, 5))
        reached = tuple(
            int(np.clip(p + m, 0, 12)) for p, m in zip(position, moves[slip], strict=True)
        )
        estimator.update(position, action, -1.0, reached, False)
        position = reached
    assert estimator.n_states > 60
    kept = estimator.batch.storage.history.nbytes
    assert estimator.nbytes - kept <= 64 * 1024
    assert kept <= 448 * 1024
