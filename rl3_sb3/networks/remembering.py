"""Modules that know which memories were filled with their present weights.

What was remembered with other weights would be mixed with what is seen with the new ones, and
nothing would show it. So each state of a module's weights has a number, which its memories carry.
"""

import itertools
from typing import Any

from torch import nn

# Unique in the process, so that a memory of one network is not taken for one of another.
_weight_versions = itertools.count(1)


class RememberingModule(nn.Module):
    """A module whose memories are of no use once its weights have changed.

    Attributes:
        weight_version: The number of the present weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight_version = next(_weight_versions)
        self.register_load_state_dict_post_hook(  # type: ignore[no-untyped-call] # torch's
            _invalidate_after_loading
        )

    def invalidate_memories(self) -> None:
        """Make every memory filled so far raise; to be called whenever the weights change."""
        self.weight_version = next(_weight_versions)

    def require_own(self, weight_version: int, n_remembered: int, n_rows: int) -> None:
        """Raise ValueError unless a memory is of the present weights and of as many rows.

        Args:
            weight_version: The memory's.
            n_remembered: Its rows.
            n_rows: The tokens'.
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
    # A function of the module, not a lambda: the hook must survive pickling and deep copies.
    assert isinstance(module, RememberingModule), "registered by RememberingModule alone"
    module.invalidate_memories()
