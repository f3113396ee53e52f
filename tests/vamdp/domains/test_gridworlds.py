import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from vamdp.domains import GridWorlds
from vamdp.domains.grids.generator import (
    OBSTACLE,
    _draw_strips,
    best_return,
    draw_accepted,
    draw_grid,
)
from vamdp.domains.gridworlds import VARIATIONS
from vamdp.mdp.grid_tasks import GRID_WORLD, task_arrays
from vamdp.mdp.tabular_mdp import TabularMDP

N_TASKS = 150
ALL = [(size, variation) for size in (11, 13) for variation in (None, *VARIATIONS)]


def draw(size, variation, n=N_TASKS, seed=0):
    rng = np.random.default_rng(seed)
    distribution = GridWorlds(size, variation)
    return [distribution(rng) for _ in range(n)]


def cells(grid, letter):
    return np.argwhere(np.array([list(row) for row in grid]) == letter)


def around(cell):
    return cell + np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])


@pytest.mark.parametrize(("size", "variation"), ALL)
def test_every_grid_follows_the_rules(size, variation):
    n_dangers = 4 if variation == "dangerous" else 2
    middle = np.array([size // 2, size // 2])
    for task in draw(size, variation):
        grid = task.grid
        assert [len(row) for row in grid] == [size] * size
        np.testing.assert_array_equal(cells(grid, "S"), [middle])
        (goal,) = cells(grid, "G")
        distance = abs(goal - middle).sum()
        assert distance >= (size - 1 if variation == "corner" else 8)
        dangers = cells(grid, "X")
        assert len(dangers) == n_dangers
        warned = {tuple(cell) for danger in dangers for cell in around(danger)}
        assert {tuple(cell) for cell in cells(grid, "!")} == warned
        assert len(cells(grid, "O")) <= 11 * (4 if variation == "dense" else 3)
        assert len(cells(grid, "W")) <= 2 * (8 if variation == "watery" else 5)


@pytest.mark.parametrize(("size", "variation"), ALL)
def test_every_grid_is_worth_50_to_100_within_100_steps(size, variation):
    worth = [
        task.start_distribution @ task.optimal_values(100) for task in draw(size, variation, 30)
    ]
    assert 50 <= min(worth) and max(worth) <= 100
    assert max(worth) > 80


def test_a_grid_drawn_alone_is_sometimes_worth_less_and_then_rejected():
    rng = np.random.default_rng(1)
    keys, tiles = rng.integers(2**63, size=1, dtype=np.uint64), np.empty((11, 11), np.int8)
    worth, complete = [], []
    for _ in range(300):
        complete.append(draw_grid(keys, 11, 3, 5, 2, 2, 8, tiles))
        worth.append(best_return(tiles, 0.2, 100))
    worth = np.array(worth)
    assert all(complete)
    rejected = (worth < 50) | (worth > 100)
    assert 0 < rejected.mean() < 0.2
    n_drawn = sum(draw_accepted(keys, 11, 3, 5, 2, 2, 8, 0.2, tiles) for _ in range(300))
    # 300 accepted ones take 300 / (1 - p) draws; five standard deviations of that.
    p = rejected.mean()
    assert n_drawn / 300 == pytest.approx(1 / (1 - p), abs=5 * 2 * (p / 300) ** 0.5)


@pytest.mark.parametrize("slip", [0.0, 0.2, 0.6, 1.0])
@pytest.mark.parametrize("horizon", [1, 7, 100])
def test_the_return_that_grids_are_accepted_by_is_the_oracles(slip, horizon):
    keys, tiles = np.array([5], np.uint64), np.empty((13, 13), np.int8)
    for _ in range(40):
        draw_grid(keys, 11, 4, 8, 2, 4, 8, tiles)
        task = TabularMDP.trusted(**task_arrays(tiles, GRID_WORLD, slip))
        exact = task.start_distribution @ task.optimal_values(horizon)
        assert best_return(tiles, slip, horizon) == pytest.approx(exact, abs=1e-9)


# How many of the strips that begin once in each cell of a line cover each cell, by hand: in a line
# of 5 those of length 3 are 0-2, 1-3, half of them 2-0 and half 2-4, 3-1, 4-2.
COVERED = [
    (5, 2, [1.0, 2.5, 3.0, 2.5, 1.0]),
    (5, 3, [1.5, 3.5, 5.0, 3.5, 1.5]),
    (7, 4, [1.5, 3.5, 5.5, 7.0, 5.5, 3.5, 1.5]),
]


@pytest.mark.parametrize(("size", "length", "covered"), COVERED)
def test_strips_grow_toward_the_middle_of_their_line(size, length, covered):
    n = 40_000
    keys, tiles = np.array([9], np.uint64), np.empty((size, size), np.int8)
    counts = np.zeros((size, size))
    for _ in range(n):
        tiles[:] = 0
        _draw_strips(keys, 1, length, OBSTACLE, tiles)
        counts += tiles == OBSTACLE
    along = np.array(covered) / size**2  # the first cell is uniform on the line, the line too
    expected = 0.5 * (along[:, None] + along[None, :])  # horizontal or vertical
    np.testing.assert_allclose(counts / n, expected, atol=4.5 * (expected.max() / n) ** 0.5)
    assert counts.sum() == n * length


def test_goals_are_uniform_among_the_cells_far_enough():
    keys, tiles = np.array([3], np.uint64), np.empty((11, 11), np.int8)
    rows, columns = np.indices((11, 11))
    far = abs(rows - 5) + abs(columns - 5) >= 8
    n = 6000
    counts = np.zeros((11, 11))
    for _ in range(n):
        draw_grid(keys, 0, 3, 0, 2, 0, 8, tiles)
        counts += tiles == GRID_WORLD.letters.index("G")
    assert not counts[~far].any()
    expected = n / far.sum()
    chi_square = ((counts[far] - expected) ** 2 / expected).sum()
    degrees = far.sum() - 1
    assert abs(chi_square - degrees) < 4.5 * (2 * degrees) ** 0.5


def test_wet_strips_overwrite_obstacles_and_goals_overwrite_both():
    keys, tiles = np.array([3], np.uint64), np.empty((11, 11), np.int8)
    for _ in range(20):
        assert draw_grid(keys, 400, 3, 400, 2, 0, 8, tiles)
        letters = [GRID_WORLD.letters[tile] for tile in tiles.ravel()]
        assert letters.count("S") == letters.count("G") == 1
        assert letters.count("W") > 80


def test_where_no_danger_finds_a_place_the_grid_is_incomplete():
    keys, tiles = np.array([3], np.uint64), np.empty((11, 11), np.int8)
    assert not draw_grid(keys, 0, 3, 400, 2, 1, 8, tiles)
    assert draw_grid(keys, 0, 3, 0, 2, 1, 8, tiles)


@pytest.mark.parametrize("size", [11, 13])
def test_variations_change_what_their_names_say(size):
    def mean(variation, letter):
        grids = [task.grid for task in draw(size, variation)]
        return np.mean([len(cells(grid, letter)) for grid in grids])

    # About 33 obstacle tiles less overlaps, a third more if dense; 10 wet tiles, 6 more if watery.
    assert mean("dense", "O") - mean(None, "O") > 5
    assert mean("watery", "W") - mean(None, "W") > 4
    assert abs(mean("corner", "O") - mean(None, "O")) < 1.5


@pytest.mark.parametrize(("size", "variation"), [(11, None), (13, "dense")])
def test_a_smaller_goal_distance_brings_goals_as_near_and_no_nearer(size, variation):
    def distances(**arguments):
        rng = np.random.default_rng(0)
        tasks = GridWorlds(size, variation, **arguments)
        grids = [tasks(rng).grid for _ in range(N_TASKS)]
        return np.array([np.abs(cells(grid, "G")[0] - size // 2).sum() for grid in grids])

    usual, near = distances(), distances(goal_distance=3)
    assert usual.min() == 8
    assert near.min() == 3
    assert near.mean() < usual.mean() - 2
    assert (distances(goal_distance=8) == usual).all()  # the same grids


def test_the_deterministic_variation_slips_on_wet_tiles_only():
    for task in draw(11, "deterministic", 20):
        certain = np.diff(task.rows[:-1]) == 1
        letters = np.array(list("".join(task.grid)))
        moves = certain.reshape(121, 5)[:, 1:]
        assert moves[(letters == " ") | (letters == "!") | (letters == "S")].all()
        assert not moves[letters == "W"].all()


def test_a_task_takes_one_number_from_its_stream():
    one, other = np.random.default_rng(7), np.random.default_rng(7)
    for _ in range(20):
        GridWorlds()(one)
        GridWorlds(13, "dangerous")(other)
        assert one.bit_generator.state == other.bit_generator.state


def test_the_same_seed_gives_the_same_grids():
    first, again, other = (draw(13, None, 5, seed) for seed in (1, 1, 2))
    assert [task.grid for task in first] == [task.grid for task in again]
    assert first[0].grid != other[0].grid


def test_the_environment_shows_row_and_column_from_1_over_the_size():
    env = gymnasium.make("vamdp/GridWorld-v0", size=13)
    observation, _ = env.reset(seed=4)
    assert env.observation_space == gymnasium.spaces.Box(
        np.float32(1 / 13), np.float32(1), (2,), np.float32
    )
    np.testing.assert_array_equal(observation, np.float32([7 / 13, 7 / 13]))
    assert env.action_space == gymnasium.spaces.Discrete(5)
    state_key = env.get_wrapper_attr("state_key")
    seen = {state_key(observation)}
    for t in range(2000):  # much longer than any limit would be
        observation, _, terminated, truncated, _ = env.step(1 + t % 3 if t % 50 < 25 else 4)
        assert not truncated
        row, column = state_key(observation)
        assert env.unwrapped.task.grid[row - 1][column - 1] != "O"
        seen.add((row, column))
        if terminated:
            assert env.unwrapped.task.grid[row - 1][column - 1] in "GX"
            env.reset()
    assert len(seen) > 10


@pytest.mark.parametrize("variation", [None, "watery"])
def test_gymnasiums_checks_pass(variation):
    env = gymnasium.make("vamdp/GridWorld-v0", variation=variation)
    check_env(env.unwrapped, skip_render_check=True)


@pytest.mark.parametrize("size", [11, 13])
def test_a_seed_and_its_index_in_a_batch_give_the_same_task(size):
    kwargs = {"size": size, "variation": "corner"}
    batch = gymnasium.make_vec(
        "vamdp/GridWorld-v0", num_envs=3, vectorization_mode="vector_entry_point", **kwargs
    )
    batch.reset(seed=10)
    for i, task in enumerate(batch.unwrapped.tasks):
        env = gymnasium.make("vamdp/GridWorld-v0", **kwargs)
        env.reset(seed=10 + i)
        assert env.unwrapped.task.grid == task.grid


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 12}, "`size` must be 11 or 13, got 12."),
        ({"variation": "WATERY"}, "`variation` must be None or one of deterministic, .*'WATERY'"),
        ({"goal_distance": 0}, "`goal_distance` must be an integer from 1 to 10, got 0."),
        ({"goal_distance": 11}, "`goal_distance` must be an integer from 1 to 10, got 11."),
        ({"goal_distance": 2.5}, "`goal_distance` must be an integer .* got 2.5."),
        ({"goal_distance": True}, "`goal_distance` must be an integer .* got True."),
        (
            {"goal_distance": 3, "variation": "corner"},
            "left out with the variation 'corner', got 3",
        ),
    ],
)
def test_unknown_kinds_of_gridworlds_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        GridWorlds(**arguments)
    with pytest.raises(ValueError, match=message):
        gymnasium.make("vamdp/GridWorld-v0", **arguments)
