"""Causal attention and its gradient on one CPU core, for short sequences and narrow heads.

For one head of width D, with scores in powers of two and sums over the keys j <= i:

    S[i, j] = q_i . k_j log2(e) / sqrt(D)
    P[i, j] = 2^(S[i, j] - L[i]),   L[i] = log2 sum_j 2^S[i, j],   o_i = sum_j P[i, j] v_j

and back from g_i, the gradient of o_i:

    dS[i, j] = P[i, j] (g_i . v_j - g_i . o_i)
    dv_j = sum_i P[i, j] g_i
    dk_j = sum_i dS[i, j] q_i / sqrt(D),   dq_i = sum_j dS[i, j] k_j / sqrt(D)

Only o and L are kept between the two, so memory grows with T. A general library's matrix products
spend most of their time at the edges of matrices this small. Here all are built from two products
of operands that are 16 numbers wide, as many as a vector register holds (or two, or four):

    tile     [d][lane]  16 x 16: a panel's width of 16 queries, the lanes, or of their gradients
    scores   [j][lane]  S, P or dS of 16 queries against the keys up to the last of them
    panel    [j][d]     n x 16: 16 of the D columns of keys, values or their gradients

with zeros where T or D is no multiple of 16, which no product notices. All arrays are flat, with
the constant 16 in their index arithmetic: that is how the compiler sees that the loops over lanes
can run in vectors, and keeps a product's sums in registers. The short loops inside those are
unrolled.

`fastmath` allows fused multiply-adds and regrouped sums, which double the rate of a product (see
benchmarks/attention.py); assuming that there is no NaN is not allowed. Sums do not depend on
anything but the sequence itself, so neither do results.

Source: the backward pass is that of Dao et al. 2022 (arXiv 2205.14135), Appendix B.2.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import float32, int32, njit, uintp

Floats = npt.NDArray[np.float32]

_WIDTH = 16
_TILE = _WIDTH * _WIDTH
_LOG2_E = np.float32(math.log2(math.e))
_MATH = {"contract"}

# 2^f = 1 + sum_k c_k f^k with c_k = ln(2)^k / k!, exact to 5e-9 for |f| <= 1/2.
_C1, _C2, _C3, _C4, _C5, _C6, _C7 = (
    np.float32(math.log(2) ** k / math.factorial(k)) for k in range(1, 8)
)
_MANTISSA_BITS = 23  # of a float32; above them lies the exponent plus its bias
_EXPONENT_BIAS = 127


@njit(cache=True, fastmath=_MATH)
def _add_product(C: Floats, X: Floats, n: int, out: Floats) -> None:
    """out[j, :] += sum_k C[j, k] X[k, :] for n rows j and 16 k."""
    for j in range(0, n, 4):  # four sums hide the latency of the multiply-adds
        row = j * _WIDTH
        for lane in range(_WIDTH):
            y0 = y1 = y2 = y3 = float32(0)
            for k in range(_WIDTH):
                x = X[uintp(k * _WIDTH + lane)]
                y0 += C[uintp(row + k)] * x
                y1 += C[uintp(row + _WIDTH + k)] * x
                y2 += C[uintp(row + 2 * _WIDTH + k)] * x
                y3 += C[uintp(row + 3 * _WIDTH + k)] * x
            out[uintp(row + lane)] += y0
            out[uintp(row + _WIDTH + lane)] += y1
            out[uintp(row + 2 * _WIDTH + lane)] += y2
            out[uintp(row + 3 * _WIDTH + lane)] += y3


@njit(cache=True, fastmath=_MATH)
def _add_transposed_product(C: Floats, X: Floats, n: int, out: Floats) -> None:
    """out[d, :] += sum_j C[j, d] X[j, :] for 16 d and n rows j."""
    for j in range(0, n, _WIDTH):
        start = j * _WIDTH
        for d in range(0, _WIDTH, 4):
            row = d * _WIDTH
            for lane in range(_WIDTH):
                y0 = y1 = y2 = y3 = float32(0)
                for k in range(_WIDTH):
                    x = X[uintp(start + k * _WIDTH + lane)]
                    c = start + k * _WIDTH + d
                    y0 += C[uintp(c)] * x
                    y1 += C[uintp(c + 1)] * x
                    y2 += C[uintp(c + 2)] * x
                    y3 += C[uintp(c + 3)] * x
                out[uintp(row + lane)] += y0
                out[uintp(row + _WIDTH + lane)] += y1
                out[uintp(row + 2 * _WIDTH + lane)] += y2
                out[uintp(row + 3 * _WIDTH + lane)] += y3


@njit(cache=True, fastmath=_MATH)
def _find_largest(S: Floats, n: int, out: Floats) -> None:
    """out[lane] = max_j S[j, lane] over n rows."""
    out[:] = -np.inf
    for j in range(0, n, _WIDTH):
        start = j * _WIDTH
        for lane in range(_WIDTH):
            y = out[lane]
            for k in range(_WIDTH):
                x = S[uintp(start + k * _WIDTH + lane)]
                y = x if x > y else y
            out[lane] = y


@njit(cache=True, fastmath=_MATH)
def _sum(S: Floats, n: int, out: Floats) -> None:
    """out[lane] = sum_j S[j, lane] over n rows."""
    out[:] = 0
    for j in range(0, n, _WIDTH):
        start = j * _WIDTH
        for lane in range(_WIDTH):
            y = float32(0)
            for k in range(_WIDTH):
                y += S[uintp(start + k * _WIDTH + lane)]
            out[lane] += y


@njit(cache=True, fastmath=_MATH)
def _subtract(S: Floats, n: int, row: Floats) -> None:
    """S[j, lane] -= row[lane] for n rows."""
    for j in range(0, n, _WIDTH):
        start = j * _WIDTH
        for lane in range(_WIDTH):
            x = row[lane]
            for k in range(_WIDTH):
                S[uintp(start + k * _WIDTH + lane)] -= x


@njit(cache=True, fastmath=_MATH)
def _multiply(S: Floats, factors: Floats) -> None:
    """S *= factors, element by element."""
    for i in range(len(S)):
        S[i] *= factors[i]


@njit(cache=True, fastmath=_MATH)
def _hide_later(S: Floats, n: int) -> None:
    """S[j, lane] = -inf where key j comes after the lane's query: in the last 16 of n rows."""
    for j in range(1, _WIDTH):
        row = (n - _WIDTH + j) * _WIDTH
        for lane in range(j):
            S[row + lane] = -np.inf


