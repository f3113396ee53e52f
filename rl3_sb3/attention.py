"""Causal self-attention over whole sequences: torch's own, or faster on a single CPU core.

    attended_t = sum_{j <= t} softmax_j(q_t . k_j / sqrt(head_dim)) v_j

torch's fused attention is made for long sequences and wide heads. Policies have short ones and
narrow ones, and in their training on one core, attention was a quarter of the time; there, in
single precision, `attention_kernels` takes its place. The two agree to rounding, as torch's does
with itself on another number of threads.
"""

from typing import Any

import torch as th
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

from rl3_sb3.attention_kernels import backward_kernel, forward_kernel


def causal_attention(qkv: th.Tensor) -> th.Tensor:
    """Return what each token gathers from itself and the tokens before it.

    Args:
        qkv: Shape (B, T, 3, n_heads, head_dim): queries, keys and values.

    Returns:
        Shape (B, T, n_heads, head_dim).
    """
    if _on_one_core(qkv):
        out: th.Tensor = _OneCoreAttention.apply(qkv)
        return out
    q, k, v = (x.transpose(1, 2) for x in qkv.unbind(2))  # (B, n_heads, T, head_dim)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)


def _on_one_core(qkv: th.Tensor) -> bool:
    return (
        qkv.device.type == "cpu"
        and qkv.dtype == th.float32
        and th.get_num_threads() == 1
        and not th.compiler.is_compiling()  # which cannot look into a kernel
    )


class _OneCoreAttention(th.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: th.Tensor) -> th.Tensor:
        B, T, _, n_heads, head_dim = qkv.shape
        qkv = qkv.detach().contiguous()
        attended = qkv.new_empty(B, T, n_heads, head_dim)
        normalisers = qkv.new_empty(B, n_heads, T)
        forward_kernel(qkv.numpy(), attended.numpy(), normalisers.numpy())
        ctx.save_for_backward(qkv, attended, normalisers)
        return attended

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: th.Tensor) -> th.Tensor:
        qkv, attended, normalisers = ctx.saved_tensors
        d_qkv = th.empty_like(qkv)
        arrays = (x.detach().numpy() for x in (gradient.contiguous(), qkv, attended, normalisers))
        backward_kernel(*arrays, d_qkv.numpy())
        return d_qkv
