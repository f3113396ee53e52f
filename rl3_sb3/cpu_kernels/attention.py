"""Causal attention and its gradient on one CPU core, for short sequences and narrow heads.

For one head of width D, with base-2 exponents and sums over the keys j <= i:

    S[i, j] = q_i . k_j log2(e) / sqrt(D)
    P[i, j] = 2^S[i, j] / sum_j 2^S[i, j],   o_i = sum_j P[i, j] v_j

The backward pass, from the gradient g_i of o_i:

    dP[i, j] = g_i . v_j,   dS[i, j] = P[i, j] (dP[i, j] - sum_j P[i, j] dP[i, j])
    dv_j = sum_i P[i, j] g_i
    dk_j = sum_i dS[i, j] q_i / sqrt(D),   dq_i = sum_j dS[i, j] k_j / sqrt(D)

Only q, k and v are stored between the two passes, so memory grows linearly with T. Queries are
processed in tiles of 16, one per lane. S, P, dP and dS of a tile have the layout [j][lane], up to
the last query's key and padded to a multiple of 4. Only the first tile may hold fewer than 16.
"""

import math
from typing import Any

import numpy as np
import torch as th

from rl3_sb3.cpu_kernels.compiled import njit
from rl3_sb3.cpu_kernels.exp2 import exp2
from rl3_sb3.cpu_kernels.once_differentiable import Gradient
from rl3_sb3.cpu_kernels.simd16 import (
    WIDTH,
    everywhere,
    hide_below,
    larger,
    load,
    multiply_add,
    store,
)
from rl3_sb3.cpu_kernels.tile_products import (
    from_tile,
    pack,
    padded,
    product,
    to_tile,
    transposed_product,
    unpack,
    zeros,
)

_LOG2_E = np.float32(math.log2(math.e))
_ONE = np.float32(1)


@njit(cache=True)
def _end_of_tile(first, T):
    """Return the end of the tile of queries that begins at `first`, 0 or another tile's end."""
    return first + WIDTH if (T - first) % WIDTH == 0 else T % WIDTH


@njit(cache=True)
def _hide_later(S, first, n):
    """Set S[j, lane] = -inf where key j is after the lane's query, first + lane; n rows."""
    for j in range(first + 1, n):
        store(hide_below(load(S, j * WIDTH), j - first), S, j * WIDTH)


@njit(cache=True)
def _soften(S, n, factors):
    """Replace S by unnormalised weights; times each lane's factor they are P."""
    m0, m1, m2, m3 = load(S, 0), load(S, WIDTH), load(S, 2 * WIDTH), load(S, 3 * WIDTH)
    for i in range(4 * WIDTH, n * WIDTH, 4 * WIDTH):  # four at a time: comparisons are slow
        m0, m1 = larger(m0, load(S, i)), larger(m1, load(S, i + WIDTH))
        m2, m3 = larger(m2, load(S, i + 2 * WIDTH)), larger(m3, load(S, i + 3 * WIDTH))
    most = larger(larger(m0, m1), larger(m2, m3))
    total = everywhere(np.float32(0))
    for j in range(n):
        weight = exp2(load(S, j * WIDTH) - most)
        store(weight, S, j * WIDTH)
        total = total + weight
    store(everywhere(_ONE) / total, factors, 0)


@njit(cache=True)
def _soften_back(P, dP, n, factors):
    """Multiply P by each lane's factor, and replace dP by dS."""
    factor, mean = load(factors, 0), everywhere(np.float32(0))
    for j in range(n):
        weight = load(P, j * WIDTH) * factor
        store(weight, P, j * WIDTH)
        mean = multiply_add(weight, load(dP, j * WIDTH), mean)
    for j in range(n):
        store(load(P, j * WIDTH) * (load(dP, j * WIDTH) - mean), dP, j * WIDTH)


@njit(cache=True, nogil=True)
def forward_kernel(qkv, attended):
    """Compute causal attention.

    Args:
        qkv: Shape (B, T, 3, n_heads, D): queries, keys, values.
        attended: Output o, shape (B, T, n_heads, D).
    """
    B, T, _, n_heads, D = qkv.shape
    width, n_rows = padded(D, WIDTH), padded(T, 4)
    K, V, S = zeros(n_rows * width), zeros(n_rows * width), zeros(n_rows * WIDTH)
    Q_rows, Q, mixed = zeros(WIDTH * width), zeros(width * WIDTH), zeros(width * WIDTH)
    factors = zeros(WIDTH)
    scale = np.float32(_LOG2_E / math.sqrt(D))
    x, out = qkv.reshape(-1), attended.reshape(-1)
    C = n_heads * D
    for b in range(B):
        for head in range(n_heads):
            q = 3 * b * T * C + head * D  # where the first token's query begins; then key and value
            pack(x, q + C, 3 * C, T, D, _ONE, K, width)
            pack(x, q + 2 * C, 3 * C, T, D, _ONE, V, width)
            last = 0
            while last < T:
                first, last = last, _end_of_tile(last, T)
                n, own = padded(last, 4), last - first
                pack(x, q + 3 * first * C, 3 * C, own, D, scale, Q_rows, width)
                to_tile(Q_rows, width, Q)
                product(K, width, n, Q, 0, WIDTH, D, S, 0, WIDTH, False)
                _hide_later(S, first, n)
                _soften(S, n, factors)
                transposed_product(V, width, n, S, factors, mixed)
                from_tile(mixed, out, (b * T + first) * C + head * D, C, own, D)