@njit(cache=True, fastmath=_MATH)
def _exp2(S: Floats, scratch: npt.NDArray[np.int32]) -> None:
    """S = 2^S, element by element; below 2^-126 it is 0, and NaN stays NaN.

    x = k + f with k the nearest integer; 2^f is a polynomial, 2^k is k written into the exponent.
    Arguments above 127 are not for it: a softmax has none.
    """
    for i in range(len(S)):
        x = S[i]
        x = float32(-_EXPONENT_BIAS) if x < float32(-_EXPONENT_BIAS) else x
        k = int32(x - float32(0.5))  # towards zero: the nearest of a negative number
        f = x - float32(k)
        S[i] = float32(1) + f * (
            _C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * (_C5 + f * (_C6 + f * _C7)))))
        )
        scratch[i] = (k + int32(_EXPONENT_BIAS)) << int32(_MANTISSA_BITS)
    _multiply(S, scratch.view(np.float32))


@njit(cache=True, fastmath=_MATH)
def _pack_panels(x: Floats, start: int, step: int, n: int, D: int, out: Floats) -> None:
    """Copy n rows of D numbers, `step` apart, into panels; zeros for rows from n on."""
    length = len(out) // ((D + _WIDTH - 1) // _WIDTH)
    if n % _WIDTH > 0:
        out[:] = 0
    for left in range(0, D, _WIDTH):
        for j in range(n):
            source, row = start + j * step + left, left // _WIDTH * length + j * _WIDTH
            for d in range(min(_WIDTH, D - left)):
                out[uintp(row + d)] = x[uintp(source + d)]


