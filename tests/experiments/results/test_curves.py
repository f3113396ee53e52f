import numpy as np

from rl3_sb3.experiments.results.curves import (
    centred_mean,
    half_window,
    learning_curve,
    wall_time,
)
from rl3_sb3.experiments.runs.metrics import RETURN, STEPS


def test_the_time_of_all_processes_is_added():
    assert wall_time([{"time/time_elapsed": t} for t in (1.0, 2.0, 3.0, 0.5, 1.5)]) == 4.5


def test_a_long_curve_is_told_in_a_hundred_blocks():
    curve = learning_curve([{STEPS: float(i + 1), RETURN: float(i)} for i in range(1000)])
    assert curve.shape == (100, 2)
    np.testing.assert_array_equal(curve[0], [10, 4.5])
    np.testing.assert_array_equal(curve[-1], [1000, 994.5])


def test_a_running_mean_does_not_lag_behind_a_straight_line_and_is_short_at_its_ends():
    line = np.arange(10.0)
    np.testing.assert_allclose(centred_mean(line, 2), [1, 1.5, 2, 3, 4, 5, 6, 7, 7.5, 8])
    np.testing.assert_array_equal(centred_mean(line, 0), line)


def test_the_mean_is_of_few_iterations_in_short_runs_and_of_a_hundredth_in_long_ones():
    assert [half_window(n) for n in (4, 5, 16, 17, 499, 500, 2000)] == [0, 1, 3, 4, 4, 5, 20]
