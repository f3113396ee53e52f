"""What the generator makes likely."""

import numpy as np
import pytest

from vamdp.baselines.grids.prior import AROUND, prior_of
from vamdp.domains.gridworlds import GridWorlds


@pytest.mark.parametrize("variation", [None, "corner"])
def test_chances_are_the_frequencies_of_other_grids(variation):
    distribution = GridWorlds(11, variation)
    prior = prior_of(distribution)
    rng, n = np.random.default_rng(99), 400
    grids = np.array([[list(row) for row in distribution(rng).grid] for _ in range(n)])

    def inner(chance):
        return chance.reshape(13, 13)[1:-1, 1:-1]

    for letter, chance in (("O", inner(prior.obstacle)), ("G", inner(prior.goal))):
        seen = (grids == letter).mean(axis=0)
        assert np.abs(seen - chance).max() < 5 * np.sqrt(0.25 / n)
        assert seen.mean() == pytest.approx(chance.mean(), rel=0.05)
    assert prior.goal.sum() == pytest.approx(1.0)
    assert ((inner(prior.goal) > 0).sum() == 4) == (variation == "corner")


def test_places_are_alike_on_all_sides():
    for chance in prior_of(GridWorlds(11))[:3]:
        square = chance.reshape(13, 13)
        np.testing.assert_allclose(square, square.T)
        np.testing.assert_allclose(square, square[::-1])


def test_an_obstacle_on_a_side_makes_another_likelier_and_a_free_cell_rarer():
    factor = prior_of(GridWorlds(11)).factor
    assert factor[0] == 1.0  # nothing is known around
    for k, (r, c) in enumerate(AROUND):
        digit = 3 ** (7 - k)
        if r == 0 or c == 0:
            assert factor[digit] < 1.0 < factor[2 * digit]


def test_it_is_the_same_each_time():
    again = prior_of.__wrapped__(GridWorlds(11))
    for one, other in zip(prior_of(GridWorlds(11)), again, strict=True):
        np.testing.assert_array_equal(one, other)