@njit(cache=True, fastmath=_MATH)
def _unpack_panels(
    panels: Floats, factor: np.float32, x: Floats, start: int, step: int, n: int, D: int
) -> None:
    """Copy n rows times a factor back from panels; see `_pack_panels`."""
    length = len(panels) // ((D + _WIDTH - 1) // _WIDTH)
    for left in range(0, D, _WIDTH):
        for j in range(n):
            target, row = start + j * step + left, left // _WIDTH * length + j * _WIDTH
            for d in range(min(_WIDTH, D - left)):
                x[uintp(target + d)] = panels[uintp(row + d)] * factor


@njit(cache=True, fastmath=_MATH)
def _pack_tiles(
    x: Floats, start: int, step: int, n: int, D: int, factor: np.float32, out: Floats
) -> None:
    """Copy n <= 16 rows times a factor into tiles; zeros for lanes from n on."""
    if n < _WIDTH:
        out[:] = 0
    for lane in range(n):
        for d in range(D):
            out[uintp(d * _WIDTH + lane)] = x[uintp(start + lane * step + d)] * factor


@njit(cache=True, fastmath=_MATH)
def _unpack_tiles(
    tiles: Floats, factors: Floats, x: Floats, start: int, step: int, n: int, D: int
) -> None:
    """Copy n <= 16 rows back from tiles, each lane times its factor."""
    for lane in range(n):
        for d in range(D):
            x[uintp(start + lane * step + d)] = tiles[uintp(d * _WIDTH + lane)] * factors[lane]


@njit(cache=True, fastmath=_MATH)
def _dot(x: Floats, y: Floats, out: Floats) -> None:
    """out[lane] = sum_d x[d, lane] y[d, lane] over the rows of two sets of tiles."""
    out[:] = 0
    for d in range(0, len(x), _TILE):
        for lane in range(_WIDTH):
            s = float32(0)
            for k in range(_WIDTH):
                i = uintp(d + k * _WIDTH + lane)
                s += x[i] * y[i]
            out[lane] += s


