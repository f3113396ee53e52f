"""Two linear layers with an activation between them, by whichever of two ways suits."""

import torch as th
from torch import nn

from rl3_sb3 import one_core

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU}


class Mlp(nn.Sequential):
    """U f(W x + b) + d, and what follows.

    Args:
        n_inputs: Length of x.
        n_hidden: Width of the activation.
        n_outputs: Length of y.
        activation: "relu" or "gelu" (the exact one).
        followed_by: Further layers, applied to y.
    """

    def __init__(
        self, n_inputs: int, n_hidden: int, n_outputs: int, activation: str, *followed_by: nn.Module
    ) -> None:
        super().__init__(
            nn.Linear(n_inputs, n_hidden),
            _ACTIVATIONS[activation](),
            nn.Linear(n_hidden, n_outputs),
            *followed_by,
        )
        self.activation = activation
        self.n_hidden = n_hidden

    def forward(self, x: th.Tensor) -> th.Tensor:
        """Return y, or what follows it, for x of shape (..., n_inputs)."""
        first, activation, second, *others = self
        # Single tokens go to torch: a few are too few to gain by, and acting needs no numba.
        if x.dim() == 3 and one_core.suits_mlp(x, self.n_hidden):
            assert isinstance(first, nn.Linear), "made by __init__"
            assert isinstance(second, nn.Linear), "made by __init__"
            y = one_core.mlp(x, first, second, self.activation)
        else:
            y = second(activation(first(x)))
        for layer in others:
            y = layer(y)
        return y
