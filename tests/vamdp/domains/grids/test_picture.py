import subprocess
import sys

import numpy as np
import pytest

from vamdp.domains.grids import picture as grid_picture
from vamdp.domains.grids.picture import (
    BORDER_COLOUR,
    TILE_COLOURS,
    default_tile_size,
    draw,
    text,
    value_text,
)
from vamdp.shell import install_command

pytest.importorskip("PIL")

GRID = ("S O", "WXG", "!FH")
NAN = np.nan
N = 30


def tile_of(picture, s, n_columns=3):
    y, x = s // n_columns * N, s % n_columns * N
    return picture[y : y + N, x : x + N]


def near_corner(tile):
    """A pixel that neither the line, the start's mark, a sign nor the agent covers."""
    return tuple(int(x) for x in tile[1, 1])


@pytest.mark.parametrize("letter", TILE_COLOURS)
def test_a_tile_has_its_letters_colour(letter):
    rows = ("   ", f" {letter} ", "   ")
    picture = draw(rows, tile_size=N)
    assert near_corner(tile_of(picture, 4)) == TILE_COLOURS[letter]
    others = [near_corner(tile_of(picture, s)) for s in range(9) if s != 4]
    assert set(others) == {TILE_COLOURS[" "]}


def test_colours_of_what_must_be_told_apart_differ_in_brightness_or_hue():
    # To every colour vision: brightness or blueness tells them apart.
    seen = [
        (0.299 * r + 0.587 * g + 0.114 * b, b) for r, g, b in (TILE_COLOURS[x] for x in "OW!XG ")
    ]
    for i, (light, blue) in enumerate(seen):
        for other_light, other_blue in seen[:i]:
            assert abs(light - other_light) > 20 or abs(blue - other_blue) > 80


