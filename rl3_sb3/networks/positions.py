"""Positions of tokens in a transformer: learned vectors, or rotary embeddings.

*Learned*: each position has a vector that is added to its token. A layer that attends one step back
has to learn this separately for every position.

*Rotary*: pairs of numbers in queries and keys are rotated by angles that grow with the position,

    (x_2i, x_2i+1) at position t -> the same, rotated by t w_i,      w_i = base^(-2i / D),

so that the product of a query and a key depends only on the distance of their positions:

    R(t) q . R(j) k = q . R(j - t) k.

What a layer learns about neighbouring tokens then holds everywhere in the sequence.

Source: Su et al. 2021 (arXiv 2104.09864), section 3.2.
"""

import torch as th

LEARNED, ROTARY = "learned", "rotary"
POSITIONS = (LEARNED, ROTARY)

# With heads of 16 numbers, the slowest pair rotates once in about 350 steps. Language models, whose
# sequences are a hundred times as long, use 10000; half of the pairs would barely rotate here.
_BASE = 100.0


def rotations(n_positions: int, head_dim: int) -> th.Tensor:
    """Return the cosines and sines of all angles.

    Args:
        n_positions: Number of positions, from 0.
        head_dim: Width D of a head, even.

    Returns:
        Shape (n_positions, D / 2, 2).
    """
    speeds = _BASE ** (-th.arange(0, head_dim, 2, dtype=th.float64) / head_dim)
    angles = th.arange(n_positions, dtype=th.float64)[:, None] * speeds  # (n_positions, D / 2)
    return th.stack([angles.cos().float(), angles.sin_().float()], dim=-1)


def factors(of_positions: th.Tensor) -> th.Tensor:
    """Return the factors that rotate queries and keys; those of the values are 1.

    Args:
        of_positions: Rows of `rotations`, shape (..., D / 2, 2).

    Returns:
        Complex numbers, shape (..., 3, 1, D / 2).
    """
    turns = th.view_as_complex(of_positions)
    return th.stack([turns, turns, th.ones_like(turns)], dim=-2).unsqueeze(-2)


def rotate(qkv: th.Tensor, by: th.Tensor) -> th.Tensor:
    """Return rotated queries and keys, and unchanged values.

    Args:
        qkv: Queries, keys and values, shape (..., 3, n_heads, D).
        by: The result of `factors`, with leading dimensions that broadcast.
    """
    # bfloat16 has no complex type.
    pairs = qkv.to(by.real.dtype).view(*qkv.shape[:-1], -1, 2)
    turned = th.view_as_real(th.view_as_complex(pairs) * by)
    return turned.flatten(-2).to(qkv.dtype)
