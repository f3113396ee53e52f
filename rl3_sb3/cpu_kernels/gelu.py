"""The gelu together with its derivative, so that the backward pass is one multiplication.

    gelu(v) = v Phi(v),   gelu'(v) = Phi(v) + v phi(v)

where Phi and phi are the standard normal distribution and density. For u = |v|, c = 1 - Phi(u) is
phi(u), which both use, times a polynomial in t = 1 / (1 + p u): Abramowitz and Stegun 1964, 7.1.26,
exact to 1e-7. By symmetry

    gelu(v) = max(v, 0) - u c,   gelu'(v) = w for v < 0, else 1 - w,   with w = c - u phi(u).
"""

import math

import numpy as np

from rl3_sb3.cpu_kernels.compiled import njit
from rl3_sb3.cpu_kernels.exp2 import exp2
from rl3_sb3.cpu_kernels.simd16 import (
    WIDTH,
    absolute,
    everywhere,
    larger,
    load,
    multiply_add,
    negative_or,
    store,
)

_ZERO, _ONE = np.float32(0), np.float32(1)
# exp(-v^2 / 2) = 2^(v^2 _EXPONENT)
_EXPONENT = np.float32(-math.log2(math.e) / 2)
_DENSITY = np.float32(1 / math.sqrt(2 * math.pi))
# 7.1.26 for erfc(u / sqrt(2)) / 2, t = 1 / (1 + p u / sqrt(2))
_P = np.float32(0.3275911 / math.sqrt(2))
_A1, _A2, _A3, _A4, _A5 = (
    np.float32(a / 2) for a in (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
)


@njit(cache=True, nogil=True)
def gelu(h, bias, slope):
    """Add the bias to h and apply the gelu, in place; infinite numbers become NaN.

    Args:
        h: Input and output, shape (N, n_units), n_units a multiple of 16.
        bias: Shape (n_units,).
        slope: Output gelu'(h + bias), shape (N, n_units). Empty: not computed.
    """
    x, slopes, n_units = h.reshape(-1), slope.reshape(-1), len(bias)
    wanted = len(slopes) > 0
    one = everywhere(_ONE)
    for row in range(0, len(x), n_units):
        for i in range(0, n_units, WIDTH):
            v = load(x, row + i) + load(bias, i)
            u = absolute(v)
            e = exp2(v * v * everywhere(_EXPONENT))
            t = one / multiply_add(u, everywhere(_P), one)
            c = multiply_add(t, everywhere(_A5), everywhere(_A4))
            c = multiply_add(t, c, everywhere(_A3))
            c = multiply_add(t, c, everywhere(_A2))
            c = multiply_add(t, c, everywhere(_A1))
            c = c * t * e
            store(larger(v, everywhere(_ZERO)) - u * c, x, row + i)
            if wanted:
                w = c - u * e * everywhere(_DENSITY)
                store(negative_or(v, w, one - w), slopes, row + i)
