"""Where a causal transformer looks, for who studies one; training and acting need none of this.

The same function as `CausalTransformer.forward`, with each layer's softmax written out,

    weights_tj = softmax_j(q_t . k_j / sqrt(d_head)),   j <= t where token t may see token j,
    attended_t = sum_j weights_tj v_j,

so that the weights can be read, and earlier tokens hidden. The fused attention keeps no weights.
"""

from typing import NamedTuple

import torch as th

from rl3_sb3.networks.attention import require_own_tokens
from rl3_sb3.networks.transformer import CausalTransformer


class Attended(NamedTuple):
    """What `attend` returns.

    Attributes:
        outputs: The network's, shape (B, T, output_dim).
        weights: Of each layer, sequence, head, token t and token j, shape (n_layers, B, n_heads, T,
            T): 0 where t does not see j; each row sums to 1.
    """

    outputs: th.Tensor
    weights: th.Tensor


def attend(network: CausalTransformer, x: th.Tensor, visible: th.Tensor | None = None) -> Attended:
    """Return outputs and attention weights of whole sequences, in the weights' own precision.

    Memory grows with B n_layers n_heads T^2. Both can be differentiated with respect to `x`.

    Args:
        network: A transformer.
        x: Shape (B, T, input_dim), T at most the context's length.
        visible: Which tokens j a token t may see of those up to itself, bools of shape (T, T) or
            (B, T, T); itself always. None: all.

    Raises:
        ValueError: The sequences are longer than the context, or a token does not see itself.

    Example:
        >>> network = CausalTransformer(3, 2, context_length=4)
        >>> outputs, weights = attend(network, th.zeros(1, 4, 3))
        >>> weights.shape, weights[0, 0, 0, 0, 0].item()  # the first token sees itself alone
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
