"""Gradients that raise an error when they are differentiated again."""

from collections.abc import Callable
from typing import Any

import torch as th


class Gradient(th.autograd.Function):
    """The gradient of one of our functions, as a function without a gradient.

    torch's `once_differentiable` raises no error if an input is also reached on another path.
    """

    @staticmethod
    def forward(
        ctx: Any, compute: Callable[..., Any], gradient: th.Tensor, *kept: th.Tensor
    ) -> Any:
        """Return `compute(gradient, *kept)`."""
        return compute(gradient, *kept)

    @staticmethod
    def backward(ctx: Any, *gradients: th.Tensor) -> Any:
        """Raise RuntimeError."""
        raise RuntimeError(
            "The gradient of the CPU kernels cannot be differentiated again. For second "
            "derivatives, use double precision within "
            "torch.nn.attention.sdpa_kernel(SDPBackend.MATH)."
        )
