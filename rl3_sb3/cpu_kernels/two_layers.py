"""Two linear layers with an activation f between them, and their gradient, on one CPU core.

    a = f(x W^T + b),   y = a U^T + d

The backward pass, from the gradient g of y:

    dh = g U f',   dU = g^T a,   dd = sum g,   dW = dh^T x,   db = sum dh,   dx = dh W

torch computes the products. The time saved is in passes over memory: the gelu also adds the bias
and computes f', and each product uses the faster of its two orders.
"""

from functools import partial
from typing import Any

import torch as th

from rl3_sb3.cpu_kernels.gelu import gelu
from rl3_sb3.cpu_kernels.once_differentiable import Gradient


class TwoLayers(th.autograd.Function):
    """Both layers as an autograd function; see `cpu_kernels.mlp`."""

    @staticmethod
    def forward(
        ctx: Any,
        x: th.Tensor,
        W: th.Tensor,
        b: th.Tensor,
        U: th.Tensor,
        d: th.Tensor,
        is_gelu: bool,
        keep: bool,
    ) -> th.Tensor:
        """Return y, shape (N, n_outputs).

        Args:
            ctx: torch's context.
            x: Shape (N, n_inputs).
            W: Shape (n_hidden, n_inputs).
            b: Shape (n_hidden,).
            U: Shape (n_outputs, n_hidden).
            d: Shape (n_outputs,).
            is_gelu: Whether f is the gelu; otherwise it is the ReLU.
            keep: Whether to save what the gradient needs.
        """
        if is_gelu:
            a = x @ W.T
            slope = th.empty_like(a) if keep else a.new_empty(0)
            gelu(a.numpy(), b.detach().contiguous().numpy(), slope.numpy())
        else:
            a = th.addmm(b, x, W.T).relu_()
            slope = a.new_empty(0)  # a > 0 gives the derivative
        if keep:
            ctx.is_gelu = is_gelu
            ctx.save_for_backward(x, W, a, slope, U)
        return th.addmm(d, a, U.T)

    @staticmethod
    def backward(ctx: Any, gradient: th.Tensor) -> Any:
        """Return the gradients of the input tensors that need one."""
        compute = partial(_gradients, ctx.is_gelu, ctx.needs_input_grad)
        return *Gradient.apply(compute, gradient, *ctx.saved_tensors), None, None


def _gradients(
    is_gelu: bool,
    needed: tuple[bool, ...],
    g: th.Tensor,
    x: th.Tensor,
    W: th.Tensor,
    a: th.Tensor,
    slope: th.Tensor,
    U: th.Tensor,
) -> tuple[th.Tensor | None, ...]:
    x_needed, W_needed, b_needed, U_needed, d_needed, *_ = needed
    dh = g @ U
    if is_gelu:
        dh.mul_(slope)
    else:
        th.ops.aten.threshold_backward.grad_input(dh, a, 0, grad_input=dh)
    return (
        dh @ W if x_needed else None,
        # (x^T dh)^T: with few inputs, dh^T x takes twice as long.
        (x.T @ dh).T.contiguous() if W_needed else None,
        dh.sum(0) if b_needed else None,
        g.T @ a if U_needed else None,
        g.sum(0) if d_needed else None,
    )