@njit(cache=True, fastmath=_MATH)
def _scores(K: Floats, Q: Floats, n: int, S: Floats) -> None:
    """S[j, lane] = k_j . q_lane for n keys, from their panels and tiles."""
    S[: n * _WIDTH] = 0
    length = len(K) // (len(Q) // _TILE)
    for panel in range(len(Q) // _TILE):
        _add_product(K[panel * length :], Q[panel * _TILE :], n, S)


@njit(cache=True, fastmath=_MATH)
def _mixture(V: Floats, P: Floats, n: int, out: Floats) -> None:
    """out[d, lane] = sum_j P[j, lane] V[j, d] over n keys: tiles, from panels."""
    out[:] = 0
    length = len(V) // (len(out) // _TILE)
    for panel in range(len(out) // _TILE):
        _add_transposed_product(V[panel * length :], P, n, out[panel * _TILE :])


@njit(cache=True)
def _zeros(n: int) -> Floats:
    # One array each: numba takes the rows of a larger one for strided, and computes with scalars.
    return np.zeros(n, np.float32)


@njit(cache=True)
def forward_kernel(qkv: Floats, attended: Floats, L: Floats) -> None:
    """Compute causal attention.

    Args:
        qkv: Shape (B, T, 3, n_heads, D): queries, keys, values.
        attended: Written; o, shape (B, T, n_heads, D).
        L: Written; shape (B, n_heads, T).
    """
    B, T, _, n_heads, D = qkv.shape
    rows = (T + _WIDTH - 1) // _WIDTH * _WIDTH
    columns = (D + _WIDTH - 1) // _WIDTH * _WIDTH
    K, V = _zeros(rows * columns), _zeros(rows * columns)
    Q, mixed = _zeros(columns * _WIDTH), _zeros(columns * _WIDTH)
    S, scratch = _zeros(rows * _WIDTH), np.zeros(rows * _WIDTH, np.int32)
    largest, total = _zeros(_WIDTH), _zeros(_WIDTH)
    scale = np.float32(_LOG2_E / math.sqrt(D))
    x, out = qkv.reshape(-1), attended.reshape(-1)
    C = n_heads * D
    for b in range(B):
        for head in range(n_heads):
            q = 3 * b * T * C + head * D  # where the first token's query begins; then key and value
            _pack_panels(x, q + C, 3 * C, T, D, K)
            _pack_panels(x, q + 2 * C, 3 * C, T, D, V)
            for first in range(0, T, _WIDTH):
                n, own = first + _WIDTH, min(_WIDTH, T - first)
                _pack_tiles(x, q + 3 * first * C, 3 * C, own, D, scale, Q)
                _scores(K, Q, n, S)
                _hide_later(S, n)
                _find_largest(S, n, largest)
                _subtract(S, n, largest)
                _exp2(S[: n * _WIDTH], scratch)
                _sum(S, n, total)
                _mixture(V, S, n, mixed)
                for lane in range(own):
                    L[b, head, first + lane] = largest[lane] + math.log(total[lane]) * _LOG2_E
                    total[lane] = np.float32(1) / total[lane]
                _unpack_tiles(mixed, total, out, (b * T + first) * C + head * D, C, own, D)


@njit(cache=True)
def backward_kernel(
    gradient: Floats, qkv: Floats, attended: Floats, L: Floats, d_qkv: Floats
) -> None:
    """Compute the gradient of causal attention.

    Args:
        gradient: Of `attended`.
        qkv: See `forward_kernel`.
        attended: What it wrote.
        L: What it wrote.
        d_qkv: Written; of `qkv`.
    """
    B, T, _, n_heads, D = qkv.shape
    rows = (T + _WIDTH - 1) // _WIDTH * _WIDTH
    columns = (D + _WIDTH - 1) // _WIDTH * _WIDTH
    K, V, dK, dV = (
        _zeros(rows * columns),
        _zeros(rows * columns),
        _zeros(rows * columns),
        _zeros(rows * columns),
    )
    # Queries and gradients lie both ways round: [d][lane] and [lane][d].
    width = columns * _WIDTH
    Q, G, dQ, Q_rows, G_rows = (
        _zeros(width),
        _zeros(width),
        _zeros(width),
        _zeros(width),
        _zeros(width),
    )
    P, dS = _zeros(rows * _WIDTH), _zeros(rows * _WIDTH)
    scratch = np.zeros(rows * _WIDTH, np.int32)
    shift, dot = _zeros(_WIDTH), _zeros(_WIDTH)
    one, scale = np.float32(1), np.float32(1 / math.sqrt(D))
    scales = np.full(_WIDTH, scale)
    x, g, out, dx = qkv.reshape(-1), gradient.reshape(-1), attended.reshape(-1), d_qkv.reshape(-1)
    C = n_heads * D
    for b in range(B):
        for head in range(n_heads):
            q = 3 * b * T * C + head * D  # where the first token's query begins; then key and value
            _pack_panels(x, q + C, 3 * C, T, D, K)
            _pack_panels(x, q + 2 * C, 3 * C, T, D, V)
            dK[:] = 0
            dV[:] = 0
            for first in range(0, T, _WIDTH):
                n, own = first + _WIDTH, min(_WIDTH, T - first)
                here, o = q + 3 * first * C, (b * T + first) * C + head * D
                _pack_tiles(g, o, C, own, D, one, G)
                _pack_tiles(out, o, C, own, D, one, Q)
                _dot(G, Q, dot)
                _pack_tiles(x, here, 3 * C, own, D, scale * _LOG2_E, Q)
                _pack_panels(x, here, 3 * C, own, D, Q_rows)
                _pack_panels(g, o, C, own, D, G_rows)
                shift[:own] = L[b, head, first : first + own]
                _scores(K, Q, n, P)
                _subtract(P, n, shift)
                _hide_later(P, n)
                _exp2(P[: n * _WIDTH], scratch)
                _scores(V, G, n, dS)
                _subtract(dS, n, dot)
                _multiply(dS[: n * _WIDTH], P)
                for panel in range(columns // _WIDTH):
                    start = panel * rows * _WIDTH
                    _add_product(P, G_rows[panel * _TILE :], n, dV[start:])
                    _add_product(dS, Q_rows[panel * _TILE :], n, dK[start:])
                _mixture(K, dS, n, dQ)
                _unpack_tiles(dQ, scales, dx, here, 3 * C, own, D)
            _unpack_panels(dK, scale, dx, q + C, 3 * C, T, D)
            _unpack_panels(dV, one, dx, q + 2 * C, 3 * C, T, D)
