"""Powers of two of whole arrays, in vector instructions.

x = k + f with k the nearest integer. 2^f is a polynomial, 2^k is k written into a float's exponent.
"""

import math

import numpy as np
from numba import njit

# 2^f = 1 + sum_k c_k f^k with c_k = ln(2)^k / k!, exact to 5e-9 for |f| <= 1/2.
_C1, _C2, _C3, _C4, _C5, _C6, _C7 = (
    np.float32(math.log(2) ** k / math.factorial(k)) for k in range(1, 8)
)
_MANTISSA_BITS = 23  # of a float32; above them lies the exponent plus its bias
_EXPONENT_BIAS = 127


@njit(cache=True, fastmath={"contract"})
def exp2(x, scratch):
    """Replace x by 2^x.

    Args:
        x: Flat; at most 1/2, as a softmax's are. Below -126.5 the result is 0; NaN stays NaN.
        scratch: As long.
    """
    for i in range(len(x)):
        y = x[i]
        y = np.float32(-_EXPONENT_BIAS) if y < np.float32(-_EXPONENT_BIAS) else y
        k = np.int32(y - np.float32(0.5))  # towards zero, so this is the nearest
        f = y - np.float32(k)
        x[i] = np.float32(1) + f * (
            _C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * (_C5 + f * (_C6 + f * _C7)))))
        )
        scratch[i] = (k + np.int32(_EXPONENT_BIAS)) << np.int32(_MANTISSA_BITS)
    power = scratch.view(np.float32)
    for i in range(len(x)):
        x[i] *= power[i]
