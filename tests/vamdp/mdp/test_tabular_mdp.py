import re

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vamdp.mdp.tabular_mdp import TabularMDP
from vamdp.mdp.value_iteration import value_iteration

TAXI = "Taxi-v4" if "Taxi-v4" in gymnasium.registry else "Taxi-v3"

P = np.zeros((3, 2, 3))
P[0, 0] = [0.5, 0.5, 0.0]
P[0, 1] = [0.0, 0.25, 0.75]
P[1, 0] = [1.0, 0.0, 0.0]
P[1, 1] = [0.0, 0.0, 1.0]
P[2] = [0.0, 0.0, 1.0]
R = np.arange(18.0).reshape(3, 2, 3)
TERMINAL = [False, False, True]


def with_entry(array, index, value):
    changed = np.array(array, dtype=float)
    changed[index] = value
    return changed


def outcomes(task, s, a):
    row = s * task.n_actions + a
    return [
        (
            int(task.successor[k]),
            float(task.probability[k]),
            float(task.reward[k]),
            bool(task.ends[k]),
        )
        for k in range(task.rows[row], task.rows[row + 1])
    ]


def test_outcomes_are_the_possible_moves_in_order():
    task = TabularMDP.from_dense(P, R, terminal=TERMINAL)
    assert outcomes(task, 0, 0) == [(0, 0.5, 0.0, False), (1, 0.5, 1.0, False)]
    assert outcomes(task, 0, 1) == [(1, 0.25, 4.0, False), (2, 0.75, 5.0, True)]
    assert outcomes(task, 1, 1) == [(2, 1.0, 11.0, True)]


def test_terminal_states_have_no_outcomes():
    task = TabularMDP.from_dense(P, R, terminal=TERMINAL)
    assert outcomes(task, 2, 0) == outcomes(task, 2, 1) == []


def test_rows_of_terminal_states_need_be_no_distribution():
    task = TabularMDP.from_dense(with_entry(P, 2, 0.0), R, terminal=TERMINAL)
    assert task.optimal_values(5)[2] == 0.0


@pytest.mark.parametrize("mark", [np.nan, -np.inf])
def test_rewards_that_nobody_is_paid_may_be_marked(mark):
    expected = TabularMDP.from_dense(P, R, terminal=TERMINAL).optimal_values(9)
    terminal = np.array(TERMINAL)[:, None, None]
    unused = (P == 0) | terminal
    assert (unused & ~terminal).any()
    for marked_R in (np.where(unused, mark, R), with_entry(R, 2, mark)):
        for marked_P in (P, with_entry(P, 2, np.nan)):
            task = TabularMDP.from_dense(marked_P, marked_R, terminal=TERMINAL)
            np.testing.assert_array_equal(task.optimal_values(9), expected)
            V = value_iteration(marked_P, marked_R, max_sweeps=9, terminal=TERMINAL, tolerance=0).V
            np.testing.assert_allclose(V, expected)
    pairs = R.mean(axis=2)
    of_pairs = TabularMDP.from_dense(P, with_entry(pairs, 2, mark), terminal=TERMINAL)
    plain = TabularMDP.from_dense(P, pairs, terminal=TERMINAL)
    np.testing.assert_array_equal(of_pairs.optimal_values(9), plain.optimal_values(9))


def test_rewards_of_actions_hold_for_every_successor():
    task = TabularMDP.from_dense(P, R[:, :, 0], terminal=TERMINAL)
    assert [reward for _, _, reward, _ in outcomes(task, 0, 1)] == [3.0, 3.0]


def test_single_transitions_can_end_without_a_terminal_state():
    ending = np.zeros((3, 2, 3), bool)
    ending[0, 1, 2] = True
    task = TabularMDP.from_dense(P, R, terminal=ending)
    assert outcomes(task, 0, 1)[1][3]
    assert not outcomes(task, 1, 1)[0][3]
    assert outcomes(task, 2, 0) == [(2, 1.0, 14.0, False)]


