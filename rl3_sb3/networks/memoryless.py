"""A network without memory: two hidden ReLU layers on the current token.

It has the interface of `CausalTransformer`, so that a policy can hold either.
"""

import numpy as np
import torch as th
from torch import nn

from rl3_sb3.networks.transformer import AttentionCache


class DenseNetwork(nn.Module):
    """From each token vector on its own to an output vector.

    Args:
        input_dim: Length of a token vector.
        output_dim: Length of an output vector.
        hidden: Width of both hidden layers.

    Raises:
        ValueError: `hidden` is below 1.
    """

    def __init__(self, input_dim: int, output_dim: int, hidden: int = 64) -> None:
        super().__init__()
        if hidden < 1:
            raise ValueError(f"`hidden` must be at least 1, got {hidden}.")
        self.body = nn.Sequential(
            nn.Linear(input_dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.head = nn.Linear(hidden, output_dim)

    def forward(self, x: th.Tensor, *, bootstrap: bool = False) -> th.Tensor:
        """Return outputs (..., output_dim) of tokens (..., input_dim); `bootstrap` is moot here."""
        out: th.Tensor = self.head(self.body(x))
        return out

    def new_cache(self, n_rows: int, storage: th.Tensor | None = None) -> AttentionCache:
        """Return a cache without content."""
        return AttentionCache(th.empty(0), np.zeros(n_rows, dtype=np.int64), version=0)

    @th.no_grad()
    def step(self, x: th.Tensor, cache: AttentionCache) -> tuple[th.Tensor, AttentionCache]:
        """Return outputs (B, output_dim) of tokens (B, input_dim), and the cache unchanged."""
        return self(x), cache

    @th.no_grad()
    def static_step(self, x: th.Tensor, storage: th.Tensor, positions: th.Tensor) -> th.Tensor:
        """Return outputs (B, output_dim) of tokens (B, input_dim)."""
        out: th.Tensor = self(x)
        return out

    def require_room(self, n_rows: int, cache: AttentionCache) -> None:
        """Do nothing: nothing is kept."""

    def invalidate_caches(self) -> None:
        """Do nothing: a cache without content is never stale."""
