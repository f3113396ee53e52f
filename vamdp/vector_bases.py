"""Base classes from gymnasium.vector that work with every supported version of Gymnasium.

Since Gymnasium 1.4 these classes take type parameters; earlier versions raise an error on them.
Parameters have no effect at run time, so only the type checker sees them.
"""

from typing import TYPE_CHECKING, Any, TypeAlias

from gymnasium.vector import SyncVectorEnv, VectorWrapper

if TYPE_CHECKING:
    AnySyncVectorEnv: TypeAlias = SyncVectorEnv[Any, Any]
    AnyVectorWrapper: TypeAlias = VectorWrapper[Any, Any, Any, Any, Any]
else:
    AnySyncVectorEnv = SyncVectorEnv
    AnyVectorWrapper = VectorWrapper
