"""Layers one after the other, of which linear, activation, linear may be computed at once.

y = U f(W x + b) + d,   f being relu or gelu
"""

import torch as th
from torch import nn

from rl3_sb3 import cpu_kernels


class Mlp(nn.Sequential):
    """`nn.Sequential` in every way, but faster with some sequences on one CPU core.

    It must begin with `nn.Linear`, `nn.ReLU` or `nn.GELU`, `nn.Linear`, as torch made them: with
    biases, unwrapped, without hooks. Otherwise, and for single tokens, each layer is called.
    """

    def forward(self, x: th.Tensor) -> th.Tensor:
        """Return what the last layer does, for x of shape (..., n_inputs)."""
        layers = list(self)
        # Single tokens go to torch: a few are too few to gain by, and acting needs no numba.
        if x.dim() == 3 and cpu_kernels.suits(x) and cpu_kernels.suits_mlp(*layers[:3]):
            x = cpu_kernels.mlp(x, *layers[:3])
            layers = layers[3:]
        for layer in layers:
            x = layer(x)
        return x
