"""The names and shapes of layers' weights, computed without allocating them, and checks of sizes.

When untrusted files give the sizes, the memory of the weights must be known before it is allocated.
(Torch's "meta" device builds networks without memory, but its first use loads hundreds of modules.)
"""

import numbers

Shapes = dict[str, tuple[int, ...]]

BYTES_PER_NUMBER = 4  # float32


def linear_shapes(name: str, n_in: int, n_out: int) -> Shapes:
    """Return the shapes of an `nn.Linear`."""
    return {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}


def norm_shapes(name: str, width: int) -> Shapes:
    """Return the shapes of an `nn.LayerNorm`."""
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def require_positive(**sizes: int) -> None:
    """Raise ValueError unless all sizes are integers of at least 1."""
    for name, size in sizes.items():
        if not isinstance(size, numbers.Integral) or isinstance(size, bool):
            raise ValueError(f"`{name}` must be an integer of at least 1, got {size!r}.")
        if size < 1:
            raise ValueError(f"`{name}` must be at least 1, got {size}.")
