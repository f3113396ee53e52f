"""Check the class that a policy names as its network, and read the arguments of its constructor.

A policy passes its own keyword arguments on to its networks, so it must know their names.
"""

import inspect
from typing import Any

# What acting and training call; torch's modules have the rest.
_METHODS = ("__call__", "new_memory", "require_room", "step", "invalidate_memories", "parameters")


def named_arguments(network: Any, policy: str) -> dict[str, Any]:
    """Return the named arguments of a network's constructor, `...` for one without a default.

    Args:
        network: The class.
        policy: Name of the policy, for the error.

    Raises:
        TypeError: This is no class of networks.
    """
    wanted = f"`{policy}.network` must be a class like rl3_sb3.networks.network.Network, got"
    if not isinstance(network, type):
        found = "none" if network is None else f"an object of {type(network).__name__}"
        raise TypeError(f"{wanted} {found}. Write `network = ...` in the class {policy}.")
    missing = [name for name in _METHODS if not callable(getattr(network, name, None))]
    if missing:
        raise TypeError(f"{wanted} {network.__name__} without {', '.join(missing)}.")
    arguments = list(inspect.signature(network).parameters.values())
    open_ended = [a for a in arguments if a.kind in (a.VAR_POSITIONAL, a.VAR_KEYWORD)]
    if open_ended or len(arguments) < 2:
        raise TypeError(
            f"{wanted} {network.__name__}, whose constructor takes "
            f"({', '.join(map(str, arguments))}). It must name all arguments: (input_dim, "
            "output_dim), and its own after them."
        )
    return {a.name: ... if a.default is a.empty else a.default for a in arguments[2:]}
