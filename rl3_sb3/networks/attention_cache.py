"""The memory of a causal transformer: the keys and values of the tokens so far."""

from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch as th

from rl3_sb3.networks.network import Tensors
from rl3_sb3.to_device import to_device


class AttentionCache(NamedTuple):
    """Keys and values of the tokens so far, passed from one cached step to the next.

    Each step returns a new cache with its own positions and the *same* storage. Stepping twice from
    one cache with the same token gives the same result. Stepping from an older cache with another
    token invalidates the newer caches; use `copy.deepcopy` to branch.

    Attributes:
        storage: Keys, then values, shape (n_layers, 2, B, n_heads, context_length, head_dim).
        positions: Number of tokens in each row, shape (B,). They are on the host, so that choosing
            between aligned and ragged rows does not wait for a GPU.
        weight_version: The version of the weights that computed the content.
    """

    storage: th.Tensor
    positions: npt.NDArray[np.int64]
    weight_version: int

    def reset_rows(self, rows: npt.NDArray[np.bool_]) -> Self:
        """Return the cache with these rows empty; other rows and the storage do not change.

        Args:
            rows: Shape (B,): True where a new episode starts.
        """
        return self._replace(positions=np.where(rows, 0, self.positions))

    def tensors(self) -> Tensors:
        """Return the positions, on the device; the storage is not included."""
        return (to_device(self.positions, self.storage.device),)

    def stepped(self, tensors: Tensors) -> Self:
        """Return the cache with one more token in each row; the host counts by itself."""
        return self._replace(positions=self.positions + 1)
