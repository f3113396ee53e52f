"""Products of matrices with 16 columns, and conversions to and from this layout.

General libraries spend most of their time at the edges of matrices as small as an attention head's.
Here one matrix is read in lanes, and the other number by number:

    tile    [k][lane]  one column for each of 16 queries
    rows    [j][d]     row-major, zero-padded to a multiple of 16 columns (and of 4 rows, where a
                       function requires it)

All arrays are flat float32. Products accumulate four sums at a time, which hides the latency of the
multiply-adds.
"""

import numpy as np

from rl3_sb3.cpu_kernels.compiled import njit
from rl3_sb3.cpu_kernels.simd16 import WIDTH, everywhere, load, multiply_add, store, transpose


@njit(cache=True)
def padded(n, multiple):
    """Return n rounded up to a multiple of `multiple`."""
    return (n + multiple - 1) // multiple * multiple


@njit(cache=True)
def zeros(n):
    """Return n float32 zeros."""
    return np.zeros(n, np.float32)


@njit(cache=True)
def product(C, width, n, X, x, x_step, depth, out, o, o_step, add):
    """Set out[j, :] (+)= sum_k C[j, k] X[k, :] for all 16 columns of X and out.

    Args:
        C: Rows of `width` numbers.
        width: Length of a row of C.
        n: Number of rows j. C and out have n rows rounded up to a multiple of 4.
        X: Rows of 16 numbers; row k begins at x + k x_step.
        x: Start of row 0 in X.
        x_step: Distance of rows in X.
        depth: Number of terms k.
        out: Rows of 16 numbers; row j begins at o + j o_step.
        o: Start of row 0 in out.
        o_step: Distance of rows in out.
        add: Whether to add to `out` instead of overwriting it.
    """
    for j in range(0, n, 4):
        c, i, at = j * width, x, o + j * o_step
        y0 = y1 = y2 = y3 = everywhere(np.float32(0))
        if add:
            y0, y1 = load(out, at), load(out, at + o_step)
            y2, y3 = load(out, at + 2 * o_step), load(out, at + 3 * o_step)
        for k in range(c, c + depth):
            row = load(X, i)
            y0 = multiply_add(everywhere(C[np.uintp(k)]), row, y0)
            y1 = multiply_add(everywhere(C[np.uintp(k + width)]), row, y1)
            y2 = multiply_add(everywhere(C[np.uintp(k + 2 * width)]), row, y2)
            y3 = multiply_add(everywhere(C[np.uintp(k + 3 * width)]), row, y3)
            i += x_step
        store(y0, out, at)
        store(y1, out, at + o_step)
        store(y2, out, at + 2 * o_step)
        store(y3, out, at + 3 * o_step)


@njit(cache=True)
def transposed_product(C, width, n, X, factors, out):
    """Set out[d, :] = factors[:] sum_j C[j, d] X[j, :] for all columns d of C.

    Args:
        C: Rows of `width` numbers.
        width: Length of a row of C, a multiple of 4.
        n: Number of rows j of C and X.
        X: Rows of 16 numbers.
        factors: 16 numbers, one per lane.
        out: A tile of `width` rows.
    """
    for d in range(0, width, 4):
        y0 = y1 = y2 = y3 = everywhere(np.float32(0))
        c = d
        for j in range(n):
            row = load(X, j * WIDTH)
            y0 = multiply_add(everywhere(C[np.uintp(c)]), row, y0)
            y1 = multiply_add(everywhere(C[np.uintp(c + 1)]), row, y1)
            y2 = multiply_add(everywhere(C[np.uintp(c + 2)]), row, y2)
            y3 = multiply_add(everywhere(C[np.uintp(c + 3)]), row, y3)
            c += width
        at = d * WIDTH
        store(y0 * load(factors, 0), out, at)
        store(y1 * load(factors, 0), out, at + WIDTH)
        store(y2 * load(factors, 0), out, at + 2 * WIDTH)
        store(y3 * load(factors, 0), out, at + 3 * WIDTH)


@njit(cache=True)
def pack(x, start, step, n, D, factor, rows, width):
    """Copy n rows of D numbers, `step` apart, times a factor; later rows are set to zero."""
    whole = D // WIDTH * WIDTH
    for j in range(n):
        for d in range(0, whole, WIDTH):
            store(load(x, start + j * step + d) * everywhere(factor), rows, j * width + d)
        for d in range(whole, D):
            rows[j * width + d] = x[start + j * step + d] * factor
    rows[n * width :] = 0


@njit(cache=True)
def unpack(rows, width, factor, x, start, step, n, D):
    """Copy n rows times a factor back, the reverse of `pack`."""
    whole = D // WIDTH * WIDTH
    for j in range(n):
        for d in range(0, whole, WIDTH):
            store(load(rows, j * width + d) * everywhere(factor), x, start + j * step + d)
        for d in range(whole, D):
            x[start + j * step + d] = rows[j * width + d] * factor


@njit(cache=True)
def to_tile(rows, width, tile):
    """Set tile[d, lane] = rows[lane, d] for 16 rows."""
    for d in range(0, width, WIDTH):
        transpose(rows, d, width, tile, d * WIDTH, WIDTH)


@njit(cache=True)
def from_tile(tile, x, start, step, n, D):
    """Copy n lanes of D numbers to rows that are `step` apart."""
    if n == WIDTH and D % WIDTH == 0:
        for d in range(0, D, WIDTH):
            transpose(tile, d * WIDTH, WIDTH, x, start + d, step)
    else:
        for lane in range(n):
            for d in range(D):
                x[start + lane * step + d] = tile[d * WIDTH + lane]
