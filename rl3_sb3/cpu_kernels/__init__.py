"""Attention and MLPs of a transformer for a single CPU core, replacing torch's.

torch's implementations target wide heads, long sequences and many cores. Policies have narrow heads
and short sequences, and several of them train fastest with one core each.
benchmarks/cpu_kernels.py compares the two.

The kernels are used unless a policy is built with `policy_kwargs={"cpu_kernels": False}`. Where
`suits` is False, torch computes instead, so results differ in rounding between one thread and
several threads, as torch's own results do.

If all numbers are finite, values and gradients equal torch's up to rounding. A number that is not
finite may also affect up to 18 tokens before its own. (`TransformerPPO` rejects such observations,
and stops when parameters become non-finite.) The kernels use private parts of numba and torch.
"""

import numpy as np
import numpy.typing as npt
import torch as th
from torch import nn
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

# Fewer rows are left to torch: a policy that acts in a few environments then never loads numba.
_FEWEST_ROWS = 16

_MLPS = ([nn.Linear, nn.ReLU, nn.Linear], [nn.Linear, nn.GELU, nn.Linear])


def suits(x: th.Tensor) -> bool:
    """Return whether the kernels can be used on a tensor with the process's current settings."""
    return not _is_recorded() and (
        x.device.type == "cpu"
        and x.dtype == th.float32
        and th.get_num_threads() == 1
        and not th.is_autocast_enabled("cpu")
    )


def _is_recorded() -> bool:
    """Return whether torch compiles, traces or transforms the call, which kernels cannot do."""
    return bool(
        th.compiler.is_compiling()
        or th.jit.is_tracing()  # type: ignore[attr-defined] # public, but not to its stubs
        or is_in_torch_dispatch_mode()
        or th._C._are_functorch_transforms_active()
        or th.autograd.forward_ad._current_level >= 0  # kernels have no forward gradient
    )


def causal_attention(qkv: th.Tensor) -> th.Tensor:
    """Return causal attention as `networks.attention` defines it; it has no second derivative.

    Args:
        qkv: Queries, keys and values, shape (B, T, 3, n_heads, D), for which `suits` is True.

    Returns:
        Shape (B, T, n_heads, D).
    """
    # Imported here because loading numba takes half a second (and compiling seconds, once), and
    # acting in a few environments does not need it.
    from rl3_sb3.cpu_kernels.attention import CausalAttention

    out: th.Tensor = CausalAttention.apply(qkv)
    return out


def suits_cached(qkv: th.Tensor, keys: th.Tensor, values: th.Tensor) -> bool:
    """Return whether `cached_attention` can be used, and is worth loading numba for."""
    B, _, _, D = qkv.shape
    are_plain = all(x.dtype == th.float32 and x.is_contiguous() for x in (keys, values))
    return B >= _FEWEST_ROWS and D % 16 == 0 and are_plain and suits(qkv)


def cached_attention(
    qkv: th.Tensor, keys: th.Tensor, values: th.Tensor, positions: npt.NDArray[np.int64]
) -> th.Tensor:
    """Store new keys and values, and return attention to all tokens up to the new ones.

    Args:
        qkv: Queries, keys and values of the new tokens, shape (B, 3, n_heads, D), without a
            gradient. `suits_cached` must be True.
        keys: The stored keys, shape (B, n_heads, context_length, D); modified.
        values: The stored values, of the same shape; modified.
        positions: Number of each row's earlier tokens, shape (B,).

    Returns:
        Shape (B, n_heads, D).
    """
    from rl3_sb3.cpu_kernels.attention_step import append_kernel

    B, _, n_heads, D = qkv.shape
    attended = qkv.new_empty(B, n_heads, D)
    arrays = (x.numpy() for x in (qkv.contiguous(), keys, values))
    append_kernel(*arrays, positions, attended.numpy())
    return attended


def suits_mlp(*layers: nn.Module) -> bool:
    """Return whether `mlp` can be used with these layers.

    Layers with hooks and subclasses are excluded, because `mlp` would skip their code.
    """
    return (
        [type(layer) for layer in layers] in _MLPS
        and not any(_has_hooks(layer) for layer in layers)
        and _fills_registers(layers[0])
        and layers[2].bias is not None
        and getattr(layers[1], "approximate", "none") == "none"
    )


def _has_hooks(layer: nn.Module) -> bool:
    return bool(
        layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._backward_hooks
        or layer._backward_pre_hooks
    )


def _fills_registers(layer: nn.Module) -> bool:
    # Check the tensors, not `out_features`, which may be wrong if the tensors were replaced.
    weight, bias = layer.weight, layer.bias
    if not isinstance(weight, th.Tensor) or not isinstance(bias, th.Tensor):
        return False
    n_hidden = len(weight)
    return n_hidden % 16 == 0 and bias.shape == (n_hidden,) and bias.dtype == th.float32


def mlp(x: th.Tensor, *layers: nn.Module) -> th.Tensor:
    """Return linear, activation and linear applied to x; the result has no second derivative.

    Args:
        x: Shape (..., n_inputs), for which `suits` is True.
        layers: The three layers, for which `suits_mlp` is True.
    """
    from rl3_sb3.cpu_kernels.two_layers import TwoLayers

    first, activation, second = layers
    rows: th.Tensor = TwoLayers.apply(
        x.reshape(-1, x.shape[-1]),
        first.weight,
        first.bias,
        second.weight,
        second.bias,
        isinstance(activation, nn.GELU),
        th.is_grad_enabled(),
    )
    return rows.view(*x.shape[:-1], rows.shape[-1])
