import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vamdp.mdp import grid_tasks
from vamdp.mdp.tabular_mdp import TabularMDP

STAY, NORTH, EAST, SOUTH, WEST = range(5)

# Actions and turns: no-op, north, east, south, west; a slip goes to the left or right of the move.
MOVES = [(-1, 0), (0, 1), (1, 0), (0, -1)]
TILE_REWARD = {"W": -2.0, "!": -10.0, "X": -100.0, "G": 100.0}


def dense_twin(rows, slip):
    """The same task from full arrays, written without the library's grids."""
    height, width = len(rows), len(rows[0])
    S = height * width
    P, R, terminal = np.zeros((S, 5, S)), np.zeros((S, 5, S)), np.zeros(S, bool)
    start = 0

    def land(r, c, direction):
        to_r, to_c = r + MOVES[direction][0], c + MOVES[direction][1]
        if 0 <= to_r < height and 0 <= to_c < width and rows[to_r][to_c] != "O":
            return to_r * width + to_c
        return r * width + c

    for r, c in np.ndindex(height, width):
        s = r * width + c
        R[:, :, s] = TILE_REWARD.get(rows[r][c], -1.0)
        terminal[s] = rows[r][c] in "GX"
        start = s if rows[r][c] == "S" else start
        P[s, 0, s] = 1.0
        slips = 1.0 if rows[r][c] == "W" else slip
        for direction in range(4):
            P[s, 1 + direction, land(r, c, direction)] += 1.0 - slips
            P[s, 1 + direction, land(r, c, (direction - 1) % 4)] += slips / 2
            P[s, 1 + direction, land(r, c, (direction + 1) % 4)] += slips / 2
    return TabularMDP.from_dense(P, R, terminal=terminal, start=start), start


LAYOUTS = json.loads((Path(__file__).parents[1] / "golden" / "gridworlds.json").read_text())[
    "grids"
]


@pytest.mark.parametrize("grid", LAYOUTS, ids=lambda grid: f"{grid['variation']} {grid['note']}")
def test_gridworlds_equal_their_reference_values(grid):
    task = TabularMDP.from_grid(grid["rows"], slip=grid["slip"])
    value = task.start_distribution @ task.optimal_values(100)
    assert value == pytest.approx(grid["optimal_100_exact"], abs=1e-6)
    total = task.optimal_return(grid["budget"], grid["budget"])
    assert total == pytest.approx(grid["oracle_total_return"], abs=1e-6)


def dense(task):
    """P (S, A, S') and R (S, A, S') of a task; rows without outcomes are zeros."""
    S, A = task.n_states, task.n_actions
    P, R, ends = np.zeros((S, A, S)), np.zeros((S, A, S)), np.zeros((S, A, S), bool)
    for row in range(S * A):
        outcomes = slice(task.rows[row], task.rows[row + 1])
        assert len(set(task.successor[outcomes])) == task.rows[row + 1] - task.rows[row]
        where = row // A, row % A, task.successor[outcomes]
        P[where], R[where] = task.probability[outcomes], task.reward[outcomes]
        ends[where] = task.ends[outcomes]
    return P, R, ends


@st.composite
def pictures(draw):
    n_rows, n_columns = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    letters = draw(st.lists(st.sampled_from(" SGOW!X"), min_size=25, max_size=25))
    rows = ["".join(letters[r * 5 : r * 5 + n_columns]) for r in range(n_rows)]
    return ["S" + rows[0][1:].replace("S", " ")] + [row.replace("S", " ") for row in rows[1:]]


@settings(max_examples=80, deadline=None)
@given(pictures(), st.sampled_from([0.0, 0.2, 0.5, 1.0]))
def test_a_picture_is_the_task_that_full_arrays_describe(rows, slip):
    task = TabularMDP.from_grid(rows, slip=slip)
    twin, start = dense_twin(rows, slip)
    P, R, ends = dense(task)
    expected_P, expected_R, expected_ends = dense(twin)
    reachable = np.array([letter not in "GXO" for row in rows for letter in row])
    np.testing.assert_allclose(P[reachable], expected_P[reachable], atol=1e-15)
    np.testing.assert_array_equal((R * (P > 0))[reachable], (expected_R * (P > 0))[reachable])
    np.testing.assert_array_equal(ends[reachable], expected_ends[reachable])
    assert not P[~reachable].any()
    np.testing.assert_array_equal(task.start_distribution, np.eye(task.n_states)[start])


