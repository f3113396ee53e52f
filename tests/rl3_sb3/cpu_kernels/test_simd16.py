"""Lanes: what numba compiles does what Python does, on numbers of every kind."""

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from rl3_sb3.cpu_kernels import simd16
from rl3_sb3.cpu_kernels.simd16 import WIDTH, load, store

NUMBERS = np.array(
    [0.0, -0.0, 1.5, -1.5, 2.5, 0.5, -0.5, 3e38, -3e38, 1e-40, np.inf, -np.inf, np.nan, 7, -7, 126],
    np.float32,
)


@njit
def add(a, b, c, out):
    store(load(a, 0) + load(b, 0), out, 0)


@njit
def subtract(a, b, c, out):
    store(load(a, 0) - load(b, 0), out, 0)


@njit
def multiply(a, b, c, out):
    store(load(a, 0) * load(b, 0), out, 0)


@njit
def divide(a, b, c, out):
    store(load(a, 0) / load(b, 0), out, 0)


@njit
def larger(a, b, c, out):
    store(simd16.larger(load(a, 0), load(b, 0)), out, 0)


@njit
def negative_or(a, b, c, out):
    store(simd16.negative_or(load(a, 0), load(b, 0), load(c, 0)), out, 0)


@njit
def absolute(a, b, c, out):
    store(simd16.absolute(load(a, 0)), out, 0)


@njit
def nearest(a, b, c, out):
    store(simd16.nearest(load(a, 0)), out, 0)


@njit
def total(a, b, c, out):
    out[0] = simd16.total(load(a, 0))


@njit
def hide_below(a, b, c, out):
    for k in range(-1, WIDTH + 2):
        store(simd16.hide_below(load(a, 0), k), out, (k + 1) * WIDTH)


@njit
def multiply_add(a, b, c, out):
    store(simd16.multiply_add(load(a, 0), load(b, 0), load(c, 0)), out, 0)


def both(function, *inputs, n_out=WIDTH):
    compiled, python = np.zeros(n_out, np.float32), np.zeros(n_out, np.float32)
    function(*inputs, compiled)
    with np.errstate(all="ignore"):
        function.py_func(*inputs, python)
    return compiled, python


@pytest.mark.parametrize(
    "function",
    [add, subtract, multiply, divide, larger, negative_or, absolute, nearest, hide_below],
    ids=lambda function: function.__name__,
)
@pytest.mark.parametrize("turn", range(WIDTH))
def test_compiled_and_python_agree_to_the_bit(function, turn):
    n_out = (WIDTH + 3) * WIDTH
    inputs = NUMBERS, np.roll(NUMBERS, turn), np.roll(NUMBERS, 2 * turn + 3)
    compiled, python = both(function, *inputs, n_out=n_out)
    np.testing.assert_array_equal(compiled, python)
    assert (np.signbit(compiled) == np.signbit(python))[~np.isnan(python)].all()


def test_a_multiply_add_is_right_to_the_last_bit_or_two():
    a, b, c = np.random.default_rng(0).normal(size=(3, WIDTH)).astype(np.float32)
    exact = a.astype(np.float64) * b + c
    for found in both(multiply_add, a, b, c):
        np.testing.assert_allclose(found, exact, rtol=0, atol=2e-7 * np.abs(exact).max())


def test_larger_keeps_the_firsts_nan_and_lets_no_other_in():
    nan, one = np.full(WIDTH, np.nan, np.float32), np.ones(WIDTH, np.float32)
    assert np.isnan(both(larger, nan, one, one)).all()
    np.testing.assert_array_equal(both(larger, one, nan, one), np.ones((2, WIDTH)))


def test_hiding_leaves_the_lanes_from_k_on():
    x = np.arange(WIDTH, dtype=np.float32)
    compiled, _ = both(hide_below, x, x, x, n_out=(WIDTH + 3) * WIDTH)
    for k, row in zip(range(-1, WIDTH + 2), compiled.reshape(-1, WIDTH), strict=True):
        hidden = max(k, 0)
        assert np.isneginf(row[:hidden]).all()
        np.testing.assert_array_equal(row[hidden:], x[hidden:])


@njit
def powers(k, out):
    for i in range(0, len(k), WIDTH):
        store(simd16.power_of_two(load(k, i)), out, i)


def test_powers_of_whole_numbers_are_exact():
    k = np.arange(-127, 129, dtype=np.float32)
    k[-1] = 0
    expected = np.where(k == -127, 0, np.exp2(k, dtype=np.float64))
    for found in both(powers, k, n_out=len(k)):
        np.testing.assert_array_equal(found, expected)


@njit
def turn(x, i, step, o, out_step, out):
    simd16.transpose(x, i, step, out, o, out_step)


@pytest.mark.parametrize(("i", "step", "o", "out_step"), [(0, 16, 0, 16), (3, 20, 7, 33)])
def test_transposing_turns_rows_into_columns_and_touches_nothing_else(i, step, o, out_step):
    x = np.random.default_rng(0).normal(size=600).astype(np.float32)
    for found in both(turn, x, i, step, o, out_step, n_out=600):
        expected = np.zeros(600, np.float32)
        for row in range(WIDTH):
            for column in range(WIDTH):
                expected[o + column * out_step + row] = x[i + row * step + column]
        np.testing.assert_array_equal(found, expected)


@njit
def copy(x, i, o, out):
    store(load(x, i) + simd16.everywhere(np.float32(1)), out, o)


def test_lanes_are_read_and_written_at_any_element():
    x = np.arange(40, dtype=np.float32)
    for found in both(copy, x, 5, 23, n_out=40):
        expected = np.zeros(40)
        expected[23:39] = x[5:21] + 1
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "array",
    [np.zeros(32), np.zeros(32, np.int32), np.zeros(64, np.float32)[::2], np.zeros((2, 32), "f4")],
    ids=["double", "integers", "strided", "matrix"],
)
def test_arrays_that_would_be_misread_are_refused(array):
    with pytest.raises(TypingError):
        njit(lambda x: load(x, 0) + load(x, 0))(array)


def test_the_total_is_the_sum_of_all_lanes_to_the_same_bit():
    numbers = np.random.default_rng(0).normal(size=WIDTH).astype(np.float32)
    compiled, python = both(total, numbers, numbers, numbers)
    assert compiled[0] == python[0]
    assert compiled[0] == pytest.approx(numbers.astype(float).sum(), rel=1e-6)
