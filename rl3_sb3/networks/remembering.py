"""Modules that reject memories filled with other weights.

A memory filled with old weights would silently mix with results of the new ones. So the weights of
a module have a version number, and its memories store it.
"""

import itertools
from typing import Any

from torch import nn

# Unique in the process, so that a network also rejects the memories of other networks.
_weight_versions = itertools.count(1)


class RememberingModule(nn.Module):
    """A module whose memories become invalid when its weights change.

    Attributes:
        weight_version: The version of the current weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight_version = next(_weight_versions)
        self.register_load_state_dict_post_hook(  # type: ignore[no-untyped-call] # torch's
            _invalidate_after_loading
        )

    def invalidate_memories(self) -> None:
        """Make all existing memories invalid; call it whenever the weights change."""
        self.weight_version = next(_weight_versions)

    def require_own(self, weight_version: int, n_remembered: int, n_rows: int) -> None:
        """Raise ValueError unless a memory comes from the current weights and has n_rows rows.

        Args:
            weight_version: The memory's version of the weights.
            n_remembered: The memory's number of rows.
            n_rows: The number of tokens.
        """
        if weight_version != self.weight_version:
            raise ValueError(
                "`memory` must come from the current weights, got one filled before they changed "
                "(or by another network). Start again with `new_memory`, or `state=None` in "
                "predict."
            )
        if n_rows != n_remembered:
            raise ValueError(
                f"`memory` must have one row per token, got {n_remembered} rows for {n_rows} "
                "tokens. Start again with `new_memory` when the batch changes."
            )


def _invalidate_after_loading(module: nn.Module, _: Any) -> None:
    # A module-level function, not a lambda: the hook must survive pickling and deep copies.
    assert isinstance(module, RememberingModule), "registered only by RememberingModule"
    module.invalidate_memories()