@pytest.mark.parametrize("start", [1, np.int64(1), np.array(1), [0.0, 1.0, 0.0]])
def test_start_is_an_index_or_a_distribution(start):
    task = TabularMDP.from_dense(P, R, start=start)
    np.testing.assert_array_equal(task.start_distribution, [0.0, 1.0, 0.0])


def test_episodes_start_in_state_0_if_nothing_is_said():
    np.testing.assert_array_equal(TabularMDP.from_dense(P, R).start_distribution, [1, 0, 0])


def test_later_changes_of_the_given_arrays_do_not_reach_the_task():
    given_P, given_R, features = P.copy(), R.copy(), np.ones((3, 2))
    task = TabularMDP.from_dense(given_P, given_R, features=features)
    given_P[:], given_R[:], features[:] = 0.0, -1.0, 7.0
    assert outcomes(task, 1, 0) == [(0, 1.0, 6.0, False)]
    np.testing.assert_array_equal(task.features, np.ones((3, 2)))


def test_a_task_cannot_be_built_or_changed_unchecked_by_accident():
    with pytest.raises(TypeError, match="Build a TabularMDP with from_dense"):
        TabularMDP(n_states=3)
    with pytest.raises(AttributeError):
        TabularMDP.from_dense(P, R).n_states = 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(P=with_entry(P, (0, 1, 2), 0.72)), "`P[0, 1]` sums to 0.97"),
        (dict(P=with_entry(P, (0, 1, 2), 0.750002)), "`P[0, 1]` sums to 1.000002;"),
        (dict(P=with_entry(P, (0, 1, 2), -0.75)), "`P[0, 1, 2]` must be a probability in [0, 1]"),
        (dict(P=with_entry(P, (1, 0, 0), np.nan)), "`P[1, 0, 0]` must be a probability in [0, 1]"),
        (dict(P=with_entry(P, (1, 0, 0), np.inf)), "`P[1, 0, 0]` must be a probability in [0, 1]"),
        (dict(P=with_entry(P, 2, 0.0), terminal=None), "`P[2, 0]` sums to 0"),
        (dict(P=P[:, :, :2]), "`P` must have shape (S, A, S"),
        (dict(P=P[0]), "`P` must have shape (S, A, S"),
        (dict(P=np.zeros((3, 0, 3))), "`P` must have shape (S, A, S"),
        (dict(R=R[:2]), "`R` must have shape (3, 2) or (3, 2, 3)"),
        (dict(R=with_entry(R, (1, 0, 0), np.nan)), "`R[1, 0, 0]` must be finite"),
        (dict(R=with_entry(R[:, :, 0], (1, 0), -np.inf)), "`R[1, 0]` must be finite"),
        (dict(terminal=[True, False]), "`terminal` must be"),
        (dict(terminal=[0, 0, 1]), "`terminal` must be"),
        (dict(terminal=np.zeros((3, 2, 2), bool)), "`terminal` must be bool of shape"),
        (dict(terminal=np.zeros((3, 2, 3), int)), "`terminal` must be bool of shape"),
        (dict(start=3), "`start` must be a state in [0, 2], got 3"),
        (dict(start=-1), "`start` must be a state in [0, 2], got -1"),
        (dict(start=2), "`start` must not be terminal, got state 2"),
        (dict(start=[0.5, 0.25, 0.25]), "`start` must not be terminal, got state 2"),
        (dict(start=[0.5, 0.4, 0.0]), "`start` sums to 0.9"),
        (dict(start=[0.5, 0.499998, 0.0]), "`start` sums to 0.999998;"),
        (dict(start=[1.5, -0.5, 0.0]), "`start[1]` must be a probability in [0, 1], got -0.5"),
        (dict(start=[np.nan, 1.0, 0.0]), "`start[0]` must be a probability in [0, 1], got nan"),
        (dict(start=[0.5, 0.5]), "`start` must be a state's index or have shape (3,)"),
        (dict(start=1.0), "`start` must be a state's index or have shape (3,)"),
        (dict(reward_noise="gauss"), "`reward_noise` must be None"),
        (dict(reward_noise=True), "`reward_noise` must be None"),
        (dict(reward_noise=np.array([1.0, 2.0])), "`reward_noise` must be None"),
        (dict(reward_noise=-1.0), "`reward_noise` must be in [0, inf), got -1.0"),
        (dict(reward_noise=np.nan), "`reward_noise` must be in [0, inf), got nan"),
        (dict(reward_noise=np.inf), "`reward_noise` must be in [0, inf), got inf"),
        (dict(features=np.ones((2, 2))), "`features` must have shape (3, d), got (2, 2)"),
        (dict(features=np.ones(3)), "`features` must have shape (3, d), got (3,)"),
        (dict(features=[[0.0], [np.inf], [0.0]]), "`features[1, 0]` must be finite, got inf"),
    ],
)
def test_malformed_input_is_refused_with_its_place(arguments, message):
    arguments = {"P": P, "R": R, "terminal": TERMINAL, **arguments}
    with pytest.raises(ValueError, match=re.escape(message)):
        TabularMDP.from_dense(arguments.pop("P"), arguments.pop("R"), **arguments)


