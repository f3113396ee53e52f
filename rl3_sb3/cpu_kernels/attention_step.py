"""Attention of one new token per row to the row's earlier tokens, whose keys and values are stored.

For one head of width D, a new token at position t, and base-2 exponents:

    s_j = q . k_j log2(e) / sqrt(D),   o = sum_{j <= t} 2^s_j v_j / sum_{j <= t} 2^s_j

Most of the time goes into reading the memory, so each stored number is read exactly once.
"""

import math

import numpy as np

from rl3_sb3.cpu_kernels.compiled import njit
from rl3_sb3.cpu_kernels.exp2 import exp2
from rl3_sb3.cpu_kernels.simd16 import WIDTH, everywhere, load, multiply_add, store, total

_LOG2_E = np.float32(math.log2(math.e))


@njit(cache=True, nogil=True)
def append_kernel(qkv, keys, values, positions, attended):
    """Store each row's new key and value, and attend to all tokens up to the new one.

    Args:
        qkv: Query, key and value of each row's new token, shape (B, 3, n_heads, D), D a multiple of
            16.
        keys: The earlier tokens' keys, shape (B, n_heads, context_length, D); modified.
        values: The earlier tokens' values, of the same shape; modified.
        positions: Number of earlier tokens in each row, shape (B,), below context_length.
        attended: Output o, shape (B, n_heads, D).
    """
    B, n_heads, context_length, D = keys.shape
    x, K, V, out = qkv.reshape(-1), keys.reshape(-1), values.reshape(-1), attended.reshape(-1)
    C = n_heads * D
    scale = everywhere(np.float32(_LOG2_E / math.sqrt(D)))
    weights = np.zeros(context_length + WIDTH, np.float32)
    query = np.zeros(D, np.float32)
    for b in range(B):
        n = positions[b] + 1
        for head in range(n_heads):
            q = 3 * b * C + head * D
            first = (b * n_heads + head) * context_length * D  # where the head's memory begins
            new = first + (n - 1) * D
            for d in range(0, D, WIDTH):
                store(load(x, q + d) * scale, query, d)
                store(load(x, q + C + d), K, new + d)
                store(load(x, q + 2 * C + d), V, new + d)
            most = _scores(query, K, first, n, weights)
            factor = np.float32(1) / _soften(weights, n, most)
            for d in range(0, D, WIDTH):
                y0 = y1 = y2 = y3 = everywhere(np.float32(0))
                at = first + d
                for j in range(0, n // 4 * 4, 4):
                    y0 = multiply_add(everywhere(weights[np.uintp(j)]), load(V, at), y0)
                    y1 = multiply_add(everywhere(weights[np.uintp(j + 1)]), load(V, at + D), y1)
                    y2 = multiply_add(everywhere(weights[np.uintp(j + 2)]), load(V, at + 2 * D), y2)
                    y3 = multiply_add(everywhere(weights[np.uintp(j + 3)]), load(V, at + 3 * D), y3)
                    at += 4 * D
                for j in range(n // 4 * 4, n):
                    y0 = multiply_add(everywhere(weights[np.uintp(j)]), load(V, at), y0)
                    at += D
                store((y0 + y1 + y2 + y3) * everywhere(factor), out, b * C + head * D + d)


@njit(cache=True)
def _scores(query, K, first, n, scores):
    """Set scores[j] = query . K[first + j D :] for n keys, and return the largest score.

    The next 16 scores are set to -inf.
    """
    D = len(query)
    most = np.float32(-np.inf)
    for j in range(n):
        y = load(query, 0) * load(K, first + j * D)
        for d in range(WIDTH, D, WIDTH):
            y = multiply_add(load(query, d), load(K, first + j * D + d), y)
        score = total(y)
        scores[j] = score
        most = max(most, score)
    scores[n : n + WIDTH] = -np.inf
    return most


@njit(cache=True)
def _soften(scores, n, most):
    """Replace scores by 2^(score - most), and return their sum."""
    y = everywhere(np.float32(0))
    for j in range(0, n, WIDTH):
        weight = exp2(load(scores, j) - everywhere(most))
        store(weight, scores, j)
        y = y + weight
    return total(y)
