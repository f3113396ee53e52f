"""Gradients that refuse to be differentiated."""

from collections.abc import Callable
from typing import Any

import torch as th


class Gradient(th.autograd.Function):
    """The gradient of a function of ours, as a function that has none itself.

    torch's `once_differentiable` says nothing where an input is also reached by another way.
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
            "The gradient of a transformer on one core cannot be differentiated again. Take double "
            "precision within torch.nn.attention.sdpa_kernel(SDPBackend.MATH), which can."
        )
