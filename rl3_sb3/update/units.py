"""The units in which the critic learns: those of the rollout's returns.

A network whose last layer reads normalised features can change its outputs by about the learning
rate at a step. Returns of a hundred then take it ten thousand steps, and until it is there the
advantages say how much of an episode is left, not which action was good. So for the time of an
iteration's updates the last layer gives

    y = (V - m) / s,     m = E[R],     s = max(std(R), sqrt(E[(R - V)^2])),

and is trained towards (R - m) / s. Afterwards it gives V again: y s + m is a linear layer as well.
Nothing is kept from one iteration to the next (but Adam's moments, which are y's), so checkpoints
and exported policies know nothing of it. Without the second term of s, returns that are almost
equal would be a unit of almost nothing.

Source: the rescaling of the last layer is that of PopArt (van Hasselt et al. 2016, arXiv
1602.07714), there with running statistics.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch as th
from torch import nn

from rl3_sb3.ranks import sum_over_ranks
from rl3_sb3.rollout.buffer import SequenceRolloutBuffer


class Units(NamedTuple):
    """Where 0 lies and how large 1 is.

    Attributes:
        mean: m.
        size: s, above 0.
    """

    mean: float
    size: float


PLAIN = Units(0.0, 1.0)


def units_of(rollout: SequenceRolloutBuffer) -> Units:
    """Return the units of a finished rollout's returns, of all ranks together."""
    sums = [float(rollout.ends.size), float(rollout.returns.sum())]
    n_steps, total = sum_over_ranks(th.tensor(sums, dtype=th.float64)).tolist()
    mean = total / n_steps
    differences = (rollout.returns - mean, rollout.returns - rollout.values)
    squares = [float((x**2).sum()) for x in differences]
    largest = max(sum_over_ranks(th.tensor(squares, dtype=th.float64)).tolist())
    return Units(mean, (largest / n_steps) ** 0.5 or 1.0)


@contextmanager
def in_units(head: nn.Linear, units: Units) -> Iterator[None]:
    """Let a critic's last layer give its values in these units, and in the plain ones afterwards.

    Args:
        head: Changed in place.
        units: See the module; `PLAIN` changes nothing.
    """
    if units == PLAIN:
        yield
        return
    with th.no_grad():
        head.weight.div_(units.size)
        head.bias.sub_(units.mean).div_(units.size)
    try:
        yield
    finally:
        with th.no_grad():
            head.weight.mul_(units.size)
            head.bias.mul_(units.size).add_(units.mean)
