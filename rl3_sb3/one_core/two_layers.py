"""Two linear layers with an activation f between them, and their gradient, on one CPU core.

    a = f(x W^T + b),   y = a U^T + d

and back from g, the gradient of y:

    dh = g U f',   dU = g^T a,   dd = sum g,   dW = dh^T x,   db = sum dh,   dx = dh W

The products are torch's. What is saved is passing over memory: the bias is added by the activation,
which also leaves f' behind, and each product is asked for in the order that is faster.
"""

from typing import Any

import torch as th

from rl3_sb3.one_core.activations import gelu, relu
from rl3_sb3.one_core.once_differentiable import Gradient

_KERNELS = {"gelu": gelu, "relu": relu}


class TwoLayers(th.autograd.Function):
    """Both layers as a function of torch; see `one_core.mlp`."""

    @staticmethod
    def forward(
        ctx: Any,
        x: th.Tensor,
        W: th.Tensor,
        b: th.Tensor,
        U: th.Tensor,
        d: th.Tensor,
        activation: str,
        keep: bool,
    ) -> th.Tensor:
        """Compute, and keep what the gradient needs, or nothing if there will be none."""
        rows = x.reshape(-1, x.shape[-1])
        a = rows @ W.T
        slope = th.empty_like(a) if keep else a.new_empty(0)
        _KERNELS[activation](a.numpy(), b.detach().numpy(), slope.numpy())
        if keep:
            ctx.save_for_backward(x, W, a, slope, U)
        return th.addmm(d, a, U.T).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, gradient: th.Tensor) -> Any:
        """Return the gradients of the tensors that went in."""
        compute = _gradients if ctx.needs_input_grad[0] else _gradients_but_of_x
        return *Gradient.apply(compute, gradient, *ctx.saved_tensors), None, None


def _gradients(
    gradient: th.Tensor, x: th.Tensor, W: th.Tensor, a: th.Tensor, slope: th.Tensor, U: th.Tensor
) -> tuple[th.Tensor | None, ...]:
    dh, others = _of_parameters(gradient, x, a, slope, U)
    return (dh @ W).view(x.shape), *others


def _gradients_but_of_x(
    gradient: th.Tensor, x: th.Tensor, W: th.Tensor, a: th.Tensor, slope: th.Tensor, U: th.Tensor
) -> tuple[th.Tensor | None, ...]:
    _, others = _of_parameters(gradient, x, a, slope, U)
    return None, *others


def _of_parameters(
    gradient: th.Tensor, x: th.Tensor, a: th.Tensor, slope: th.Tensor, U: th.Tensor
) -> tuple[th.Tensor, tuple[th.Tensor, ...]]:
    g, rows = gradient.reshape(-1, gradient.shape[-1]), x.reshape(-1, x.shape[-1])
    dh = (g @ U).mul_(slope)
    # x^T dh, turned over: with few inputs, dh^T x takes twice as long.
    dW = (rows.T @ dh).T.contiguous()
    return dh, (dW, dh.sum(0), g.T @ a, g.sum(0))
