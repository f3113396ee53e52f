import numpy as np
import pytest
from matplotlib.figure import Figure

from rl3_sb3.experiments.paper.curves import (
    draw_curves,
    seeds_curves,
    share_of_steps,
    shares_by_seed,
)
from rl3_sb3.experiments.pretrained.record import CellRecord, SeedRecord


def cell(*curves):
    runs = [
        SeedRecord(
            seed=seed,
            command="",
            provenance=[],
            n_steps=0,
            seconds=0,
            curve=np.array(curve, float),
            returns={},
            by_step={},
        )
        for seed, curve in enumerate(curves)
    ]
    return CellRecord(name="", settings={}, exported=0, weights="", oracle={}, runs=runs)


def line(slope, n=40):
    steps = 100.0 * np.arange(1, n + 1)
    return np.stack([steps, slope * steps], axis=1)


def test_an_agent_that_learns_twice_as_fast_needs_about_half_of_the_steps():
    share, level = share_of_steps(line(2.0), line(1.0))
    # The last running mean of five: 3600 .. 4000. Twice as fast, the mean 1900 .. is reached later
    # by the two blocks that a running mean lags.
    assert level == 3800
    assert share == pytest.approx(2100 / 4000)


def test_an_agent_is_level_with_itself():
    assert share_of_steps(line(1.0), line(1.0))[0] == 1.0


def test_an_agent_that_never_gets_there_has_an_infinite_share():
    assert share_of_steps(line(0.5), line(1.0))[0] == np.inf


def test_a_curve_that_falls_in_the_end_counts_until_its_highest_point():
    slow = line(1.0)
    slow[20:, 1] = 0
    share, level = share_of_steps(line(2.0), slow)
    assert level == 1800
    assert share == pytest.approx(1100 / 2000)


def test_shares_are_of_the_same_seeds():
    fast, slow = cell(line(2.0), line(4.0), line(1.0)), cell(line(1.0), line(1.0))
    assert shares_by_seed(fast, slow) == [
        share_of_steps(line(2.0), line(1.0))[0],
        share_of_steps(line(4.0), line(1.0))[0],
    ]


def test_the_band_spans_the_seeds_as_far_as_all_go():
    drawn = cell(line(1.0, 30), line(3.0, 20))
    steps, curves = seeds_curves(drawn)
    assert steps[-1] == 2000
    np.testing.assert_array_equal(curves, [line(1.0, 20)[:, 1], line(3.0, 20)[:, 1]])
    axes = Figure().subplots()
    draw_curves(axes, {"rl3": drawn}, {"Gittins": 7.0})
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    assert corners[:, 1].min() == 100
    assert corners[:, 1].max() == 6000
    mean, level = axes.lines
    np.testing.assert_array_equal(mean.get_ydata(), line(2.0, 20)[:, 1])
    assert set(level.get_ydata()) == {7.0}
