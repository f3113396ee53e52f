"""Products and sums of matrices that are 16 numbers wide, for one CPU core.

Sixteen single-precision numbers fill a vector register (or two, or four). A general library's
products spend most of their time at the edges of matrices as small as a policy's; here everything
is 16 wide and its other length a multiple of 16, with zeros where there is nothing:

    tile    [d][lane]  16 x 16: 16 of the D columns of up to 16 rows, the lanes; turned over
    panel   [j][d]     n x 16: 16 of the D columns of up to n rows, as they are

All arrays are flat, with the constant 16 in their index arithmetic and indices without a sign: that
is how the compiler sees that the loops over lanes can run in vectors and that a product's sums can
stay in registers. The loops of 16 within those are unrolled. Multiply-adds may be fused, which
doubles the rate of a product; no other liberty is taken with floating point, so NaN is kept.
"""

import numpy as np
from numba import njit

WIDTH = 16
TILE = WIDTH * WIDTH
_MATH = {"contract"}


@njit(cache=True)
def zeros(n):
    """Return n zeros. One array each: numba takes the rows of a larger one for strided."""
    return np.zeros(n, np.float32)


@njit(cache=True, fastmath=_MATH)
def add_product(C, X, n, out):
    """out[j, :] += sum_k C[j, k] X[k, :] for n rows j and 16 k."""
    for j in range(0, n, 4):  # four sums hide the latency of the multiply-adds
        row = j * WIDTH
        for lane in range(WIDTH):
            y0 = y1 = y2 = y3 = np.float32(0)
            for k in range(WIDTH):
                x = X[np.uintp(k * WIDTH + lane)]
                y0 += C[np.uintp(row + k)] * x
                y1 += C[np.uintp(row + WIDTH + k)] * x
                y2 += C[np.uintp(row + 2 * WIDTH + k)] * x
                y3 += C[np.uintp(row + 3 * WIDTH + k)] * x
            out[np.uintp(row + lane)] += y0
            out[np.uintp(row + WIDTH + lane)] += y1
            out[np.uintp(row + 2 * WIDTH + lane)] += y2
            out[np.uintp(row + 3 * WIDTH + lane)] += y3


@njit(cache=True, fastmath=_MATH)
def add_transposed_product(C, X, n, out):
    """out[d, :] += sum_j C[j, d] X[j, :] for 16 d and n rows j."""
    for j in range(0, n, WIDTH):
        start = j * WIDTH
        for d in range(0, WIDTH, 4):
            row = d * WIDTH
            for lane in range(WIDTH):
                y0 = y1 = y2 = y3 = np.float32(0)
                for k in range(WIDTH):
                    x = X[np.uintp(start + k * WIDTH + lane)]
                    c = start + k * WIDTH + d
                    y0 += C[np.uintp(c)] * x
                    y1 += C[np.uintp(c + 1)] * x
                    y2 += C[np.uintp(c + 2)] * x
                    y3 += C[np.uintp(c + 3)] * x
                out[np.uintp(row + lane)] += y0
                out[np.uintp(row + WIDTH + lane)] += y1
                out[np.uintp(row + 2 * WIDTH + lane)] += y2
                out[np.uintp(row + 3 * WIDTH + lane)] += y3


@njit(cache=True, fastmath=_MATH)
def find_largest(S, n, out):
    """out[lane] = max_j S[j, lane] over n rows."""
    out[:] = -np.inf
    for j in range(0, n, WIDTH):
        start = j * WIDTH
        for lane in range(WIDTH):
            y = out[lane]
            for k in range(WIDTH):
                x = S[np.uintp(start + k * WIDTH + lane)]
                y = x if x > y else y
            out[lane] = y


@njit(cache=True, fastmath=_MATH)
def add_up(S, n, out):
    """out[lane] = sum_j S[j, lane] over n rows."""
    out[:] = 0
    for j in range(0, n, WIDTH):
        start = j * WIDTH
        for lane in range(WIDTH):
            y = np.float32(0)
            for k in range(WIDTH):
                y += S[np.uintp(start + k * WIDTH + lane)]
            out[lane] += y


@njit(cache=True, fastmath=_MATH)
def subtract(S, n, row):
    """S[j, lane] -= row[lane] for n rows."""
    for j in range(0, n, WIDTH):
        start = j * WIDTH
        for lane in range(WIDTH):
            x = row[lane]
            for k in range(WIDTH):
                S[np.uintp(start + k * WIDTH + lane)] -= x


@njit(cache=True, fastmath=_MATH)
def multiply(S, factors):
    """S *= factors, element by element."""
    for i in range(len(S)):
        S[i] *= factors[i]


@njit(cache=True, fastmath=_MATH)
def pack_panels(x, start, step, n, D, out):
    """Copy n rows of D numbers, `step` apart, into panels; zeros for rows from n on."""
    length = len(out) // ((D + WIDTH - 1) // WIDTH)
    if n % WIDTH > 0:
        out[:] = 0
    for left in range(0, D, WIDTH):
        for j in range(n):
            source, row = start + j * step + left, left // WIDTH * length + j * WIDTH
            for d in range(min(WIDTH, D - left)):
                out[np.uintp(row + d)] = x[np.uintp(source + d)]


@njit(cache=True, fastmath=_MATH)
def unpack_panels(panels, factor, x, start, step, n, D):
    """Copy n rows times a factor back from panels; see `pack_panels`."""
    length = len(panels) // ((D + WIDTH - 1) // WIDTH)
    for left in range(0, D, WIDTH):
        for j in range(n):
            target, row = start + j * step + left, left // WIDTH * length + j * WIDTH
            for d in range(min(WIDTH, D - left)):
                x[np.uintp(target + d)] = panels[np.uintp(row + d)] * factor


@njit(cache=True, fastmath=_MATH)
def pack_tiles(x, start, step, n, D, factor, out):
    """Copy n <= 16 rows times a factor into tiles; zeros for lanes from n on."""
    if n < WIDTH:
        out[:] = 0
    for lane in range(n):
        for d in range(D):
            out[np.uintp(d * WIDTH + lane)] = x[np.uintp(start + lane * step + d)] * factor


@njit(cache=True, fastmath=_MATH)
def unpack_tiles(tiles, factors, x, start, step, n, D):
    """Copy n <= 16 rows back from tiles, each lane times its factor."""
    for lane in range(n):
        for d in range(D):
            x[np.uintp(start + lane * step + d)] = tiles[np.uintp(d * WIDTH + lane)] * factors[lane]


@njit(cache=True, fastmath=_MATH)
def dot(x, y, out):
    """out[lane] = sum_d x[d, lane] y[d, lane] over the rows of two sets of tiles."""
    out[:] = 0
    for d in range(0, len(x), TILE):
        for lane in range(WIDTH):
            s = np.float32(0)
            for k in range(WIDTH):
                i = np.uintp(d + k * WIDTH + lane)
                s += x[i] * y[i]
            out[lane] += s
