"""Random numbers in compiled code: one stream of eight bytes per row.

The generator is SplitMix64 (Steele, Lea and Flood, 2014; public domain): each draw increments a
counter and hashes it.
"""

import numpy as np
import numpy.typing as npt

from vamdp.compiled import njit

_STEP, _MIX_1, _MIX_2 = (
    np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def first_counters(n_rows: int) -> npt.NDArray[np.uint64]:
    """Return arbitrary initial counters of streams without a seed, shape (n_rows,)."""
    return np.random.SeedSequence().generate_state(n_rows, np.uint64).astype(np.uint64)


def counter_of(seed: int) -> np.uint64:
    """Return the initial counter of a seed's stream."""
    counter: np.uint64 = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    return counter


@njit(cache=True, inline="always")
def draw(i, n, random):
    """Draw an integer in [0, n) from the stream of row i; random (n_rows,) are the counters."""
    random[i] += _STEP
    z = random[i]
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    z ^= z >> np.uint64(31)
    return np.int64(np.float64(z >> np.uint64(11)) * 2.0**-53 * n)
