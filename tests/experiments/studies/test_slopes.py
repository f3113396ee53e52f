import numpy as np
import pytest

from rl3_sb3.experiments.studies.slopes import log_slope

STEPS = np.array([1, 2, 5, 10, 20, 50, 100])


@pytest.mark.parametrize("power", [-0.5, -1.0, 0.25])
def test_a_power_law_has_its_power_and_no_spread(power):
    errors = [np.full(20, 3.0 * t**power) for t in STEPS]
    found = log_slope(STEPS, errors, 1, 100)
    assert found[:3] == pytest.approx([power] * 3)
    assert found.c == pytest.approx(3.0 if power == -0.5 else found.c)


def test_the_line_beside_lies_in_the_middle_of_the_curve():
    errors = [np.full(5, 7.0) for _ in STEPS[:2]]
    # On a log scale c / 1 and c / sqrt(2) are as far above 7 as below.
    assert log_slope(STEPS[:2], errors, 1, 2).c == pytest.approx(7.0 * 2**0.25)


def test_steps_outside_the_range_do_not_count():
    errors = [np.full(5, t**-0.5 if t >= 10 else 1e6) for t in STEPS]
    assert log_slope(STEPS, errors, 10, 100).slope == pytest.approx(-0.5)


def test_the_interval_is_that_of_the_tasks():
    rng = np.random.default_rng(1)

    def drawn(n):
        # Each task has a power of its own, so that its errors at all steps hang together.
        powers = -0.5 + 0.2 * rng.standard_normal(n)
        return log_slope(STEPS, [t**powers for t in STEPS], 1, 100)

    few, many = drawn(50), drawn(5000)
    assert (few.high - few.low) == pytest.approx(10 * (many.high - many.low), rel=0.4)
    # The slope of the mean at t = 1 is the mean power, 2 * 1.96 * 0.2 / sqrt(50) its interval.
    assert few.high - few.low == pytest.approx(0.11, rel=0.5)
    assert few.low < few.slope < few.high


def test_a_range_with_a_single_step_is_refused():
    with pytest.raises(ValueError, match=r"`steps` must have two in \[3, 6\], got \[5\]"):
        log_slope(STEPS, [np.ones(2) for _ in STEPS], 3, 6)
