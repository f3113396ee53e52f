"""Products against NumPy's in double precision, compiled and in Python, in memory of NaN."""

import numpy as np
import pytest

from rl3_sb3.cpu_kernels import tile_products
from rl3_sb3.cpu_kernels.simd16 import WIDTH

WAYS = pytest.mark.parametrize(
    "way", [lambda f: f, lambda f: f.py_func], ids=["compiled", "python"]
)


def numbers(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-6)


@WAYS
@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize(("n", "depth"), [(4, 1), (12, 5), (8, 16)])
def test_a_product_is_numpys_and_writes_16_columns_of_n_rows(way, n, depth, add):
    width, step, start, out_step, out_start = 16, 20, 3, 33, 7
    C, X, before = numbers(n, width), numbers(depth, WIDTH), numbers(n, WIDTH)
    x = np.full(start + depth * step, np.nan, np.float32)
    for k in range(depth):
        x[start + k * step :][:WIDTH] = X[k]
    out = np.full(out_start + n * out_step, np.nan, np.float32)
    at = out_start + np.arange(n)[:, None] * out_step + np.arange(WIDTH)
    if add:
        out[at] = before
    way(tile_products.product)(
        C.reshape(-1), width, n, x, start, step, depth, out, out_start, out_step, add
    )
    expected = C[:, :depth].astype(np.float64) @ X + (before if add else 0)
    assert_close(out[at], expected)
    out[at] = np.nan
    assert np.isnan(out).all()


@WAYS
@pytest.mark.parametrize(("width", "n"), [(16, 1), (16, 7), (32, 40)])
def test_a_transposed_product_is_numpys_times_a_factor_for_each_lane(way, width, n):
    C, X, factors = numbers(n, width), numbers(n, WIDTH), numbers(WIDTH)
    out = np.full(width * WIDTH, np.nan, np.float32)
    way(tile_products.transposed_product)(C.reshape(-1), width, n, X.reshape(-1), factors, out)
    expected = C.astype(np.float64).T @ X * factors
    np.testing.assert_allclose(out.reshape(width, WIDTH), expected, rtol=0, atol=1e-5)


@WAYS
@pytest.mark.parametrize(("n", "D"), [(5, 3), (16, 16), (9, 20)])
def test_rows_are_packed_and_unpacked_with_their_factors(way, n, D):
    start, step, width = 2, 25, tile_products.padded(D, WIDTH)
    x = numbers(start + n * step)
    at = start + np.arange(n)[:, None] * step + np.arange(D)
    rows = np.full((16, width), np.nan, np.float32)
    rows[:, D:] = 0  # padding columns are whoever's who made the rows
    way(tile_products.pack)(x, start, step, n, D, np.float32(2), rows.reshape(-1), width)
    expected = np.zeros((16, width))
    expected[:n, :D] = 2 * x[at]
    np.testing.assert_array_equal(rows, expected)

    back = np.full_like(x, np.nan)
    way(tile_products.unpack)(rows.reshape(-1), width, np.float32(0.25), back, start, step, n, D)
    np.testing.assert_array_equal(back[at], x[at] / 2)
    back[at] = np.nan
    assert np.isnan(back).all()


@WAYS
@pytest.mark.parametrize(("n", "D"), [(16, 16), (16, 32), (3, 16), (16, 7)])
def test_a_tile_holds_rows_turned_over_and_gives_them_back(way, n, D):
    start, step, width = 2, 40, tile_products.padded(D, WIDTH)
    rows = numbers(WIDTH, width)
    tile = np.full((width, WIDTH), np.nan, np.float32)
    way(tile_products.to_tile)(rows.reshape(-1), width, tile.reshape(-1))
    np.testing.assert_array_equal(tile, rows.T)

    x = np.full(start + n * step, np.nan, np.float32)
    at = start + np.arange(n)[:, None] * step + np.arange(D)
    way(tile_products.from_tile)(tile.reshape(-1), x, start, step, n, D)
    np.testing.assert_array_equal(x[at], rows[:n, :D])
    x[at] = np.nan
    assert np.isnan(x).all()


def test_padding_reaches_the_next_multiple_and_no_further():
    assert [tile_products.padded(n, 4) for n in (0, 1, 4, 5)] == [0, 4, 4, 8]
