import numpy as np
import pytest

import vamdp
from vamdp.domains.grids.places import places_of

pytest.importorskip("PIL")

# Five states on a grid of 2x3 cells, of which the upper right one is empty:
#   2 0 -      from 0, action 0 leads to 1 (ends, +1), action 1 to 2
#   1 4 3      from 2, action 0 leads to 3 (ends, -1), action 1 to 4 (ends, 0)
AT = [[7, 3], [8, 2], [7, 2], [8, 4], [8, 3]]


def corner(features=AT, start=0):
    P, R = np.zeros((5, 2, 5)), np.zeros((5, 2))
    P[0, 0, 1] = P[0, 1, 2] = P[2, 0, 3] = P[2, 1, 4] = 1.0
    P[1, :, 1] = P[3, :, 3] = P[4, :, 4] = 1.0
    R[0, 0], R[2, 0] = 1.0, -1.0
    return vamdp.TabularMDP.from_dense(
        P,
        R,
        terminal=[False, True, False, True, True],
        start=np.eye(5)[start],
        features=features,
    )


def test_states_lie_at_their_coordinates_and_letters_say_what_is_known_of_them():
    places = places_of(corner())
    assert places.grid == (" SO", "GHX")
    assert places.cells.tolist() == [1, 3, 0, 5, 4]
    assert places.states.tolist() == [2, 0, -1, 1, 4, 3]


def test_a_grid_of_tiles_is_laid_out_as_it_was_drawn():
    task = vamdp.TabularMDP.from_grid(["S O", "X G"])
    drawn, by_features = places_of(task), places_of(vamdp.TabularMDP.from_grid(["S O", "X G"]))
    assert drawn.grid == ("S O", "X G") == by_features.grid
    assert drawn.cells.tolist() == list(range(6))


@pytest.mark.parametrize(
    "features",
    [
        None,
        [[0], [1], [2], [3], [4]],
        [[0, 0], [0, 1], [0, 2], [0, 3], [0, 1]],  # two in one place
        [[0, 0], [0, 1], [0, 2], [0, 3], [0, 0.5]],
        [[0, 0], [0, 1], [0, 2], [0, 3], [1000, 1000]],
    ],
)
def test_states_that_are_no_cells_of_a_grid_have_no_picture(features):
    task = corner(features)
    assert places_of(task) is None
    with pytest.raises(TypeError, match="Give the tasks `features`, row and column"):
        vamdp.TaskEnv(lambda rng: task, render_mode="rgb_array")


def test_a_task_of_ones_own_is_rendered_where_its_states_are():
    env = vamdp.TaskEnv(lambda rng: corner(), render_mode="ansi")
    env.reset(seed=0)
    assert env.render() == " \x1b[41mS\x1b[0mO\nGHX\n"
    env.step(1)
    assert env.render() == "\x1b[41m \x1b[0mSO\nGHX\n"
    env.step(1)  # the episode ends there
    assert env.render() == " SO\nG\x1b[41mH\x1b[0mX\n"
    env.set_task(corner(start=2))  # the next task has letters of its own
    env.reset()
    assert env.render() == "\x1b[41mS\x1b[0m O\nGHX\n"


@pytest.mark.parametrize("scale", [None, 1.0])
def test_a_learners_values_and_visits_are_in_the_cells_of_their_states(scale):
    env = vamdp.TaskEnv(lambda rng: corner(), feature_scale=scale, render_mode="ansi")
    env.grid_view.show_counts = True
    env = vamdp.ValueAugment(env, task_horizon=4, smoothing=1e-9)
    env.reset(seed=0)
    env.step(1)
    env.step(1)
    env.reset()
    env.step(0)  # +1
    _, values, counts = (part.splitlines() for part in env.render().split("\n\n"))
    Q = [env.estimator.q_values(s if scale is None else tuple(AT[s])) for s in (2, 0)]
    expected = [f"{max(q):.2f}" for q in Q]
    assert expected[0] != expected[1] == "1.00"
    assert [line.split() for line in values] == [[*expected, "."], [".", ".", "."]]
    assert [line.split() for line in counts] == [["1", "2", "."], [".", ".", "."]]
