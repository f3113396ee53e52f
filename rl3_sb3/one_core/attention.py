"""Causal attention and its gradient on one CPU core, for short sequences and narrow heads.

For one head of width D, with scores in powers of two and sums over the keys j <= i:

    S[i, j] = q_i . k_j log2(e) / sqrt(D)
    P[i, j] = 2^(S[i, j] - L[i]),   L[i] = log2 sum_j 2^S[i, j],   o_i = sum_j P[i, j] v_j

and back from g_i, the gradient of o_i:

    dS[i, j] = P[i, j] (g_i . v_j - g_i . o_i)
    dv_j = sum_i P[i, j] g_i
    dk_j = sum_i dS[i, j] q_i / sqrt(D),   dq_i = sum_j dS[i, j] k_j / sqrt(D)

Beside the inputs only o and L are kept between the two, so memory grows with T. Queries are taken
16 at a time, the lanes of `tiles`, with S, P or dS for them laid out [j][lane] up to the last
query's key.

Source: the backward pass is that of Dao et al. 2022 (arXiv 2205.14135), Appendix B.2.
"""

import math
from typing import Any

import numpy as np
import torch as th
from numba import njit

from rl3_sb3.one_core.exp2 import exp2
from rl3_sb3.one_core.tiles import (
    TILE,
    WIDTH,
    add_product,
    add_transposed_product,
    add_up,
    dot,
    find_largest,
    multiply,
    pack_panels,
    pack_tiles,
    subtract,
    unpack_panels,
    unpack_tiles,
    zeros,
)

_LOG2_E = np.float32(math.log2(math.e))


@njit(cache=True)
def _hide_later(S, n):
    """S[j, lane] = -inf where key j comes after the lane's query: in the last 16 of n rows."""
    for j in range(1, WIDTH):
        row = (n - WIDTH + j) * WIDTH
        for lane in range(j):
            S[row + lane] = -np.inf


