"""Plans on maps: exact ones with the goal known, and the search for it in cases done by hand."""

import numpy as np
import pytest

from vamdp.baselines.grids import planning
from vamdp.baselines.grids.planning import N_ACTIONS, exploit, moves, search
from vamdp.domains.grids.generator import DANGER, GOAL, OBSTACLE, WET
from vamdp.domains.gridworlds import GridWorlds
from vamdp.mdp.grid_tasks import GRID_WORLD, read_tiles

STAY, NORTH, EAST, SOUTH, WEST = range(5)


def with_frame(square, value):
    return np.pad(square, 1, constant_values=value).ravel()


def known_map(rows, slip):
    """blocked, danger, goal, pay, slips of a picture."""
    tiles = read_tiles(rows, GRID_WORLD)
    return (
        with_frame(tiles == OBSTACLE, True).astype(float),
        with_frame(tiles == DANGER, False).astype(float),
        with_frame(tiles == GOAL, False).astype(float),
        with_frame(GRID_WORLD.rewards[tiles], 0.0),
        with_frame(np.where(tiles == WET, 1.0, slip), 0.0),
    )


def return_of(plan, task, n_steps):
    """What a plan earns in so many steps from the start, restarts included."""
    S, A = task.n_states, task.n_actions
    start = int(task.successor[task.rows[S * A]])
    W = np.zeros(S)
    for n in range(n_steps):
        new = np.zeros(S)
        for s in range(S):
            row = s * A + int(plan[n, s])
            for k in range(task.rows[row], task.rows[row + 1]):
                after = W[start] if task.ends[k] else W[task.successor[k]]
                new[s] += task.probability[k] * (task.reward[k] + after)
        W = new
    return W[start]


def best_actions(landing, blocked, slips, width):
    """The best action in each cell of the grid, without the frame; 0 where no move is possible."""
    best = np.zeros(landing.size, np.int8)
    for cell in np.flatnonzero(blocked < 1.0):
        best[cell] = moves(cell, width, slips[cell], blocked, landing, np.empty(N_ACTIONS))
    return best.reshape(width, width)[1:-1, 1:-1]


@pytest.mark.parametrize("variation", [None, "deterministic", "dangerous", "watery"])
def test_with_the_map_known_the_plan_is_worth_the_optimum(variation):
    distribution, n = GridWorlds(11, variation), 60
    task = distribution(np.random.default_rng(3))
    landing, hoped = np.zeros((n, 169)), np.zeros(169)
    *world, slips = known_map(task.grid, distribution.slip)
    exploit(n, 6 * 13 + 6, 13, *world, slips, hoped, landing)
    plan = np.array([best_actions(each, hoped, slips, 13).ravel() for each in landing])
    for m in (15, n):
        assert return_of(plan, task, m) == pytest.approx(task.optimal_return(m, m))


