"""The parts of a transformer for a single CPU core, in the place of torch's.

torch's are made for wide heads, long sequences and many cores. Policies have narrow heads and short
sequences, and many of them train fastest with a core each. Measured beside torch's in
benchmarks/cpu_kernels.py.

They are on unless a policy is made with `policy_kwargs={"cpu_kernels": False}`. Wherever `suits`
says no, torch does the work; so results differ in rounding between one thread and several, as
torch's own do.

They give torch's values and gradients up to rounding, where all numbers are finite; others may
reach the tokens up to 18 before their own. (`TransformerPPO` refuses such observations, and stops
where parameters become such.) They use parts of numba and torch that are not public.
"""

import torch as th
from torch import nn
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

_MLPS = ([nn.Linear, nn.ReLU, nn.Linear], [nn.Linear, nn.GELU, nn.Linear])


def suits(x: th.Tensor) -> bool:
    """Return whether these parts can be used on a tensor, as the process is set now."""
    return not _is_recorded() and (
        x.device.type == "cpu"
        and x.dtype == th.float32
        and th.get_num_threads() == 1
        and not th.is_autocast_enabled("cpu")
    )


def _is_recorded() -> bool:
    """Return whether torch compiles, records or transforms the call, which a kernel cannot be."""
    return bool(
        th.compiler.is_compiling()
        or th.jit.is_tracing()  # type: ignore[attr-defined] # public, but not to its stubs
        or is_in_torch_dispatch_mode()
        or th._C._are_functorch_transforms_active()
    )


def causal_attention(qkv: th.Tensor) -> th.Tensor:
    """Return what `networks.attention.causal_attention` does, with a gradient that has none.

    Args:
        qkv: Queries, keys and values, shape (B, T, 3, n_heads, D); `suits`.

    Returns:
        Shape (B, T, n_heads, D).
    """
    # numba takes half a second to load (the first time of all it also compiles, for seconds), and
    # acting needs none of it.
    from rl3_sb3.cpu_kernels.attention import CausalAttention

    out: th.Tensor = CausalAttention.apply(qkv)
    return out


def suits_mlp(*layers: nn.Module) -> bool:
    """Return whether `mlp` can be used with these layers.

    Hooks would be skipped, and a subclass's own computation would be lost.
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
    # Asked of the tensors: whoever replaces them need not keep `out_features` true.
    weight, bias = layer.weight, layer.bias
    if not isinstance(weight, th.Tensor) or not isinstance(bias, th.Tensor):
        return False
    n_hidden = len(weight)
    return n_hidden % 16 == 0 and bias.shape == (n_hidden,) and bias.dtype == th.float32


def mlp(x: th.Tensor, *layers: nn.Module) -> th.Tensor:
    """Return what linear, activation and linear do; the gradient cannot be differentiated again.

    Args:
        x: Shape (..., n_inputs); `suits`.
        layers: Three; `suits_mlp`.
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
