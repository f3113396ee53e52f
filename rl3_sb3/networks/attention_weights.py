"""The attention weights of a causal transformer, for analysis; training and acting do not use this.

`attend` computes the same function as `CausalTransformer.forward`, with explicit softmax weights,

    weights_tj = softmax_j(q_t . k_j / sqrt(d_head)),   over j <= t that token t may see,
    attended_t = sum_j weights_tj v_j.

The weights can thus be returned, and earlier tokens hidden. Fused attention does not store weights.
"""

from typing import NamedTuple

import torch as th

from rl3_sb3.networks.attention import require_own_tokens
from rl3_sb3.networks.transformer import CausalTransformer


class Attended(NamedTuple):
    """The result of `attend`.

    Attributes:
        outputs: The network's outputs, shape (B, T, output_dim).
        weights: The attention weights [layer, sequence, head, t, j], shape (n_layers, B, n_heads,
            T, T): 0 where token t does not see token j; each row sums to 1.
    """

    outputs: th.Tensor
    weights: th.Tensor


def attend(network: CausalTransformer, x: th.Tensor, visible: th.Tensor | None = None) -> Attended:
    """Return outputs and attention weights of whole sequences, in the precision of the weights.

    Memory grows with B n_layers n_heads T^2. Both are differentiable with respect to `x`.

    Args:
        network: A transformer.
        x: Tokens, shape (B, T, input_dim), T at most the context length.
        visible: Whether token t may see token j <= t, bools of shape (T, T) or (B, T, T); the
            diagonal must be True. None: all.

    Raises:
        ValueError: The sequences are longer than the context, or a token does not see itself.

    Example:
        >>> network = CausalTransformer(3, 2, context_length=4)
        >>> outputs, weights = attend(network, th.zeros(1, 4, 3))
        >>> weights.shape, weights[0, 0, 0, 0, 0].item()  # the first token sees only itself
        (torch.Size([2, 1, 4, 4, 4]), 1.0)
    """
    T = x.shape[1]
    if T > network.context_length:
        raise ValueError(
            f"`x` must have at most {network.context_length} tokens per sequence, got {T}."
        )
    hidden = th.ones(T, T, dtype=th.bool, device=x.device).triu(1)
    if visible is not None:
        require_own_tokens(visible.diagonal(dim1=-2, dim2=-1))
        hidden = (hidden | ~visible).unsqueeze(-3)  # (..., 1, T, T), for all heads
    h, turns = network.embedded(x)
    weights = []
    for layer in network.layers:
        q, k, v = (part.transpose(1, 2) for part in layer.heads(h, turns).unbind(2))  # type: ignore[operator]
        scores = (q * q.shape[-1] ** -0.5) @ k.mT  # (B, n_heads, T, T)
        weights.append(scores.masked_fill(hidden, -th.inf).softmax(-1))
        attended = (weights[-1] @ v).transpose(1, 2)  # (B, T, n_heads, head_dim)
        h = layer.finish(h, attended.reshape(h.shape))  # type: ignore[operator]
    return Attended(network.output(h), th.stack(weights))
