"""What the tests of several learners share."""

import numpy as np
import pytest

MOST = 2**64


class SplitMix64:
    """As published: a counter that is stepped, and mixed into a number of 64 bits."""

    def __init__(self, seed):
        self.counter = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])

    def below(self, n):
        self.counter = z = (self.counter + 0x9E3779B97F4A7C15) % MOST
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % MOST
        z = (z ^ z >> 27) * 0x94D049BB133111EB % MOST
        z ^= z >> 31
        return int((z >> 11) / 2**53 * n)


@pytest.fixture
def stream_of():
    """seed -> the stream that a learner draws from, in plain Python."""
    return SplitMix64
