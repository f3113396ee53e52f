"""The parts of a transformer for a single CPU core, in the place of torch's.

torch's are made for wide heads, long sequences and many cores. Policies have narrow heads and short
sequences, and many of them train fastest with a core each. Measured beside torch's in
benchmarks/one_core.py.

They give torch's values and gradients up to rounding, where scores are finite; values that are not
may reach the tokens up to 15 before their own. Wherever `suits` says no, torch does the work; so
results differ in rounding between one thread and several, as torch's own do.
"""

import torch as th
from torch import nn
from torch.utils._python_dispatch import is_in_torch_dispatch_mode


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
    """Return `rl3_sb3.attention.causal_attention`; its gradient cannot be differentiated again.

    Args:
        qkv: Queries, keys and values, shape (B, T, 3, n_heads, D); `suits`.

    Returns:
        Shape (B, T, n_heads, D).
    """
    # numba takes half a second to load (the first time of all it also compiles, for seconds), and
    # acting needs none of it.
    from rl3_sb3.one_core.attention import CausalAttention

    out: th.Tensor = CausalAttention.apply(qkv)
    return out


def suits_mlp(x: th.Tensor, n_hidden: int) -> bool:
    """Return whether `mlp` can be used: `suits`, and the hidden units must fill registers."""
    return n_hidden % 16 == 0 and suits(x)


def mlp(x: th.Tensor, first: nn.Linear, second: nn.Linear, activation: str) -> th.Tensor:
    """Return `second(activation(first(x)))`; its gradient cannot be differentiated again.

    Args:
        x: Shape (..., n_inputs); `suits_mlp`.
        first: Has a bias.
        second: Has a bias.
        activation: "relu" or "gelu".
    """
    from rl3_sb3.one_core.two_layers import TwoLayers

    parameters = first.weight, first.bias, second.weight, second.bias
    out: th.Tensor = TwoLayers.apply(x, *parameters, activation, th.is_grad_enabled())
    return out