@njit(cache=True, nogil=True)
def backward_kernel(gradient, qkv, d_qkv):
    """Compute the gradient of causal attention.

    Args:
        gradient: Gradient of `attended`, shape (B, T, n_heads, D).
        qkv: Queries, keys and values, shape (B, T, 3, n_heads, D).
        d_qkv: Output; gradient of `qkv`, of the same shape.
    """
    B, T, _, n_heads, D = qkv.shape
    width, n_rows = padded(D, WIDTH), padded(T, 4)
    K, V = zeros(n_rows * width), zeros(n_rows * width)
    dK, dV = zeros(n_rows * width), zeros(n_rows * width)
    P, dS = zeros(n_rows * WIDTH), zeros(n_rows * WIDTH)
    # Queries and gradients are stored as rows and as tiles.
    Q_rows, G_rows = zeros(WIDTH * width), zeros(WIDTH * width)
    Q, G, dQ = zeros(width * WIDTH), zeros(width * WIDTH), zeros(width * WIDTH)
    factors = zeros(WIDTH)
    score_scale = np.float32(_LOG2_E / math.sqrt(D))
    scales = np.full(WIDTH, np.float32(1 / math.sqrt(D)))
    x, g, dx = qkv.reshape(-1), gradient.reshape(-1), d_qkv.reshape(-1)
    C = n_heads * D
    for b in range(B):
        for head in range(n_heads):
            q = 3 * b * T * C + head * D  # where the first token's query begins; then key and value
            pack(x, q + C, 3 * C, T, D, _ONE, K, width)
            pack(x, q + 2 * C, 3 * C, T, D, _ONE, V, width)
            dK[:] = 0
            dV[:] = 0
            last = 0
            while last < T:
                first, last = last, _end_of_tile(last, T)
                n, own = padded(last, 4), last - first
                here, o = q + 3 * first * C, (b * T + first) * C + head * D
                pack(x, here, 3 * C, own, D, score_scale, Q_rows, width)
                pack(g, o, C, own, D, _ONE, G_rows, width)
                to_tile(Q_rows, width, Q)
                to_tile(G_rows, width, G)
                product(K, width, n, Q, 0, WIDTH, D, P, 0, WIDTH, False)
                _hide_later(P, first, n)
                _soften(P, n, factors)
                product(V, width, n, G, 0, WIDTH, D, dS, 0, WIDTH, False)
                _soften_back(P, dS, n, factors)
                for d in range(0, width, WIDTH):
                    product(P, WIDTH, n, G_rows, d, width, own, dV, d, width, True)
                    product(dS, WIDTH, n, Q_rows, d, width, own, dK, d, width, True)
                transposed_product(K, width, n, dS, scales, dQ)
                from_tile(dQ, dx, here, 3 * C, own, D)
            unpack(dK, width, _ONE / _LOG2_E, dx, q + C, 3 * C, T, D)  # Q_rows contain log2(e)
            unpack(dV, width, _ONE, dx, q + 2 * C, 3 * C, T, D)


class CausalAttention(th.autograd.Function):
    """The kernels as an autograd function; see `cpu_kernels.causal_attention`."""

    @staticmethod
    def forward(ctx: Any, qkv: th.Tensor) -> th.Tensor:
        """Compute attention, and save `qkv` for the gradient."""
        B, T, _, n_heads, D = qkv.shape
        attended = qkv.new_empty(B, T, n_heads, D)
        forward_kernel(qkv.detach().contiguous().numpy(), attended.numpy())
        ctx.save_for_backward(qkv)  # not the detached tensor: `Gradient` needs its graph
        return attended

    @staticmethod
    def backward(ctx: Any, gradient: th.Tensor) -> Any:
        """Return the gradient of `qkv`."""
        return Gradient.apply(_gradient, gradient, *ctx.saved_tensors)


def _gradient(gradient: th.Tensor, qkv: th.Tensor) -> th.Tensor:
    d_qkv = th.empty_like(qkv, memory_format=th.contiguous_format)
    arrays = (x.detach().contiguous().numpy() for x in (gradient, qkv))
    backward_kernel(*arrays, d_qkv.numpy())
    return d_qkv