@pytest.mark.parametrize("cell", [0, 1, 5, 8])
def test_only_the_agents_tile_changes_where_it_is(cell):
    without, with_agent = draw(GRID, tile_size=N), draw(GRID, agent=cell, tile_size=N)
    changed = [s for s in range(9) if (tile_of(without, s) != tile_of(with_agent, s)).any()]
    assert changed == [cell]
    assert tuple(tile_of(with_agent, cell)[N // 2, N // 2]) == grid_picture.AGENT_COLOUR


def test_higher_values_are_deeper_violet_and_lower_ones_darker_grey():
    values = np.array([0.0, 1.0, 9.0, 60.0, -1.0, -9.0, -60.0, NAN, 100.0])
    picture = draw(("   ", "   ", "   "), values=values, scale=100.0, tile_size=N).astype(int)
    zero, *positive, unknown, most = (
        picture[s // 3 * N + 1, s % 3 * N + 1] for s in (0, 1, 2, 3, 7, 8)
    )
    for lower, higher in zip([zero, *positive], [*positive, most], strict=True):
        assert (higher < lower).all()
        assert higher[2] > higher[1]  # more blue than green
    negative = [picture[s // 3 * N + 1, s % 3 * N + 1] for s in (4, 5, 6)]
    for lower, higher in zip([zero, *negative[:-1]], negative, strict=True):
        assert (higher < lower).all()
        assert len(set(higher)) == 1  # grey
    assert tuple(unknown) == TILE_COLOURS[" "]
    assert tuple(most) == grid_picture.MOST_VIOLET


def test_a_value_leaves_a_frame_of_a_special_tiles_colour():
    tile = tile_of(draw(GRID, values=np.full(9, 50.0), scale=100.0, tile_size=N), 3)
    assert near_corner(tile) == TILE_COLOURS["W"]
    assert tuple(tile[8, 8]) != TILE_COLOURS["W"]


def test_values_above_the_scale_shade_like_it():
    values = [np.full(9, v) for v in (100.0, 250.0)]
    corners = {near_corner(draw((" ",), values=v, scale=100.0, tile_size=N)) for v in values}
    assert len(corners) == 1


def test_counts_are_shown_where_they_are_above_0():
    counts = np.zeros(9, np.int64)
    plain = draw(GRID, tile_size=N)
    np.testing.assert_array_equal(draw(GRID, counts=counts, tile_size=N), plain)
    counts[1] = 7
    counted = draw(GRID, counts=counts, tile_size=N)
    assert [s for s in range(9) if (tile_of(counted, s) != tile_of(plain, s)).any()] == [1]
    changed = np.argwhere((tile_of(counted, 1) != tile_of(plain, 1)).any(axis=2))
    assert changed.min() > N // 2  # in the lower right


@pytest.mark.parametrize(("size", "pixels"), [(4, 96), (11, 46), (13, 40), (40, 24)])
def test_pictures_have_even_sides(size, pixels):
    grid = (" " * size,) * size
    assert default_tile_size(grid) == pixels
    assert draw(grid).shape == (size * pixels, size * pixels, 3)


def test_pictures_are_the_callers_own():
    draw(GRID, tile_size=N)[:] = 0
    assert near_corner(tile_of(draw(GRID, tile_size=N), 1)) == TILE_COLOURS[" "]


@pytest.mark.parametrize(
    ("v", "scale", "shown"),
    [
        (-100.0, 100.0, "-100"),
        (9.94, 100.0, "9.9"),
        (9.96, 100.0, "10"),
        (-9.96, 100.0, "-10"),
        (0.04, 100.0, "0"),
        (-0.04, 100.0, "0"),
        (0.734, 1.0, ".73"),
        (-0.734, 1.0, "-.73"),
        (0.999, 1.0, "1.00"),
        (-0.001, 1.0, "0"),
        (0.0, 10.0, "0"),
    ],
)
def test_values_are_written_short(v, scale, shown):
    assert value_text(v, scale) == shown


def test_text_by_hand():
    values = np.array([-5.25, NAN, NAN, 0.0, NAN, NAN, 93.04, -100.0, NAN])
    counts = np.array([12, 0, 0, 1, 0, 0, 0, 3, 0])
    assert text(GRID, agent=4, values=values, counts=counts, scale=100.0) == (
        "S O\n"
        "W\x1b[41mX\x1b[0mG\n"
        "!FH\n"
        "\n"
        "   -5.2      .      .\n"
        "    0.0      .      .\n"
        "   93.0 -100.0      .\n"
        "\n"
        "  12   .   .\n"
        "   1   .   .\n"
        "   .   3   .\n"
    )
    assert text(("SG",), values=np.array([0.73, NAN]), scale=1.0) == "SG\n\n   0.73      .\n"


def test_without_pillow_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the command differs within a checkout
    code = """
import sys
sys.modules["PIL"] = None
import gymnasium, vamdp
env = gymnasium.make("vamdp/GridWorld-v0", render_mode="rgb_array").unwrapped
env.reset(seed=0)
try:
    env.render()
except gymnasium.error.DependencyNotInstalled as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == (
        f"Pillow is not installed: for pictures run {install_command('render')}."
    ), result.stderr


def test_only_clusters_of_several_cells_have_a_border_on_their_outer_sides():
    grid, n = ["  ", "  "], 16
    clusters = np.array([3, 3, 5, -1])  # the upper row, and one cell alone
    plain, shown = draw(grid, tile_size=n), draw(grid, tile_size=n, clusters=clusters)
    is_border = (shown == BORDER_COLOUR).all(axis=2)
    assert (plain[~is_border] == shown[~is_border]).all()
    middle = n // 2
    assert is_border[0, middle] and is_border[n - 1, middle] and is_border[middle, 0]
    assert not is_border[middle, n - 3 : n + 3].any()  # between the two
    assert not is_border[n + 3 :].any()  # around the cell alone


@pytest.mark.parametrize("n", [24, 40, 96])
def test_a_start_is_seen_under_its_value_and_a_count_beside_it(n):
    def lower(letter, **shown):
        """Where the ink is in the lower half of a tile, inside of the start's box."""
        tile = draw([letter], tile_size=n, **shown).mean(axis=2)
        box = n // 8 + 1
        return (tile < 120)[n * 3 // 4 : n - box, box : n - box]

    half = (n - 2 * (n // 8 + 1)) // 2
    value, count = {"values": np.array([0.0])}, {"counts": np.array([7])}
    assert not lower(" ", **value).any()
    sign = lower("S", **value)
    assert sign[:, :half].any() and not sign[:, half:].any()
    for others in (count, value | count):
        both = lower("S", **others)
        assert both[:, half:].any()
        np.testing.assert_array_equal(both[:, :half], sign[:, :half])


def test_counts_of_three_digits_are_large_and_within_their_tile_at_13x13():
    grid = (" " * 13,) * 13
    counts = np.zeros(169, np.int64)
    n, middle = 40, 6 * 13 + 6
    counts[middle] = 188
    picture = draw(grid, counts=counts, values=np.full(169, 5.0), scale=100.0)
    without = draw(grid, values=np.full(169, 5.0), scale=100.0)
    ink = (picture[6 * n : 7 * n, 6 * n : 7 * n].mean(axis=2) < 150)[n * 6 // 10 :]
    rows, columns = np.nonzero(ink)
    assert np.ptp(rows) + 1 >= 8
    assert columns.min() > 8
    elsewhere = np.ones(picture.shape[:2], bool)
    elsewhere[6 * n : 7 * n, 6 * n : 7 * n] = False
    np.testing.assert_array_equal(picture[elsewhere], without[elsewhere])
