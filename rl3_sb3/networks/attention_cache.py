"""What a causal transformer remembers: the keys and values of the tokens so far."""

from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch as th

from rl3_sb3.networks.network import Tensors
from rl3_sb3.to_device import to_device


class AttentionCache(NamedTuple):
    """Keys and values of the tokens so far: what the cached step passes from one call to the next.

    Each step returns a new cache with positions of its own and the *same* storage. Stepping twice
    from one cache is fine (the second call overwrites what the first wrote); stepping from an older
    cache with another token makes the newer ones invalid: `copy.deepcopy` it to branch.

    Attributes:
        storage: Shape (n_layers, 2, B, n_heads, context_length, head_dim): keys, then values.
        positions: Shape (B,): how many tokens each row holds. Kept on the host, so that deciding
            between aligned and ragged rows never waits for a GPU.
        weight_version: The state of the weights the content was computed with.
    """

    storage: th.Tensor
    positions: npt.NDArray[np.int64]
    weight_version: int

    def reset_rows(self, rows: npt.NDArray[np.bool_]) -> Self:
        """Return the cache with these rows empty; the other rows and the storage stay.

        Args:
            rows: Shape (B,): True where a new episode starts.
        """
        return self._replace(positions=np.where(rows, 0, self.positions))

    def tensors(self) -> Tensors:
        """Return the positions, on the device; the storage stays where it is."""
        return (to_device(self.positions, self.storage.device),)

    def stepped(self, tensors: Tensors) -> Self:
        """Return the cache with one token more in each row: the host counts without asking."""
        return self._replace(positions=self.positions + 1)
