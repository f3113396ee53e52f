"""How a transformer knows where tokens stand: learned vectors, or rotated queries and keys.

*Learned*: a vector of its own is added to the token at each position. A layer that must look one
step back has to learn that for each position anew.

*Rotary*: the pairs of numbers in queries and keys are turned by angles that grow with the position,

    (x_2i, x_2i+1) at position t -> the same, turned by t w_i,      w_i = base^(-2i / D),

so that a product of query and key depends on how far apart they stand and on nothing else:

    R(t) q . R(j) k = q . R(j - t) k.

What a layer has learned of neighbouring tokens then holds everywhere in the sequence.

Source: Su et al. 2021 (arXiv 2104.09864), section 3.2.
"""

import torch as th

LEARNED, ROTARY = "learned", "rotary"
POSITIONS = (LEARNED, ROTARY)

# The slowest pair turns once in about 350 steps (with heads of 16 numbers). Language models, whose
# sequences are a hundred times as long, take 10000, with which half of the pairs hardly turn here.
_BASE = 100.0


def rotations(n_positions: int, head_dim: int) -> th.Tensor:
    """Return the cosines and sines of all angles.

    Args:
        n_positions: How many positions, from 0.
        head_dim: D, even.

    Returns:
        Shape (n_positions, D / 2, 2).
    """
    speeds = _BASE ** (-th.arange(0, head_dim, 2, dtype=th.float64) / head_dim)
    angles = th.arange(n_positions, dtype=th.float64)[:, None] * speeds  # (n_positions, D / 2)
    return th.stack([angles.cos().float(), angles.sin_().float()], dim=-1)


def factors(of_positions: th.Tensor) -> th.Tensor:
    """Return what queries, keys and values are multiplied by to be turned; the values by 1.

    Args:
        of_positions: Rows of `rotations`, shape (..., D / 2, 2).

    Returns:
        Complex numbers, shape (..., 3, 1, D / 2).
    """
    turns = th.view_as_complex(of_positions)
    return th.stack([turns, turns, th.ones_like(turns)], dim=-2).unsqueeze(-2)


def rotate(qkv: th.Tensor, by: th.Tensor) -> th.Tensor:
    """Return queries and keys turned as their positions want it, and the values as they are.

    Args:
        qkv: Shape (..., 3, n_heads, D).
        by: See `factors`; leading dimensions that fit.
    """
    # There are no complex numbers in bfloat16.
    pairs = qkv.to(by.real.dtype).view(*qkv.shape[:-1], -1, 2)
    turned = th.view_as_real(th.view_as_complex(pairs) * by)
    return turned.flatten(-2).to(qkv.dtype)
