"""Where checkpoints of version 0.1 look for `MarkovPolicy`, which is in `rl3_sb3.policy` now."""

from rl3_sb3.policy import MarkovPolicy

__all__ = ["MarkovPolicy"]
