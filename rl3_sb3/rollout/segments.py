"""Find the sequences of a rollout, and distribute them over minibatches.

A *segment* consists of an environment's steps from the start of an episode (or of the rollout) to
its end (or the rollout's). Steps are counted in the flat order n_envs * n_steps, in which a segment
is contiguous. Segments are never cut, so minibatches are as equal as whole segments allow.
"""

from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]


class Segments(NamedTuple):
    """The S segments of a rollout.

    Attributes:
        starts: Flat index of each segment's first step, shape (S,).
        lengths: Number of steps in each segment, shape (S,).
    """

    starts: Ids
    lengths: Ids

    @classmethod
    def between(cls, ends: npt.NDArray[np.bool_]) -> Self:
        """Find the segments of a rollout.

        Args:
            ends: True at the last step of each segment, shape (n_envs, n_steps). The last column is
                all True, so that rows never join.
        """
        last = np.flatnonzero(ends)
        starts = np.concatenate([[0], last[:-1] + 1])
        return cls(starts, last - starts + 1)

    @property
    def aligned(self) -> bool:
        """Whether all segments have the same length."""
        return bool((self.lengths == self.lengths[0]).all())

    def deal(self, order: Ids, n_batches: int) -> list[Ids]:
        """Return the segments of each minibatch; one may be empty if segments are long.

        Every minibatch gets an equal share of the steps. Full minibatches and a small rest would
        give the rest's noisy gradient the same weight as the others.

        Args:
            order: The segments' numbers in the order in which they are distributed, shape (S,).
            n_batches: Number of minibatches.
        """
        lengths = self.lengths[order]
        steps_before = np.cumsum(lengths) - lengths
        share = steps_before * n_batches // lengths.sum()  # (S,) index of the minibatch
        return [order[share == i] for i in range(n_batches)]

    def indices(self, ids: Ids, T: int) -> tuple[Ids, npt.NDArray[np.bool_]]:
        """Return flat indices of the segments' first T steps, and where these are real.

        Padding repeats the segment's last step: starts 0, 3, lengths 3, 2, T = 3 gives
        [[0, 1, 2], [3, 4, 4]] and [[1, 1, 1], [1, 1, 0]].

        Returns:
            Both of shape (len(ids), T).
        """
        steps = np.arange(T)
        lengths = self.lengths[ids, None]
        return self.starts[ids, None] + np.minimum(steps, lengths - 1), steps < lengths