def test_probabilities_normalised_in_float32_are_accepted():
    rng = np.random.default_rng(0)
    dense = rng.random((20, 3, 20), dtype=np.float32)
    TabularMDP.from_dense(dense / dense.sum(axis=2, keepdims=True), np.zeros((20, 3)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_move_of_a_random_task_is_kept(seed):
    rng = np.random.default_rng(seed)
    S, A = rng.integers(1, 6), rng.integers(1, 4)
    dense = rng.dirichlet(np.ones(S), (S, A)) * (rng.random((S, A, S)) < 0.5)
    dense[:, :, rng.integers(S)] += 0.1
    dense /= dense.sum(axis=2, keepdims=True)
    task = TabularMDP.from_dense(dense, np.zeros((S, A)))
    rebuilt = np.zeros((S, A, S))
    for s, a in np.ndindex(S, A):
        for s_next, probability, _, _ in outcomes(task, s, a):
            rebuilt[s, a, s_next] += probability
    np.testing.assert_array_equal(rebuilt, dense)


class Table(gymnasium.Env):
    """Two states and one action, as toy-text environments tell of them."""

    observation_space = gymnasium.spaces.Discrete(2)
    action_space = gymnasium.spaces.Discrete(1)
    initial_state_distrib = np.array([1.0, 0.0])

    def __init__(self, *moves):
        self.P = {0: {0: list(moves)}, 1: {0: [(1.0, 1, 0.0, True)]}}


def test_a_deterministic_frozen_lake_pays_1_after_six_moves():
    env = gymnasium.make("FrozenLake-v1", is_slippery=False)
    task = TabularMDP.from_gymnasium(env)
    assert task.optimal_values(5)[0] == 0.0
    assert task.optimal_values(6)[0] == 1.0
    assert task.optimal_return(60, 100) == 10.0


def test_holes_and_goal_of_frozen_lake_are_terminal_states():
    task = TabularMDP.from_gymnasium(gymnasium.make("FrozenLake-v1"))
    terminal = [s for s in range(16) if not outcomes(task, s, 0)]
    assert terminal == [5, 7, 11, 12, 15]


def test_the_cliff_costs_13_steps():
    task = TabularMDP.from_gymnasium(gymnasium.make("CliffWalking-v1"))
    assert task.start_distribution[36] == 1.0
    assert task.optimal_values(100)[36] == -13.0
    assert task.optimal_values(100)[47] == 0.0


def test_a_state_that_taxi_enters_both_ways_keeps_its_moves():
    env = gymnasium.make(TAXI)
    task = TabularMDP.from_gymnasium(env)
    # 16: in the corner with the passenger aboard, who wants to get off here (action 5) for 20.
    assert outcomes(task, 16, 5) == [(0, 1.0, 20.0, True)]
    assert len(outcomes(task, 0, 0)) == 1
    np.testing.assert_array_equal(task.start_distribution, env.unwrapped.initial_state_distrib)
    assert task.optimal_values(1)[16] == 20.0


def test_a_start_into_which_every_move_ends_is_no_terminal_state():
    task = TabularMDP.from_gymnasium(Table((1.0, 0, 3.0, True)))
    assert outcomes(task, 0, 0) == [(0, 1.0, 3.0, True)]
    assert task.optimal_return(4, 10) == 12.0


def test_outcomes_listed_twice_add_up():
    task = TabularMDP.from_gymnasium(Table((0.25, 0, 1.0, False), (0.75, 0, 1.0, False)))
    assert outcomes(task, 0, 0) == [(0, 1.0, 1.0, False)]


@pytest.mark.parametrize("other", [(0.5, 1, 2.0, True), (0.5, 1, 1.0, False)])
def test_two_kinds_of_one_move_are_two_outcomes(other):
    task = TabularMDP.from_gymnasium(Table((0.5, 1, 1.0, True), other))
    assert outcomes(task, 0, 0) == [(1, 0.5, 1.0, True), (1, 0.5, *other[2:])]


def test_a_slippery_cliff_is_worth_what_its_table_says():
    env = gymnasium.make("CliffWalking-v1", is_slippery=True)
    V, table = np.zeros(48), env.unwrapped.P
    for _ in range(30):  # the table itself, without ours
        V = np.array(
            [
                max(
                    sum(p * (r + (0.0 if end else V[to])) for p, to, r, end in table[s][a])
                    for a in range(4)
                )
                for s in range(48)
            ]
        )
    task = TabularMDP.from_gymnasium(env)
    rewards = {reward for to, _, reward, _ in outcomes(task, 36, 2) if to == 36}
    assert rewards == {-100.0, -1.0}
    states = np.arange(47)  # 47 is the goal
    np.testing.assert_allclose(task.optimal_values(30)[states], V[states], rtol=1e-12)


def test_outcomes_that_cannot_happen_are_left_out_whatever_they_say():
    task = TabularMDP.from_gymnasium(Table((1.0, 0, 1.0, False), (0.0, 1, np.nan, True)))
    assert outcomes(task, 0, 0) == [(0, 1.0, 1.0, False)]


@pytest.mark.parametrize(
    ("move", "message"),
    [
        ((1.0, 2, 0.0, True), r"P\[0\]\[0\]` must lead to states in \[0, 1\], got 2"),
        ((0.9, 0, 0.0, False), r"P\[0\]\[0\]` sums to 0.9; every list"),
        ((1.000002, 0, 0.0, False), r"probabilities in \[0, 1\], got 1.000002"),
        ((1.0, 0, np.nan, False), r"P\[0\]\[0\]` must have finite rewards, got nan"),
        ((np.nan, 0, 0.0, False), r"P\[0\]\[0\]` must have probabilities in \[0, 1\], got nan"),
    ],
)
def test_malformed_tables_are_refused(move, message):
    with pytest.raises(ValueError, match=message):
        TabularMDP.from_gymnasium(Table(move))


def test_environments_that_do_something_else_than_their_table_are_refused():
    with pytest.raises(ValueError, match="fickle_passenger=True"):
        TabularMDP.from_gymnasium(gymnasium.make(TAXI, fickle_passenger=True))
    lake = gymnasium.make("FrozenLake-v1")
    doubled = gymnasium.wrappers.TransformReward(lake, lambda reward: 2 * reward)
    for changed in (doubled, gymnasium.wrappers.TimeLimit(doubled, 5)):
        with pytest.raises(ValueError, match=r"TransformReward around it .* Pass env.unwrapped"):
            TabularMDP.from_gymnasium(changed)
    w = gymnasium.wrappers
    others = [w.NormalizeReward(lake)]
    others += [w.RepeatAction(lake, 2)] if hasattr(w, "RepeatAction") else []
    for changed in others:
        with pytest.raises(ValueError, match=f"{type(changed).__name__} around it"):
            TabularMDP.from_gymnasium(changed)
    limited = gymnasium.wrappers.TimeLimit(gymnasium.wrappers.RecordEpisodeStatistics(lake), 5)
    assert TabularMDP.from_gymnasium(limited).n_states == 16


def test_blackjack_has_no_table():
    with pytest.raises(TypeError, match="must have a transition table"):
        TabularMDP.from_gymnasium(gymnasium.make("Blackjack-v1"))
