"""Causal self-attention, by our CPU kernels or by torch.

    attended_t = sum_{j <= t} softmax_j(q_t . k_j / sqrt(D)) v_j

Either of whole sequences, or of each row's new token to those whose keys and values are stored.
Queries, keys and values are in one tensor, (B, T, 3, n_heads, D) or (B, 3, n_heads, D), the output
of one linear layer; the result is (B, T, n_heads, D) or (B, n_heads, D).
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch as th
import torch.nn.functional as F

from rl3_sb3 import cpu_kernels as kernels


def causal_attention(qkv: th.Tensor, *, cpu_kernels: bool) -> th.Tensor:
    """Return what each token attends to among itself and earlier tokens, (B, T, n_heads, D).

    Args:
        qkv: Queries, keys and values, shape (B, T, 3, n_heads, D).
        cpu_kernels: Whether to use our CPU kernels if they support the tensor.
    """
    if cpu_kernels and kernels.suits(qkv):
        return kernels.causal_attention(qkv)
    return torch_attention(qkv)


def torch_attention(qkv: th.Tensor) -> th.Tensor:
    """Return causal attention by torch's fused function, on any device and in any precision."""
    q, k, v = (x.transpose(1, 2) for x in qkv.unbind(2))  # (B, n_heads, T, D)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)


class Places(NamedTuple):
    """Where each row's new token is stored, and which tokens it attends to.

    Attributes:
        where: Index of the new tokens in keys and values, (B, n_heads, context_length, D).
        length: Number of tokens to read, from the first on.
        hidden: True at tokens not to attend to, shape (B, 1, 1, length). None: none.
        positions: Number of each row's earlier tokens, shape (B,), on the host, if each new token
            attends to all of them; else None.
    """

    where: tuple[Any, ...]
    length: int
    hidden: th.Tensor | None
    positions: npt.NDArray[np.int64] | None


def cached_attention(
    qkv: th.Tensor, keys: th.Tensor, values: th.Tensor, places: Places, *, cpu_kernels: bool
) -> th.Tensor:
    """Store the new keys and values, and return what each new token attends to, (B, n_heads, D).

    Args:
        qkv: Queries, keys and values of the new tokens, shape (B, 3, n_heads, D).
        keys: The stored keys, shape (B, n_heads, context_length, D); modified.
        values: The stored values, of the same shape; modified.
        places: See `Places`.
        cpu_kernels: Whether to use our CPU kernels if they support the tensors.
    """
    if cpu_kernels and places.positions is not None and kernels.suits_cached(qkv, keys, values):
        return kernels.cached_attention(qkv, keys, values, places.positions)
    q, k, v = qkv.unbind(1)
    keys[places.where] = k.to(keys.dtype)
    values[places.where] = v.to(values.dtype)
    # Plain batched products are faster than fused attention on a CPU with one query per row.
    # (B, n_heads, 1, D) @ (B, n_heads, D, length)
    scores = (q * q.shape[-1] ** -0.5).unsqueeze(2) @ keys[:, :, : places.length].mT
    if places.hidden is not None:
        scores = scores.masked_fill_(places.hidden, -th.inf)
    attended: th.Tensor = scores.softmax(-1) @ values[:, :, : places.length]
    return attended.squeeze(2)


def require_own_tokens(visible: th.Tensor) -> None:
    """Raise ValueError unless all are True: every token must be able to attend to itself."""
    if not bool(visible.all()):
        raise ValueError(
            "Every token must see itself, got one that is hidden from itself. Hide only earlier "
            "tokens."
        )
