import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vamdp import value_iteration

SEEDS = st.integers(0, 2**32 - 1)
GAMMAS = st.sampled_from([0.0, 0.5, 0.9, 1.0])
LAW = settings(max_examples=40, deadline=None)


def chain(n):
    """States 0 .. n - 1 each lead to the next, the last to a terminal state, where 1 is paid."""
    P = np.zeros((n + 1, 1, n + 1))
    P[np.arange(n), 0, np.arange(1, n + 1)] = 1.0
    R = np.zeros((n + 1, 1))
    R[n - 1] = 1.0
    return P, R, np.arange(n + 1) == n


def random_mdp(seed):
    rng = np.random.default_rng(seed)
    S, A = rng.integers(1, 6), rng.integers(1, 4)
    P = rng.dirichlet(np.full(S, 0.4), (S, A))
    P[P < 0.05] = 0.0  # sparse as well as dense rows
    return P / P.sum(axis=2, keepdims=True), rng.normal(size=(S, A)), rng


# Closed forms


@pytest.mark.parametrize(("reward", "gamma"), [(1.0, 0.5), (-3.0, 0.9), (2.0, 0.99)])
def test_staying_for_ever_is_worth_r_over_1_minus_gamma(reward, gamma):
    result = value_iteration(
        np.ones((1, 1, 1)), [[reward]], gamma=gamma, max_sweeps=10_000, tolerance=1e-9
    )
    # The last sweep moved by less than the tolerance, all later ones by gamma / (1 - gamma) that.
    assert result.V[0] == pytest.approx(reward / (1 - gamma), abs=1e-9 / (1 - gamma))
    assert result.Q[0, 0] == result.V[0]


def test_a_gamble_repeated_until_won_has_its_closed_form():
    # From state 0 one wins 1 and ends with probability p, else tries again: V = p / (1 - g(1-p)).
    p, gamma = 0.3, 0.9
    P = [[[1 - p, p]], [[0.0, 1.0]]]
    R = [[[0.0, 1.0]], [[0.0, 0.0]]]
    result = value_iteration(
        P, R, gamma=gamma, max_sweeps=1000, tolerance=0, terminal=np.array([False, True])
    )
    assert result.V.tolist() == pytest.approx([p / (1 - gamma * (1 - p)), 0.0])


