"""What moves that led nowhere tell of obstacles, and what is left for the goal."""

from itertools import product

import numpy as np
import pytest

from vamdp.baselines.grids.belief import believe, tile_of
from vamdp.baselines.grids.dangers import UNKNOWN
from vamdp.baselines.grids.prior import prior_of
from vamdp.domains.grids.generator import DANGER, GOAL, NORMAL, OBSTACLE, START, WARNING, WET
from vamdp.domains.gridworlds import GridWorlds

SIZE, WIDTH = 11, 13
CENTRE = 6 * WIDTH + 6
NORTH, EAST, SOUTH, WEST = range(4)
SIDES = (CENTRE - WIDTH, CENTRE + 1, CENTRE + WIDTH, CENTRE - 1)


class Map:
    """Nothing is known but the start; `believed` looks at it."""

    def __init__(self, slip=0.2, flat=None):
        tiles = np.full((WIDTH, WIDTH), OBSTACLE, np.int8)
        tiles[1:-1, 1:-1] = UNKNOWN
        self.tiles, self.slip = tiles.ravel(), slip
        self.tiles[CENTRE] = START
        self.stays = np.zeros((WIDTH**2, 4), np.int64)
        self.factors = np.ones((WIDTH**2, 4))
        self.prior = prior_of(GridWorlds(SIZE))
        if flat is not None:  # the same chance of an obstacle everywhere, whatever is around
            obstacle = np.where(self.tiles == OBSTACLE, 1.0, flat)
            self.prior = self.prior._replace(obstacle=obstacle, factor=np.ones(3**8))
        self.blocked = self.prior.obstacle.copy()
        self.danger, self.goal, self.pay, self.slips = np.zeros((4, WIDTH**2))

    def believed(self, function=believe):
        found = function(
            WIDTH, self.slip, 2, *self.prior, self.tiles, self.stays, self.factors, self.blocked,
            self.danger, self.goal, self.pay, self.slips,
        )  # fmt: skip
        return found, self


def test_tiles_are_known_by_their_rewards():
    rewards = (-1.0, -2.0, -10.0, -100.0, 100.0)
    assert [tile_of(r) for r in rewards] == [NORMAL, WET, WARNING, DANGER, GOAL]


def test_without_slipping_one_bump_shows_an_obstacle():
    here = Map(slip=0.0)
    here.stays[CENTRE, EAST] = 1
    here.believed()
    assert here.blocked[CENTRE + 1] == 1.0
    assert here.goal[CENTRE + 1] == 0.0
    others = [here.blocked[side] for side in SIDES if side != CENTRE + 1]
    assert max(others) < 0.6


@pytest.mark.parametrize("stays", [(1, 0, 0, 0), (2, 1, 0, 0), (0, 3, 0, 1)])
@pytest.mark.parametrize("slip", [0.2, 1.0])
def test_stays_of_one_cell_give_the_chances_of_bayes_rule(stays, slip):
    p = 0.3
    here = Map(slip, flat=p)
    here.stays[CENTRE] = stays
    here.believed()
    weight = {}
    for b in product((0, 1), repeat=4):  # all that its four sides may be
        likelihood = np.prod([p if x else 1 - p for x in b])
        for d, n in enumerate(stays):
            stay = (1 - slip) * b[d] + slip / 2 * (b[d - 1] + b[(d + 1) % 4])
            likelihood *= stay**n
        weight[b] = likelihood
    for d, side in enumerate(SIDES):
        exact = sum(w for b, w in weight.items() if b[d]) / sum(weight.values())
        assert here.blocked[side] == pytest.approx(exact, abs=2e-4)


def test_a_stay_is_explained_by_what_is_known_of_the_sides():
    # All but the north are known to be free: whatever the slip, it must be the north.
    here = Map(flat=0.3)
    here.tiles[list(SIDES[1:])] = NORMAL
    here.stays[CENTRE, EAST] = 1
    here.believed()
    assert here.blocked[SIDES[NORTH]] == 1.0


def test_obstacles_are_likelier_beside_others_and_rarer_beside_free_cells():
    usual, beside, free = Map(slip=0.0), Map(slip=0.0), Map()
    beside.stays[CENTRE, EAST] = 1
    free.tiles[CENTRE + 1] = NORMAL
    for each in (usual, beside, free):
        each.believed()
        each.believed()  # the neighbours' odds know of the obstacle by now
    place = CENTRE + 2
    assert beside.blocked[place] > usual.blocked[place] > free.blocked[place]


def test_the_goal_is_where_nobody_was():
    here = Map(flat=0.0)
    likely = np.flatnonzero(here.prior.goal)
    here.tiles[likely[:-2]] = NORMAL
    found, _ = here.believed()
    assert not found
    share = here.prior.goal[likely[-2:]] / here.prior.goal[likely[-2:]].sum()
    assert here.goal[likely[-2:]] == pytest.approx(share)
    assert here.goal.sum() == pytest.approx(1.0)
    here.tiles[likely[-1]] = GOAL
    found, _ = here.believed()
    assert found
    assert np.flatnonzero(here.goal).tolist() == [likely[-1]]
    assert here.goal[likely[-1]] == 1.0


def test_rewards_and_slips_are_those_of_what_is_known():
    here = Map()
    here.tiles[CENTRE + 1], here.tiles[CENTRE - 1], here.tiles[CENTRE + WIDTH] = (
        WET,
        WARNING,
        NORMAL,
    )
    here.believed()
    assert [here.pay[c] for c in (CENTRE, CENTRE + 1, CENTRE - 1)] == [-1.0, -2.0, -10.0]
    assert [here.slips[c] for c in (CENTRE, CENTRE + 1, CENTRE - 1)] == [0.2, 1.0, 0.2]
    far = here.pay[2 * WIDTH + 2]  # some warnings, some water
    assert -3.0 < far < -1.0


def test_compiled_code_equals_plain_python():
    rng = np.random.default_rng(0)
    one, other = Map(), Map()
    cells = rng.choice(np.flatnonzero(one.tiles == UNKNOWN), 30, replace=False)
    for each in (one, other):
        each.tiles[cells] = [NORMAL, WET, WARNING] * 10
        each.stays[cells] = np.random.default_rng(1).integers(3, size=(30, 4))
    one.believed()
    other.believed(believe.py_func)
    for name in ("blocked", "goal", "danger", "pay", "slips", "factors"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
