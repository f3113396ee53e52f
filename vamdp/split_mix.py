"""Random numbers in compiled code: one stream of eight bytes per row.

The generator is SplitMix64 (Steele, Lea and Flood, 2014; public domain): each draw increments a
counter and hashes it.
"""

import numpy as np
import numpy.typing as npt

from vamdp.compiled import njit

# The increment, 2**64 divided by the golden ratio, and the multipliers of the hash.
_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)
_SHIFT_1, _SHIFT_2, _SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)

# A float64 holds 53 bits: the top 53 of 64 bits, times 2**-53, are uniform on [0, 1).
_TO_53_BITS = np.uint64(11)
_ULP = 2.0**-53


def first_counters(n_rows: int) -> npt.NDArray[np.uint64]:
    """Return arbitrary initial counters of streams without a seed, shape (n_rows,)."""
    return np.random.SeedSequence().generate_state(n_rows, np.uint64).astype(np.uint64)


def counter_of(seed: int) -> np.uint64:
    """Return the initial counter of a seed's stream."""
    counter: np.uint64 = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    return counter


@njit(cache=True, borrows=True)
def uniform(counters, i):
    """Draw from [0, 1) with stream i; counters (n_rows,) are the streams' states."""
    counters[i] += _INCREMENT
    z = counters[i]
    z = (z ^ (z >> _SHIFT_1)) * _MULTIPLIER_1
    z = (z ^ (z >> _SHIFT_2)) * _MULTIPLIER_2
    z = z ^ (z >> _SHIFT_3)
    return np.float64(z >> _TO_53_BITS) * _ULP


@njit(cache=True, inline="always")
def draw(i, n, random):
    """Draw an integer in [0, n) from the stream of row i; random (n_rows,) are the counters."""
    return np.int64(uniform(random, i) * n)
