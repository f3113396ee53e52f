"""Powers of two of 16 lanes.

x = k + f, where k is the nearest integer. 2^f is a polynomial, and 2^k is k in a float's exponent.
"""

import math

import numpy as np
from numba.extending import register_jitable

from rl3_sb3.cpu_kernels.simd16 import everywhere, larger, multiply_add, nearest, power_of_two

# 2^f = 1 + sum_k c_k f^k with c_k = ln(2)^k / k!, exact to 6e-9 for |f| <= 1/2.
_C1, _C2, _C3, _C4, _C5, _C6, _C7 = (
    np.float32(math.log(2) ** k / math.factorial(k)) for k in range(1, 8)
)
_LEAST = np.float32(-127)  # 2^x is 0 here and below


@register_jitable
def exp2(x):
    """Return 2^x.

    Args:
        x: Lanes below 127, which a softmax guarantees. Below -126.5 the result is 0; NaN stays NaN.
    """
    x = larger(x, everywhere(_LEAST))
    k = nearest(x)
    f = x - k
    y = multiply_add(f, everywhere(_C7), everywhere(_C6))
    y = multiply_add(f, y, everywhere(_C5))
    y = multiply_add(f, y, everywhere(_C4))
    y = multiply_add(f, y, everywhere(_C3))
    y = multiply_add(f, y, everywhere(_C2))
    y = multiply_add(f, y, everywhere(_C1))
    y = multiply_add(f, y, everywhere(np.float32(1)))
    return y * power_of_two(k)
