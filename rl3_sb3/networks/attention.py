"""Causal self-attention over whole sequences, by our CPU kernels or by torch.

    attended_t = sum_{j <= t} softmax_j(q_t . k_j / sqrt(D)) v_j

Both take queries, keys and values in one tensor (B, T, 3, n_heads, D), the output of one linear
layer, and return (B, T, n_heads, D).
"""

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


def require_own_tokens(visible: th.Tensor) -> None:
    """Raise ValueError unless all are True: every token must be able to attend to itself."""
    if not bool(visible.all()):
        raise ValueError(
            "Every token must see itself, got one that is hidden from itself. Hide only earlier "
            "tokens."
        )
