"""Layers one after the other, of which linear, activation, linear may be computed at once.

y = U f(W x + b) + d,   f being relu or gelu
"""

import torch as th
from torch import nn

from rl3_sb3 import cpu_kernels as kernels


class Mlp(nn.Sequential):
    """`nn.Sequential` in every way, but faster with some sequences on one CPU core.

    It must begin with `nn.Linear`, `nn.ReLU` or `nn.GELU`, `nn.Linear`, as torch made them: with
    biases, unwrapped, without hooks. Otherwise, and for single tokens, each layer is called.

    Args:
        layers: See `nn.Sequential`.
        cpu_kernels: False calls each layer always.
    """

    def __init__(self, *layers: nn.Module, cpu_kernels: bool = True) -> None:
        super().__init__(*layers)
        self.cpu_kernels = cpu_kernels

    def forward(self, x: th.Tensor) -> th.Tensor:
        """Return what the last layer does, for x of shape (..., n_inputs)."""
        layers = list(self)
        if self._suits(x, layers):
            x = kernels.mlp(x, *layers[:3])
            layers = layers[3:]
        for layer in layers:
            x = layer(x)
        return x

    def _suits(self, x: th.Tensor, layers: list[nn.Module]) -> bool:
        # Single tokens go to torch: a few are too few to gain by, and acting needs no numba.
        is_sequences = x.dim() == 3
        return (
            self.cpu_kernels
            and is_sequences
            and kernels.suits(x)
            and kernels.suits_mlp(*layers[:3])
        )
