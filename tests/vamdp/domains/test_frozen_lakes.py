import gymnasium
import numpy as np
import pytest
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv, generate_random_map

from vamdp.domains import FrozenLakes, GridWorlds
from vamdp.mdp.tabular_mdp import TabularMDP


@pytest.mark.parametrize("slippery", [False, True])
@pytest.mark.parametrize("size", [2, 4, 8])
def test_the_task_is_gymnasiums_lake_with_that_map(size, slippery):
    rng = np.random.default_rng(0)
    for _ in range(4):
        task = FrozenLakes(size, slippery=slippery)(rng)
        lake = FrozenLakeEnv(desc=list(task.grid), is_slippery=slippery)
        theirs = TabularMDP.from_gymnasium(lake)
        assert (task.n_states, task.n_actions) == (theirs.n_states, theirs.n_actions)
        np.testing.assert_array_equal(task.start_distribution, theirs.start_distribution)
        for horizon in (1, 2, 20, 200):
            np.testing.assert_allclose(
                task.optimal_values(horizon), theirs.optimal_values(horizon), atol=1e-12
            )
        # Optimal values use the best actions only; totals of each action show all of them.
        for action in range(4):
            np.testing.assert_allclose(landing(task, action), landing(theirs, action), atol=1e-12)


def landing(task, action):
    """Where an action leads from each state, (S, S')."""
    P = np.zeros((task.n_states, task.n_states))
    for s in range(task.n_states):
        row = s * task.n_actions + action
        outcomes = slice(task.rows[row], task.rows[row + 1])
        P[s, task.successor[outcomes]] = task.probability[outcomes]
    return P


def test_maps_are_those_of_gymnasiums_generator():
    seed = int(np.random.default_rng(5).integers(2**31))
    expected = generate_random_map(8, 0.8, seed)
    assert FrozenLakes()(np.random.default_rng(5)).grid == tuple(expected)


def test_every_task_has_its_own_map_and_can_be_crossed():
    rng = np.random.default_rng(0)
    tasks = [FrozenLakes()(rng) for _ in range(30)]
    assert len({task.grid for task in tasks}) == 30
    assert all(task.optimal_values(64)[0] == 1.0 for task in tasks)


def test_p_is_the_share_of_frozen_tiles():
    rng = np.random.default_rng(0)
    for p in (0.6, 0.95):
        tiles = "".join(row for _ in range(60) for row in FrozenLakes(p=p)(rng).grid)
        # Maps that cannot be crossed are drawn anew, which favours frozen tiles a little.
        assert p - 0.02 < tiles.count("F") / (len(tiles) - 2 * 60) < p + 0.1


def test_the_registered_lake_is_truncated_after_200_steps():
    env = gymnasium.make("vamdp/FrozenLake-v0", size=4)
    env.reset(seed=0)
    ends = [env.step(3)[2:4] for _ in range(200)]  # north, against the wall
    assert ends == [(False, False)] * 199 + [(False, True)]
    batch = gymnasium.make_vec(
        "vamdp/FrozenLake-v0", num_envs=2, vectorization_mode="vector_entry_point", size=4
    )
    batch.reset(seed=0)
    ends = [batch.step(np.array([3, 3]))[3].tolist() for _ in range(200)]
    assert ends == [[False, False]] * 199 + [[True, True]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 1}, "`size` must be an integer of at least 2, got 1"),
        ({"size": 2.5}, "`size` must be an integer of at least 2, got 2.5"),
        ({"p": 0.4}, r"`p` must be in \[0.5, 1\], got 0.4"),
        ({"p": 1.5}, r"`p` must be in \[0.5, 1\], got 1.5"),
        ({"p": "x"}, r"`p` must be in \[0.5, 1\], got 'x'"),
        ({"size": True}, "`size` must be an integer of at least 2, got True"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        FrozenLakes(**arguments)


def test_numbers_of_numpy_are_numbers():
    lakes = FrozenLakes(size=np.int64(4), p=np.float32(0.75))
    plain = FrozenLakes(size=4, p=0.75)
    assert lakes(np.random.default_rng(0)).grid == plain(np.random.default_rng(0)).grid
    grids = [GridWorlds(size=size)(np.random.default_rng(0)).grid for size in (11, np.int64(11))]
    assert grids[0] == grids[1]
