"""Gymnasium's vector classes to build upon, whichever Gymnasium is installed.

They take type parameters since Gymnasium 1.4, and raise on them before. Parameters say nothing at
run time, so only the type checker sees them.
"""

from typing import TYPE_CHECKING, Any, TypeAlias

from gymnasium.vector import SyncVectorEnv, VectorWrapper

if TYPE_CHECKING:
    AnySyncVectorEnv: TypeAlias = SyncVectorEnv[Any, Any]
    AnyVectorWrapper: TypeAlias = VectorWrapper[Any, Any, Any, Any, Any]
else:
    AnySyncVectorEnv = SyncVectorEnv
    AnyVectorWrapper = VectorWrapper
