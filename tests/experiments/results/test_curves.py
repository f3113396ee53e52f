import numpy as np

from rl3_sb3.experiments.results.curves import learning_curve, wall_time
from rl3_sb3.experiments.runs.metrics import RETURN, STEPS


def test_the_time_of_all_processes_is_added():
    assert wall_time([{"time/time_elapsed": t} for t in (1.0, 2.0, 3.0, 0.5, 1.5)]) == 4.5


def test_a_long_curve_is_told_in_a_hundred_blocks():
    curve = learning_curve([{STEPS: float(i + 1), RETURN: float(i)} for i in range(1000)])
    assert curve.shape == (100, 2)
    np.testing.assert_array_equal(curve[0], [10, 4.5])
    np.testing.assert_array_equal(curve[-1], [1000, 994.5])
