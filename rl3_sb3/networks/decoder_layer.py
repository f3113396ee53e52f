"""One decoder layer of a causal transformer, for whole sequences and for one token with a cache.

    h_t <- LayerNorm(h_t + sum_{j <= t} softmax_j(q_t . k_j / sqrt(d_head)) v_j),
    h_t <- LayerNorm(h_t + FeedForward(h_t)).

`transformer` has the whole network and the source. With rotary positions, q and k are rotated
first (see `positions`), and the cache stores rotated keys.
"""

import torch as th
from torch import nn

from rl3_sb3.networks.attention import Places, cached_attention, causal_attention
from rl3_sb3.networks.mlp import Mlp
from rl3_sb3.networks.positions import rotate


class DecoderLayer(nn.Module):
    """Causal self-attention and feed-forward, each followed by a residual and a layer norm.

    Args:
        d_model: Width, a multiple of `n_heads`.
        n_heads: Number of attention heads.
        d_ff: Hidden width of the feed-forward part.
        cpu_kernels: Whether to use `rl3_sb3.cpu_kernels` if they support the tensors.
    """

    def __init__(self, d_model: int, n_heads: int, d_ff: int, *, cpu_kernels: bool) -> None:
        super().__init__()
        self.cpu_kernels = cpu_kernels
        self.n_heads = n_heads
        self.head_dim = d_model // n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.projection = nn.Linear(d_model, d_model)
        self.attention_norm = nn.LayerNorm(d_model)
        self.feed_forward = Mlp(
            nn.Linear(d_model, d_ff),
            nn.GELU(),
            nn.Linear(d_ff, d_model),
            cpu_kernels=cpu_kernels,
        )
        self.output_norm = nn.LayerNorm(d_model)

    def heads(self, h: th.Tensor, turns: th.Tensor | None = None) -> th.Tensor:
        """Return queries, keys and values of whole sequences, shape (B, T, 3, n_heads, head_dim).

        Args:
            h: The layer's inputs, shape (B, T, d_model).
            turns: Rotations of the T positions, from `positions.factors`. None: no rotation.
        """
        B, T, _ = h.shape  # sequences, tokens, d_model
        qkv: th.Tensor = self.qkv(h).view(B, T, 3, self.n_heads, self.head_dim)
        return qkv if turns is None else rotate(qkv, turns)

    def finish(self, h: th.Tensor, attended: th.Tensor) -> th.Tensor:
        """Return the layer's outputs, given the result of attention.

        Args:
            h: The layer's inputs, shape (..., d_model).
            attended: The concatenated results of the heads, of the same shape.
        """
        h = self.attention_norm(h + self.projection(attended))
        out: th.Tensor = self.output_norm(h + self.feed_forward(h))
        return out

    def forward(self, h: th.Tensor, turns: th.Tensor | None = None) -> th.Tensor:
        """Return the layer's outputs for whole sequences.

        Args:
            h: The layer's inputs, shape (B, T, d_model).
            turns: Rotations of the T positions, from `positions.factors`. None: no rotation.

        Returns:
            Shape (B, T, d_model).
        """
        attended = causal_attention(self.heads(h, turns), cpu_kernels=self.cpu_kernels)
        return self.finish(h, attended.reshape(h.shape))

    def step(
        self,
        h: th.Tensor,
        keys: th.Tensor,
        values: th.Tensor,
        places: Places,
        turns: th.Tensor | None = None,
    ) -> th.Tensor:
        """Append one token to the rows of a cache, and return the layer's outputs for it.

        Args:
            h: The token's inputs, shape (B, d_model).
            keys: The cache's keys, shape (B, n_heads, context_length, head_dim); modified.
            values: The cache's values, of the same shape; modified.
            places: Where the new tokens are stored, and what they attend to.
            turns: Rotations of each row's position, or of the position all rows share, from
                `positions.factors`. None: no rotation.
        """
        B, C = h.shape  # rows, d_model
        qkv = self.qkv(h).view(B, 3, self.n_heads, self.head_dim)
        if turns is not None:
            qkv = rotate(qkv, turns)
        attended = cached_attention(qkv, keys, values, places, cpu_kernels=self.cpu_kernels)
        return self.finish(h, attended.view(B, C))
