"""The names and shapes of layers' weights, and the checks of sizes.

A network says what its weights are without making them: making them to learn how large they are
would be too late when a stranger gave the sizes. (Torch's "meta" device makes networks without
memory, but its first use loads hundreds of modules.)
"""

Shapes = dict[str, tuple[int, ...]]

BYTES_PER_NUMBER = 4  # float32


def linear_shapes(name: str, n_in: int, n_out: int) -> Shapes:
    """Return the shapes of an `nn.Linear`."""
    return {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}


def norm_shapes(name: str, width: int) -> Shapes:
    """Return the shapes of an `nn.LayerNorm`."""
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def require_positive(**sizes: int) -> None:
    """Raise ValueError unless all are at least 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"`{name}` must be at least 1, got {size}.")