def moves(task, state, action):
    """Where an action leads, with which probability."""
    row = state * task.n_actions + action
    outcomes = slice(task.rows[row], task.rows[row + 1])
    return dict(zip(task.successor[outcomes], task.probability[outcomes], strict=True))


def test_a_move_slips_to_its_left_and_right():
    task = TabularMDP.from_grid(["   ", " S ", "   "])  # 0 1 2 / 3 4 5 / 6 7 8
    assert moves(task, 4, STAY) == {4: 1.0}
    assert moves(task, 4, NORTH) == {1: 0.8, 3: 0.1, 5: 0.1}
    assert moves(task, 4, EAST) == {5: 0.8, 1: 0.1, 7: 0.1}
    assert moves(task, 4, SOUTH) == {7: 0.8, 5: 0.1, 3: 0.1}
    assert moves(task, 4, WEST) == {3: 0.8, 7: 0.1, 1: 0.1}


def test_walls_and_obstacles_hold_one_back():
    task = TabularMDP.from_grid(["SO", "  "])  # 0 1 / 2 3
    assert moves(task, 0, NORTH) == {0: 1.0}  # up the wall, left the wall, right the obstacle
    assert moves(task, 0, EAST) == {0: 0.9, 2: 0.1}
    assert moves(task, 0, SOUTH) == {2: 0.8, 0: 0.2}


def test_wet_ground_never_lets_one_go_straight():
    task = TabularMDP.from_grid([" S ", " W ", "   "], slip=0.0)
    assert moves(task, 4, NORTH) == {3: 0.5, 5: 0.5}
    assert moves(task, 4, STAY) == {4: 1.0}  # who does not move does not slip
    assert moves(task, 1, SOUTH) == {4: 1.0}


def test_the_reward_is_that_of_the_tile_reached_and_goals_and_dangers_end():
    task = TabularMDP.from_grid(["W! ", "XSG"], slip=0.0)  # 0 1 2 / 3 4 5
    P, R, ends = dense(task)
    assert R[4, NORTH, 1] == -10.0
    assert R[4, EAST, 5] == 100.0
    assert R[4, WEST, 3] == -100.0
    assert R[1, WEST, 0] == -2.0
    assert R[1, EAST, 2] == R[4, STAY, 4] == R[1, SOUTH, 4] == -1.0
    assert np.argwhere(ends & (P > 0)).tolist() == [
        [0, EAST, 3],  # slipped, on wet ground
        [0, WEST, 3],
        [2, SOUTH, 5],
        [4, EAST, 5],
        [4, WEST, 3],
    ]


def test_episodes_begin_in_any_of_the_start_tiles_alike():
    assert TabularMDP.from_grid(["S S"]).start_distribution.tolist() == [0.5, 0.0, 0.5]


def test_features_are_row_and_column_from_1_and_the_picture_is_kept():
    rows = ("SG", "  ", "OW")
    task = TabularMDP.from_grid(rows)
    assert task.features.tolist() == [[1, 1], [1, 2], [2, 1], [2, 2], [3, 1], [3, 2]]
    assert task.grid == rows


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ("S G", TypeError, "`rows` must be a sequence of strings, one per row, got 'S G'"),
        (None, TypeError, "`rows` must be a sequence of strings, one per row, got None"),
        ({"SG"}, TypeError, "`rows` must be a sequence of strings, one per row, got {'SG'}"),
        (["S", 1], TypeError, "`rows` must be a sequence of strings"),
        ([], ValueError, "`rows` must have at least one tile, got []"),
        ([""], ValueError, "`rows` must have at least one tile, got ['']"),
        (["S ", " "], ValueError, "`rows[1]` must have 2 tiles like the first row, got 1 in ' '"),
        (["S ", " H"], ValueError, "`rows[1][1]` must be one of ' ', 'S', 'G', 'O'"),
        (["  ", " G"], ValueError, '`rows` must have a start tile "S", got none'),
    ],
)
def test_what_is_no_picture_is_named(rows, error, message):
    with pytest.raises(error, match=re.escape(message)):
        TabularMDP.from_grid(rows)


@pytest.mark.parametrize("slip", [-0.1, 1.1, float("nan"), True, None, "0.2"])
def test_a_slip_that_is_no_probability_is_named(slip):
    with pytest.raises(ValueError, match=r"`slip` must be in \[0, 1\], got"):
        TabularMDP.from_grid(["SG"], slip=slip)


def test_coordinates_are_shared_and_cannot_be_changed():
    cells = grid_tasks.coordinates(3, 2)
    assert grid_tasks.coordinates(3, 2) is cells
    with pytest.raises(ValueError, match="read-only"):
        cells[0, 0] = 5.0