def plan_search(rows, goals, *, slip=0.0, opportunity_cost=5.0, chance=None):
    """The actions of a search, as a square; goals: the cells where it may be."""
    size = len(rows)
    blocked, danger, _, pay, slips = known_map(rows, slip)
    goal = np.zeros((size, size))
    for i, place in enumerate(goals):
        goal[place] = 1 / len(goals) if chance is None else chance[i]
    width = size + 2
    landing = np.zeros(width**2)
    start = (size // 2 + 1) * width + size // 2 + 1
    goal = with_frame(goal, 0.0)
    search(start, width, opportunity_cost, blocked, danger, goal, pay, slips, landing)
    return best_actions(landing, blocked, slips, width)


OPEN = ["       ", "       ", "       ", "   S   ", "       ", "       ", "       "]


def test_it_goes_straight_to_the_only_place_left():
    plan = plan_search(OPEN, [(3, 6)])
    assert plan[3, :6].tolist() == [EAST] * 6
    assert plan[0, 6] == plan[2, 6] == SOUTH


def test_it_goes_to_the_nearest_of_places_that_are_alike():
    plan = plan_search(OPEN, [(3, 5), (0, 0)])
    assert plan[3, 3] == EAST
    assert plan[0, 1] == WEST


def test_it_looks_first_where_the_goal_is_likelier():
    assert plan_search(OPEN, [(3, 5), (3, 1)], chance=[0.2, 0.8])[3, 3] == WEST
    assert plan_search(OPEN, [(3, 5), (3, 1)], chance=[0.8, 0.2])[3, 3] == EAST


def test_it_looks_first_where_there_are_more_places():
    # Two to the west and one to the east, all as likely: the two are looked through at once.
    plan = plan_search(OPEN, [(3, 5), (3, 1), (3, 0)])
    assert plan[3, 3] == WEST


def test_a_way_round_warnings_is_taken_where_time_is_cheap():
    rows = ["       ", "       ", "       ", "   S!  ", "       ", "       ", "       "]
    assert plan_search(rows, [(3, 5)], opportunity_cost=50.0)[3, 3] == EAST
    assert plan_search(rows, [(3, 5)], opportunity_cost=1.0)[3, 3] in (NORTH, SOUTH)


def test_it_does_not_walk_into_a_danger():
    rows = ["       ", "       ", "    !  ", "   SX! ", "    !  ", "       ", "       "]
    plan = plan_search(rows, [(3, 6)], slip=0.2)
    assert plan[3, 3] not in (EAST, STAY)
    assert plan[2, 4] != SOUTH
    assert plan[4, 4] != NORTH


def test_distances_in_an_open_grid_are_those_of_a_taxi():
    size, width = 7, 9
    entry = with_frame(np.ones((size, size)), planning._FAR)
    distance = np.empty(width**2)
    planning._spread(3 * width + 2, width, entry, distance)
    r, c = np.indices((size, size))
    expected = abs(r - 2) + abs(c - 1)
    np.testing.assert_array_equal(distance.reshape(width, width)[1:-1, 1:-1], expected)


def test_the_mean_time_of_a_tour_by_hand():
    # Places at 0, 1, 3 and 7 of a line, alike. From 0: after 1, 3 and 7 steps. From 3: 1 is two
    # steps away, 0 three, 7 ten.
    places, chance = np.array([0, 1, 3, 7]), np.full(4, 0.25)
    distance = np.abs(places[:, None] - np.arange(8)[None]).astype(float)
    waits = np.empty(4)
    planning._tours(places, chance, distance, waits)
    assert waits[0] == pytest.approx((1 + 3 + 7) / 4)
    assert waits[2] == pytest.approx((2 + 3 + 10) / 4)


def test_a_tour_goes_first_where_it_is_near_for_its_chance():
    # From 3 of a line: 2 is one step away with chance 1/100, 5 two steps with chance 64/100.
    # Distance over the root of the chance: 10 and 2.5. So 5 first, after 2 steps, then 2, after 5.
    places, chance = np.array([2, 3, 5]), np.array([0.01, 0.35, 0.64])
    distance = np.abs(places[:, None] - np.arange(6)[None]).astype(float)
    waits = np.empty(3)
    planning._tours(places, chance, distance, waits)
    assert waits[1] == pytest.approx(0.64 * 2 + 0.01 * 5)


def test_entering_takes_longer_where_it_slips_costs_or_may_be_blocked():
    blocked, danger = np.array([0.0, 0.0, 0.5, 1.0, 0.0]), np.array([0.0, 0.0, 0.0, 0.0, 0.5])
    pay, slips = np.array([-1.0, -10.0, -1.0, -1.0, -10.0]), np.array([0.0, 0.2, 0.0, 0.0, 0.0])
    entry = np.empty(5)
    planning._entries(6.0, blocked, danger, pay, slips, entry)
    # One step; 9/6 more; half a try more; never; -55 in the mean, 54/6 more.
    by_hand = [1.0, 1 / 0.9 + 1.5, 1.5, planning._FAR, 1.0 + 9.0]
    assert entry == pytest.approx(by_hand)


def test_compiled_code_equals_plain_python():
    rows = ["  O    ", " !X!  G", "  !    ", "O  S   ", "  WW   ", "    O  ", "       "]
    blocked, danger, goal, pay, slips = known_map(rows, 0.2)
    blocked[np.random.default_rng(0).random(81) < 0.3] += 0.4
    blocked = np.minimum(blocked, 1.0)
    world = (blocked, danger, goal, pay, slips)
    plans, hoped = np.zeros((2, 12, 81)), np.zeros((2, 81))
    for i, function in enumerate((exploit, exploit.py_func)):
        function(12, 40, 9, *world, hoped[i], plans[i])
    np.testing.assert_allclose(*plans, rtol=1e-12)
    np.testing.assert_allclose(*hoped, rtol=1e-12)
    goal = with_frame(np.random.default_rng(1).random((7, 7)) ** 4, 0.0)
    pay = np.minimum(pay, -1.0)  # no tile is known to be the goal then
    plans = np.zeros((2, 81))
    for each, function in zip(plans, (search, search.py_func), strict=True):
        function(40, 9, 5.0, blocked, danger, goal / goal.sum(), pay, slips, each)
    np.testing.assert_allclose(*plans, rtol=1e-12)
    assert len(np.unique(best_actions(plans[0], blocked, slips, 9))) >= 4
