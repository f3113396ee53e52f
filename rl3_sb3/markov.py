"""Keep the old place of `MarkovPolicy`, now in `rl3_sb3.policy`, for checkpoints of version 0.1."""

from rl3_sb3.policy import MarkovPolicy

__all__ = ["MarkovPolicy"]
