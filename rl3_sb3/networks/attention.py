"""Causal self-attention over whole sequences, by whichever of two ways suits.

    attended_t = sum_{j <= t} softmax_j(q_t . k_j / sqrt(D)) v_j

Both take (B, T, 3, n_heads, D), queries, keys and values as one linear layer leaves them, and
return (B, T, n_heads, D).
"""

import torch as th
import torch.nn.functional as F

from rl3_sb3 import cpu_kernels as kernels


def causal_attention(qkv: th.Tensor, *, cpu_kernels: bool) -> th.Tensor:
    """Return what each token gathers from itself and the tokens before it.

    Args:
        qkv: See the module.
        cpu_kernels: Take our own kernels where they suit; False: always torch's.
    """
    if cpu_kernels and kernels.suits(qkv):
        return kernels.causal_attention(qkv)
    return torch_attention(qkv)


def torch_attention(qkv: th.Tensor) -> th.Tensor:
    """Return the same from torch's fused attention, on any device and in any precision."""
    q, k, v = (x.transpose(1, 2) for x in qkv.unbind(2))  # (B, n_heads, T, D)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)


def require_own_tokens(visible: th.Tensor) -> None:
    """Raise ValueError unless all are True: a token without any other attends to itself."""
    if not bool(visible.all()):
        raise ValueError(
            "Every token must see itself, got one that is hidden from itself. Hide earlier tokens "
            "only."
        )