@njit(cache=True)
def _scores(K, Q, n, S):
    """S[j, lane] = k_j . q_lane for n keys, from their panels and tiles."""
    S[: n * WIDTH] = 0
    length = len(K) // (len(Q) // TILE)
    for panel in range(len(Q) // TILE):
        add_product(K[panel * length :], Q[panel * TILE :], n, S)


@njit(cache=True)
def _mixture(V, P, n, out):
    """out[d, lane] = sum_j P[j, lane] V[j, d] over n keys: tiles, from panels."""
    out[:] = 0
    length = len(V) // (len(out) // TILE)
    for panel in range(len(out) // TILE):
        add_transposed_product(V[panel * length :], P, n, out[panel * TILE :])


@njit(cache=True, nogil=True)
def forward_kernel(qkv, attended, L):
    """Compute causal attention.

    Args:
        qkv: Shape (B, T, 3, n_heads, D): queries, keys, values.
        attended: Written; o, shape (B, T, n_heads, D).
        L: Written; shape (B, n_heads, T).
    """
    B, T, _, n_heads, D = qkv.shape
    rows = (T + WIDTH - 1) // WIDTH * WIDTH
    columns = (D + WIDTH - 1) // WIDTH * WIDTH
    K, V = zeros(rows * columns), zeros(rows * columns)
    Q, mixed = zeros(columns * WIDTH), zeros(columns * WIDTH)
    S, scratch = zeros(rows * WIDTH), np.zeros(rows * WIDTH, np.int32)
    largest, total = zeros(WIDTH), zeros(WIDTH)
    scale = np.float32(_LOG2_E / math.sqrt(D))
    x, out = qkv.reshape(-1), attended.reshape(-1)
    C = n_heads * D
    for b in range(B):
        for head in range(n_heads):
            q = 3 * b * T * C + head * D  # where the first token's query begins; then key and value
            pack_panels(x, q + C, 3 * C, T, D, K)
            pack_panels(x, q + 2 * C, 3 * C, T, D, V)
            for first in range(0, T, WIDTH):
                n, own = first + WIDTH, min(WIDTH, T - first)
                pack_tiles(x, q + 3 * first * C, 3 * C, own, D, scale, Q)
                _scores(K, Q, n, S)
                _hide_later(S, n)
                find_largest(S, n, largest)
                subtract(S, n, largest)
                exp2(S[: n * WIDTH], scratch)
                add_up(S, n, total)
                _mixture(V, S, n, mixed)
                for lane in range(own):
                    L[b, head, first + lane] = largest[lane] + math.log(total[lane]) * _LOG2_E
                    total[lane] = np.float32(1) / total[lane]
                unpack_tiles(mixed, total, out, (b * T + first) * C + head * D, C, own, D)


@njit(cache=True, nogil=True)
def backward_kernel(gradient, qkv, attended, L, d_qkv):
    """Compute the gradient of causal attention.

    Args:
        gradient: Of `attended`.
        qkv: See `forward_kernel`.
        attended: What it wrote.
        L: What it wrote.
        d_qkv: Written; of `qkv`.
    """
    B, T, _, n_heads, D = qkv.shape
    rows = (T + WIDTH - 1) // WIDTH * WIDTH
    columns = (D + WIDTH - 1) // WIDTH * WIDTH
    K, V, dK, dV = (
        zeros(rows * columns),
        zeros(rows * columns),
        zeros(rows * columns),
        zeros(rows * columns),
    )
    # Queries and gradients lie both ways round: [d][lane] and [lane][d].
    width = columns * WIDTH
    Q, G, A, dQ, Q_rows, G_rows = (
        zeros(width),
        zeros(width),
        zeros(width),
        zeros(width),
        zeros(width),
        zeros(width),
    )
    P, dS = zeros(rows * WIDTH), zeros(rows * WIDTH)
    scratch = np.zeros(rows * WIDTH, np.int32)
    shift, mean = zeros(WIDTH), zeros(WIDTH)
    one, scale = np.float32(1), np.float32(1 / math.sqrt(D))
    score_scale = np.float32(_LOG2_E / math.sqrt(D))  # to the bit as forward: L belongs to it
    scales = np.full(WIDTH, scale)
    x, g, out, dx = qkv.reshape(-1), gradient.reshape(-1), attended.reshape(-1), d_qkv.reshape(-1)
    C = n_heads * D
    for b in range(B):
        for head in range(n_heads):
            q = 3 * b * T * C + head * D  # where the first token's query begins; then key and value
            pack_panels(x, q + C, 3 * C, T, D, K)
            pack_panels(x, q + 2 * C, 3 * C, T, D, V)
            dK[:] = 0
            dV[:] = 0
            for first in range(0, T, WIDTH):
                n, own = first + WIDTH, min(WIDTH, T - first)
                here, o = q + 3 * first * C, (b * T + first) * C + head * D
                pack_tiles(g, o, C, own, D, one, G)
                pack_tiles(out, o, C, own, D, one, A)
                dot(G, A, mean)
                pack_tiles(x, here, 3 * C, own, D, score_scale, Q)
                pack_panels(x, here, 3 * C, own, D, Q_rows)
                pack_panels(g, o, C, own, D, G_rows)
                shift[:own] = L[b, head, first : first + own]
                shift[own:] = 0
                _scores(K, Q, n, P)
                subtract(P, n, shift)
                _hide_later(P, n)
                exp2(P[: n * WIDTH], scratch)
                _scores(V, G, n, dS)
                subtract(dS, n, mean)
                multiply(dS[: n * WIDTH], P)
                for panel in range(columns // WIDTH):
                    start = panel * rows * WIDTH
                    add_product(P, G_rows[panel * TILE :], n, dV[start:])
                    add_product(dS, Q_rows[panel * TILE :], n, dK[start:])
                _mixture(K, dS, n, dQ)
                unpack_tiles(dQ, scales, dx, here, 3 * C, own, D)
            unpack_panels(dK, scale, dx, q + C, 3 * C, T, D)
            unpack_panels(dV, one, dx, q + 2 * C, 3 * C, T, D)


class CausalAttention(th.autograd.Function):
    """The kernels as a function of torch; see `one_core.causal_attention`."""

    @staticmethod
    def forward(ctx: Any, qkv: th.Tensor) -> th.Tensor:
        """Attend, and keep what the gradient needs."""
        B, T, _, n_heads, D = qkv.shape
        qkv = qkv.detach().contiguous()
        attended, normalisers = qkv.new_empty(B, T, n_heads, D), qkv.new_empty(B, n_heads, T)
        forward_kernel(qkv.numpy(), attended.numpy(), normalisers.numpy())
        ctx.save_for_backward(qkv, attended, normalisers)
        return attended

    @staticmethod
    def backward(ctx: Any, gradient: th.Tensor) -> th.Tensor:
        """Return the gradient of `qkv`."""
        d_qkv: th.Tensor = _Gradient.apply(gradient, *ctx.saved_tensors)
        return d_qkv


class _Gradient(th.autograd.Function):
    # A function of its own, so that whoever differentiates it is told: `once_differentiable` says
    # nothing where the input is also reached by another way.

    @staticmethod
    def forward(
        ctx: Any, gradient: th.Tensor, qkv: th.Tensor, attended: th.Tensor, normalisers: th.Tensor
    ) -> th.Tensor:
        d_qkv = th.empty_like(qkv)
        arrays = [x.detach().numpy() for x in (gradient.contiguous(), qkv, attended, normalisers)]
        backward_kernel(*arrays, d_qkv.numpy())  # type: ignore[call-arg] # a list of four
        return d_qkv

    @staticmethod
    def backward(ctx: Any, *gradients: th.Tensor) -> th.Tensor:
        raise RuntimeError(
            "The gradient of attention on one core cannot be differentiated again. Take double "
            "precision within torch.nn.attention.sdpa_kernel(SDPBackend.MATH), whose attention can."
        )