def test_two_states_that_lead_to_each_other_solve_their_two_equations():
    # V0 = 1 + g V1 and V1 = 2 + g V0.
    gamma = 0.8
    result = value_iteration(
        [[[0.0, 1.0]], [[1.0, 0.0]]], [[1.0], [2.0]], gamma=gamma, max_sweeps=2000, tolerance=0
    )
    expected = [(1 + 2 * gamma) / (1 - gamma**2), (2 + gamma) / (1 - gamma**2)]
    np.testing.assert_allclose(result.V, expected, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_after_n_sweeps_an_undiscounted_reward_of_1_has_been_paid_n_times(n):
    result = value_iteration(np.ones((1, 2, 1)), [[1.0, 0.25]], max_sweeps=n, tolerance=0)
    assert result.V[0] == n
    assert result.Q[0].tolist() == [n, n - 0.75]
    assert result.n_sweeps == n


def test_a_reward_at_the_end_of_a_chain_is_discounted_by_its_distance():
    P, R, terminal = chain(6)
    V = value_iteration(P, R, gamma=0.5, max_sweeps=50, tolerance=1e-6, terminal=terminal).V
    np.testing.assert_array_equal(V, [2.0**-5, 2.0**-4, 2.0**-3, 2.0**-2, 0.5, 1.0, 0.0])


def test_a_reward_beyond_the_horizon_is_not_seen():
    P, R, terminal = chain(6)
    V = value_iteration(P, R, max_sweeps=3, terminal=terminal).V
    assert V.tolist() == [0, 0, 0, 1, 1, 1, 0]


# The stopping rule


@pytest.mark.parametrize(
    ("tolerance", "n_sweeps"),
    # Sweep n moves Q by 2^(1 - n): 1, 1/2, 1/4, 1/8. A move that equals the tolerance goes on.
    [(1.1, 1), (1.0, 2), (0.26, 3), (0.25, 4), (0.24, 4), (0.25 + 2e-10, 3)],
)
def test_sweeping_stops_after_the_first_sweep_that_moves_less_than_the_tolerance(
    tolerance, n_sweeps
):
    arguments = {"gamma": 0.5, "max_sweeps": 50, "tolerance": tolerance}
    result = value_iteration(np.ones((1, 1, 1)), [[1.0]], **arguments)
    assert result.n_sweeps == n_sweeps
    assert result.V[0] == 2 - 2.0 ** (1 - n_sweeps)


def test_a_rounding_error_short_of_the_tolerance_does_not_stop_a_sweep():
    # 0.1 + 0.2 moves by a hair more than 0.3 on one side and by 0.3 on another.
    for reward in (0.3, 0.1 + 0.2, np.nextafter(0.3, 0)):
        result = value_iteration(np.ones((1, 1, 1)), [[reward]], max_sweeps=9, tolerance=0.3)
        assert result.n_sweeps == 9


def test_sweeping_goes_on_while_any_single_entry_moves():
    # The news travels one state a sweep: each sweep another entry moves, and no other.
    P, R, terminal = chain(9)
    result = value_iteration(P, R, max_sweeps=100, terminal=terminal)
    assert result.n_sweeps == 9 + 1


def test_an_action_that_is_not_the_best_keeps_the_sweeps_going_too():
    # Two actions, one always better; only the worse one's successor still improves.
    P, R, terminal = chain(5)
    P = np.concatenate([P, np.zeros_like(P)], axis=1)
    P[:, 1] = np.arange(6) == 5
    R = np.concatenate([R, np.full((6, 1), 10.0)], axis=1)
    result = value_iteration(P, R, max_sweeps=100, gamma=0.5, terminal=terminal)
    assert result.V.tolist() == [10.0] * 5 + [0.0]
    assert result.Q[:, 0].tolist() == [5.0, 5.0, 5.0, 5.0, 1.0, 0.0]
    assert result.n_sweeps == 3


def test_a_tolerance_of_0_does_all_the_sweeps():
    result = value_iteration(np.ones((1, 1, 1)), [[0.0]], max_sweeps=17, tolerance=0)
    assert result.n_sweeps == 17


def test_nothing_to_learn_costs_one_sweep():
    assert value_iteration(np.ones((1, 1, 1)), [[0.0]], max_sweeps=17).n_sweeps == 1


# Terminal states


def test_a_terminal_state_is_worth_nothing_and_its_row_is_not_read():
    P = np.array([[[0.0, 1.0]], [[np.nan, 7.0]]])
    result = value_iteration(
        P, [[1.0], [5.0]], max_sweeps=10, terminal=np.array([False, True]), gamma=0.9
    )
    assert result.V.tolist() == [1.0, 0.0]
    assert result.Q.tolist() == [[1.0], [0.0]]


# Laws


@LAW
@given(SEEDS, GAMMAS, st.integers(1, 40), st.sampled_from([0.0, 0.01, 0.3]))
def test_it_equals_dense_sweeps_in_numpy(seed, gamma, max_sweeps, tolerance):
    P, R, rng = random_mdp(seed)
    terminal = rng.random(len(R)) < 0.2
    alive = ~terminal[:, None]
    Q = np.zeros_like(R)
    sweep, moved = 0, np.inf
    while sweep < max_sweeps and not moved < tolerance - 1e-10:
        old, Q = Q, (R + gamma * P @ Q.max(axis=1)) * alive
        sweep, moved = sweep + 1, np.abs(Q - old).max()
    result = value_iteration(
        P, R, gamma=gamma, max_sweeps=max_sweeps, tolerance=tolerance, terminal=terminal
    )
    np.testing.assert_allclose(result.Q, Q, rtol=1e-12, atol=1e-12)
    assert result.n_sweeps == sweep


@LAW
@given(SEEDS, GAMMAS)
def test_the_values_are_the_row_maxima(seed, gamma):
    P, R, _ = random_mdp(seed)
    result = value_iteration(P, R, gamma=gamma, max_sweeps=12)
    np.testing.assert_array_equal(result.V, result.Q.max(axis=1))


@LAW
@given(SEEDS, GAMMAS, st.integers(1, 20))
def test_a_sweep_contracts_by_gamma(seed, gamma, n):
    P, R, _ = random_mdp(seed)
    before, now, after = (
        value_iteration(P, R, gamma=gamma, max_sweeps=n + i, tolerance=0).Q for i in range(3)
    )
    assert np.abs(after - now).max() <= gamma * np.abs(now - before).max() + 1e-12


@LAW
@given(SEEDS, GAMMAS, st.sampled_from([0.25, 2.0, 1024.0]))
def test_rewards_times_c_give_values_times_c(seed, gamma, c):
    P, R, _ = random_mdp(seed)
    arguments = {"gamma": gamma, "max_sweeps": 15, "tolerance": 0}
    scaled = value_iteration(P, c * R, **arguments).Q
    np.testing.assert_array_equal(scaled, c * value_iteration(P, R, **arguments).Q)


@LAW
@given(SEEDS, st.sampled_from([0.0, 0.5, 0.9]), st.floats(-5, 5))
def test_a_bonus_each_step_adds_its_geometric_series(seed, gamma, bonus):
    P, R, _ = random_mdp(seed)
    arguments = {"gamma": gamma, "max_sweeps": 15, "tolerance": 0}
    raised = value_iteration(P, R + bonus, **arguments).Q
    series = bonus * (1 - gamma**15) / (1 - gamma)
    np.testing.assert_allclose(raised, value_iteration(P, R, **arguments).Q + series, atol=1e-9)


@LAW
@given(SEEDS, GAMMAS)
def test_relabelling_states_and_actions_permutes_the_values(seed, gamma):
    P, R, rng = random_mdp(seed)
    states, actions = rng.permutation(R.shape[0]), rng.permutation(R.shape[1])
    result = value_iteration(P, R, gamma=gamma, max_sweeps=20, tolerance=0)
    permuted = value_iteration(
        P[states][:, actions][:, :, states],
        R[states][:, actions],
        gamma=gamma,
        max_sweeps=20,
        tolerance=0,
    )
    np.testing.assert_allclose(permuted.Q, result.Q[states][:, actions], rtol=1e-12, atol=1e-12)


@LAW
@given(SEEDS)
def test_rewards_of_transitions_count_by_their_expectation(seed):
    P, _, rng = random_mdp(seed)
    R = rng.normal(size=P.shape)
    expected = value_iteration(P, (P * R).sum(axis=2), max_sweeps=10)
    np.testing.assert_allclose(value_iteration(P, R, max_sweeps=10).Q, expected.Q, atol=1e-12)


def test_the_arguments_are_left_as_they_were():
    P, R, terminal = chain(3)
    copies = P.copy(), R.copy(), terminal.copy()
    value_iteration(P, R, max_sweeps=5, terminal=terminal)
    for array, copy in zip((P, R, terminal), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


# Errors

GOOD_P = np.full((2, 3, 2), 0.5)
GOOD_R = np.zeros((2, 3))


def with_entry(array, index, value):
    changed = array.copy()
    changed[index] = value
    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"P": np.zeros((2, 2))}, r"`P` must have shape \(S, A, S\), got \(2, 2\)"),
        ({"P": np.zeros((2, 3, 4))}, r"`P` must have shape \(S, A, S\), got \(2, 3, 4\)"),
        ({"P": np.zeros((0, 3, 0))}, r"`P` must have shape \(S, A, S\), got \(0, 3, 0\)"),
        ({"R": np.zeros((3, 2))}, r"`R` must have shape \(2, 3\) or \(2, 3, 2\).*got \(3, 2\)"),
        ({"P": with_entry(GOOD_P, (1, 2, 0), 0.47)}, r"`P\[1, 2\]` sums to 0.97; .*`terminal`"),
        (
            {"P": with_entry(GOOD_P, (1, 2), [-0.5, 1.5])},
            r"`P\[1, 2, 0\]` must be a probability in \[0, 1\], got -0.5",
        ),
        ({"P": with_entry(GOOD_P, (0, 1, 1), np.nan)}, r"`P\[0, 1, 1\]` must be .* got nan"),
        ({"R": with_entry(GOOD_R, (1, 0), np.inf)}, r"`R\[1, 0\]` must be finite, got inf"),
        (
            {"R": with_entry(np.zeros((2, 3, 2)), (1, 0, 1), np.nan)},
            r"`R\[1, 0, 1\]` must be finite, got nan",
        ),
        ({"terminal": [0, 1]}, r"`terminal` must be a bool array of shape \(2,\), got int64"),
        ({"terminal": [True]}, r"`terminal` must be .* got bool of shape \(1,\)"),
        ({"gamma": 1.2}, r"`gamma` must be in \[0, 1\], got 1.2"),
        ({"gamma": np.nan}, r"`gamma` must be in \[0, 1\], got nan"),
        ({"tolerance": -0.1}, r"`tolerance` must be at least 0, got -0.1"),
        ({"tolerance": np.nan}, r"`tolerance` must be at least 0, got nan"),
        ({"max_sweeps": 0}, r"`max_sweeps` must be an integer of at least 1, got 0"),
        ({"max_sweeps": 3.0}, r"`max_sweeps` must be an integer of at least 1, got 3.0"),
        ({"max_sweeps": 2.5}, r"`max_sweeps` must be an integer of at least 1, got 2.5"),
        ({"max_sweeps": np.nan}, r"`max_sweeps` must be an integer of at least 1, got nan"),
        ({"max_sweeps": np.inf}, r"`max_sweeps` must be an integer of at least 1, got inf"),
    ],
)
def test_an_error_names_the_argument_and_the_entry(change, message):
    arguments = {"P": GOOD_P, "R": GOOD_R, "max_sweeps": 5} | change
    P, R = arguments.pop("P"), arguments.pop("R")
    with pytest.raises(ValueError, match=message):
        value_iteration(P, R, **arguments)
