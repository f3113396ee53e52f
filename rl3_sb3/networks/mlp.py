"""A sequence of layers whose first three, linear, activation, linear, may be computed at once.

y = U f(W x + b) + d,   where f is relu or gelu
"""

import torch as th
from torch import nn

from rl3_sb3 import cpu_kernels as kernels


class Mlp(nn.Sequential):
    """An `nn.Sequential` that is faster for sequences of tokens on one CPU core.

    The fast path needs `nn.Linear`, `nn.ReLU` or `nn.GELU`, `nn.Linear` as the first layers, with
    biases and without wrappers or hooks. Otherwise, and for single tokens, each layer is called.

    Args:
        layers: The layers, as for `nn.Sequential`.
        cpu_kernels: False: always call each layer.
    """

    def __init__(self, *layers: nn.Module, cpu_kernels: bool = True) -> None:
        super().__init__(*layers)
        self.cpu_kernels = cpu_kernels

    def forward(self, x: th.Tensor) -> th.Tensor:
        """Return the last layer's output for x of shape (..., n_inputs)."""
        layers = list(self)
        if self._suits(x, layers):
            x = kernels.mlp(x, *layers[:3])
            layers = layers[3:]
        for layer in layers:
            x = layer(x)
        return x

    def _suits(self, x: th.Tensor, layers: list[nn.Module]) -> bool:
        # Single tokens go to torch: the kernels gain nothing there.
        is_sequences = x.dim() == 3
        return (
            self.cpu_kernels
            and is_sequences
            and kernels.suits(x)
            and kernels.suits_mlp(*layers[:3])
        )
