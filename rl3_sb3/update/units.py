"""Train the critic in the units of the rollout's returns.

A network whose last layer reads normalised features can change its outputs by about the learning
rate per step. Returns of about 100 then take ten thousand steps; until then, advantages reflect how
much of an episode is left, not which action was good. So during an iteration's updates, the last
layer outputs

    y = (V - m) / s,     m = E[R],     s = max(std(R), sqrt(E[(R - V)^2])),

and is trained towards (R - m) / s. Afterwards it outputs V again: y s + m is a linear layer too.
Nothing is kept between iterations (except Adam's moments, which are those of y), so checkpoints and
exported policies are not affected. The second term of s prevents a tiny unit if returns are almost
equal.

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
    """The zero and the unit of a scale.

    Attributes:
        mean: m, the zero.
        size: s, the unit, above 0.
    """

    mean: float
    size: float


PLAIN = Units(0.0, 1.0)


def units_of(rollout: SequenceRolloutBuffer) -> Units:
    """Return the units of a finished rollout's returns, over all ranks."""
    sums = [float(rollout.ends.size), float(rollout.returns.sum())]
    n_steps, total = sum_over_ranks(th.tensor(sums, dtype=th.float64)).tolist()
    mean = total / n_steps
    differences = (rollout.returns - mean, rollout.returns - rollout.values)
    squares = [float((x**2).sum()) for x in differences]
    largest = max(sum_over_ranks(th.tensor(squares, dtype=th.float64)).tolist())
    return Units(mean, (largest / n_steps) ** 0.5 or 1.0)


@contextmanager
def in_units(head: nn.Linear, units: Units) -> Iterator[None]:
    """Make a critic's last layer output values in these units, and restore it afterwards.

    Args:
        head: The last layer, changed in place.
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
