"""The names and shapes of a network's weights, computed from its sizes without making it.

Making a network to learn how large it is would be too late when a stranger gave the sizes. (Torch's
"meta" device makes networks without memory, but its first use loads hundreds of modules.)
"""

from __future__ import annotations

Shapes = dict[str, tuple[int, ...]]


def transformer_shapes(
    input_dim: int,
    output_dim: int,
    *,
    context_length: int,
    d_model: int,
    n_layers: int,
    n_heads: int,
    d_ff: int,
    input_hidden: int,
) -> Shapes:
    """Return the shapes of a `CausalTransformer`; the heads share them."""
    shapes: Shapes = {"positions": (context_length, d_model)}
    shapes |= _linear("embedding.0", input_dim, input_hidden)
    shapes |= _linear("embedding.2", input_hidden, d_model)
    shapes |= _norm("embedding.3", d_model)
    for i in range(n_layers):
        layer = f"layers.{i}"
        shapes |= _linear(f"{layer}.qkv", d_model, 3 * d_model)
        shapes |= _linear(f"{layer}.projection", d_model, d_model)
        shapes |= _norm(f"{layer}.attention_norm", d_model)
        shapes |= _linear(f"{layer}.feed_forward.0", d_model, d_ff)
        shapes |= _linear(f"{layer}.feed_forward.2", d_ff, d_model)
        shapes |= _norm(f"{layer}.output_norm", d_model)
    return shapes | _linear("head", d_model, output_dim)


def dense_shapes(input_dim: int, output_dim: int, *, hidden: int, context_length: int) -> Shapes:
    """Return the shapes of a `DenseNetwork`; it has no context."""
    return {
        **_linear("body.0", input_dim, hidden),
        **_linear("body.2", hidden, hidden),
        **_linear("head", hidden, output_dim),
    }


def _linear(name: str, n_in: int, n_out: int) -> Shapes:
    return {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
