import numpy as np
from numba import njit

from rl3_sb3.cpu_kernels.exp2 import exp2
from rl3_sb3.cpu_kernels.simd16 import WIDTH, load, store


@njit
def replace(x):
    for i in range(0, len(x), WIDTH):
        store(exp2(load(x, i)), x, i)


def powers(x, function=replace):
    padded = np.zeros(-(-len(x) // WIDTH) * WIDTH, np.float32)
    padded[: len(x)] = x
    function(padded)
    return padded[: len(x)]


def test_integers_are_exact():
    exponents = np.arange(-126, 1)
    np.testing.assert_array_equal(powers(exponents), np.exp2(exponents.astype(np.float32)))


def test_between_them_the_last_bits_are_right():
    x = np.linspace(-126, 100, 100_003, dtype=np.float32)
    np.testing.assert_allclose(powers(x), np.exp2(x.astype(np.float64)), rtol=2e-7)


def test_far_below_there_is_exactly_nothing():
    assert (powers([-127, -1e4, -1e38, -np.inf]) == 0).all()


def test_nan_stays():
    assert np.isnan(powers([0.0, np.nan, -200.0])).tolist() == [False, True, False]


def test_compiled_and_python_agree():
    x = np.linspace(-130, 0.5, 997, dtype=np.float32)
    np.testing.assert_allclose(powers(x), powers(x, replace.py_func), rtol=2e-7)
